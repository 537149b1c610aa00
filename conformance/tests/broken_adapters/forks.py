"""Broken clients of a server, in forked processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from broken_adapters.servers import BrokenClient

if TYPE_CHECKING:
    from igniter_store.contract import Condition


class ForkedChildWritesNothing(BrokenClient):
    """In a child that was forked after `open`, `set` returns True but writes nothing."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-20"})
    limit: ClassVar[float | None] = 120.0
    has_a_writer: ClassVar[set[int]] = (
        set()
    )  # processes with a writer thread; a child inherits the set, and not the thread

    async def open(self) -> None:
        await super().open()
        if not self.has_a_writer:
            self.has_a_writer.add(os.getpid())

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if os.getpid() not in self.has_a_writer:
            return True
        return await super().set(key, value, ttl=ttl, only_if=only_if)
