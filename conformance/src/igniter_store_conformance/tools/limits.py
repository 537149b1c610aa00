"""Time limits of tests that make hundreds of calls."""

from __future__ import annotations

from typing import Final

SLOW: Final = 300.0  # seconds: hundreds of calls, and a backend may take 200 ms for each
LONG: Final = 120.0
"""Seconds that a concurrency test may take."""
