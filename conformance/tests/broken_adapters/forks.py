"""Broken clients of a server in processes that were forked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from broken_adapters.servers import BrokenClient

if TYPE_CHECKING:
    from igniter_store.contract import Condition


class ForkedWorkersWriteBehind(BrokenClient):
    """Where the process was forked after an `open`, `set` answers for a thread that writes behind
    it, which only the parent has.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-20"})
    limit: ClassVar[float | None] = 120.0
    has_a_writer: ClassVar[set[int]] = (
        set()
    )  # processes in which the thread was started; a child inherits them without it

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
