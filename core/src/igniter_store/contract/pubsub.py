"""Messages to whoever listens now; nothing is kept for those who come later (PUB-11).

Rule: the adapter calls callbacks, the store does the rest. A callback is a plain function, runs on
    the event loop and returns at once;
queues, async handlers and decoding are above the contract.
Rule: a callback that raises is reported with `report_callback_error` and stops nothing (PUB-6).
Rule: one message gives one call for each subscription that matches it, by channel or by pattern
    (PUB-4, PUB-8).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, TypeAlias

from igniter_store.contract.adapter import Adapter

MessageCallback: TypeAlias = Callable[[str, bytes], None]
"""Called with the channel that the message was published on, and its payload."""

GapCallback: TypeAlias = Callable[[], None]
"""Called when a subscription is live again after a lost connection: what was published meanwhile is
lost (PUB-10).
"""

_LOGGER: Final = logging.getLogger("igniter_store")


class Subscription(ABC):
    """One live subscription, as `subscribe` and `psubscribe` return it."""

    @abstractmethod
    async def cancel(self) -> None:
        """End this subscription and no other; once it has returned, the callback isn't called again
        (PUB-5).

        Twice is fine, after the adapter was closed too, and so is a call from a task that the
        callback started. The last subscription of a channel or pattern also ends the backend's
        (PUB-4).
        """


class PubSub(Adapter):
    """Redis's PUBLISH, SUBSCRIBE and PSUBSCRIBE."""

    @abstractmethod
    async def publish(self, channel: str, payload: bytes) -> int:
        """Send `payload`, exactly these bytes, 0 to at least 1 MiB, and return the number of
        receivers where known, else 0 (PUB-3).

        Messages of one publisher on one channel arrive in order (PUB-2). With no subscriber the
        message is gone; that is no error (PUB-11).
        """

    @abstractmethod
    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        """Call `callback` for each message on exactly this channel; returns when the backend has
        confirmed the subscription (PUB-1).

        That holds for the second subscriber of a channel too, while the first one's confirmation is
        still under way. If the call is cancelled, no subscription remains.

        Args:
            channel: the complete name, exact as keys are.
            callback: see `MessageCallback`.
            on_gap: see `GapCallback`; a backend in this process never calls it.
        """

    @abstractmethod
    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        """As `subscribe`, for every channel that `pattern` matches: Redis's globs, as
        `contract.patterns.Pattern` has them (PUB-7).
        """


def report_callback_error(channel: str) -> None:
    """Tell the log, from within an `except` block, that a subscriber's callback raised.

    The channel is named, the payload never.
    """
    _LOGGER.error(
        ("A subscriber's callback raised on channel %r. The subscription stays active."),
        channel,
        exc_info=True,  # noqa: LOG014 - called from one
    )
