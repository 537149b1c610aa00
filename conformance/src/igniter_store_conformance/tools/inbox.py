"""Recorders for tests: a callback that records messages, and a log handler that records logs.

Rule: a test proves that no more messages arrive by a last message on the same channel, because the
    messages of one publisher on one channel arrive in order.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Self

    from igniter_store_conformance.engine.trial import Trial

END: Final = b"the last message"
"""Published by a test as its last message; see `Inbox.ends`."""


class Inbox:
    """A callback that records its calls.

    Attributes:
        messages: channel and payload of each call, in order.
    """

    def __init__(self, trial: Trial) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._limit = trial.limit
        self._changed = asyncio.Event()

    def __call__(self, channel: str, payload: bytes) -> None:
        """Record a message."""
        self.messages.append((channel, payload))
        self._changed.set()

    @property
    def payloads(self) -> list[bytes]:
        """Only the payloads."""
        return [payload for _, payload in self.messages]

    async def holds(self, number: int) -> list[bytes]:
        """Wait for this number of messages, and return their payloads.

        It fails if there are more messages.
        """
        await self._until(lambda: len(self.messages) >= number, f"{number} messages")
        assert len(self.messages) == number, (
            f"{number} messages were due, and {_shown(self.messages)} came"
        )
        return self.payloads

    async def hears(self, payload: bytes) -> None:
        """Wait until this message has arrived."""
        await self._until(lambda: payload in self.payloads, repr(payload[:40]))

    async def ends(self) -> list[bytes]:
        """Wait for the last message, and return the payloads before it.

        The messages of one publisher on one channel arrive in order, so these are all of its
        messages.
        """
        await self.hears(END)
        assert self.payloads[-1] == END, (
            f"after the last message came another: {_shown(self.messages)}"
        )
        return self.payloads[:-1]

    async def ends_on(self, channels: Collection[str], whose: str) -> None:
        """Wait for the last message on each of these channels.

        The messages of different channels arrive in any order.

        Args:
            channels: the channels.
            whose: names the subscriber in the failure message.
        """
        await self._until(
            lambda: {channel for channel, payload in self.messages if payload == END}.issuperset(
                channels
            ),
            f"{whose} has to hear {len(channels)} channels",
        )

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._limit):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"{what}: not within {self._limit:g} seconds; what came is {_shown(self.messages)}"
            ) from None


class Reports(logging.Handler):
    """Records what the `igniter_store` logger logs in the block, without propagating it.

    Attributes:
        records: the log records, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._logger = logging.getLogger("igniter_store")

    def emit(self, record: logging.LogRecord) -> None:
        """Record a log record."""
        self.records.append(record)

    def __enter__(self) -> Self:
        self._propagate = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate


def _shown(messages: list[tuple[str, bytes]]) -> str:
    shown = ", ".join(repr(payload[:40]) for _, payload in messages[:20])
    return f"{len(messages)}: {shown}" if messages else "nothing"
