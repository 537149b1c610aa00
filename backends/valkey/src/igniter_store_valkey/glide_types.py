"""Type aliases for glide's pairs of classes: one class for a single server, one for a cluster."""

from __future__ import annotations

from typing import TypeAlias

import glide

Client: TypeAlias = glide.GlideClient | glide.GlideClusterClient
Configuration: TypeAlias = glide.GlideClientConfiguration | glide.GlideClusterClientConfiguration
