"""Names for the pairs of classes that glide has, one for a single server and one for a cluster."""

from __future__ import annotations

from typing import TypeAlias

import glide

Client: TypeAlias = glide.GlideClient | glide.GlideClusterClient
Configuration: TypeAlias = glide.GlideClientConfiguration | glide.GlideClusterClientConfiguration
