"""Messages to the current subscribers; the backend keeps nothing for later subscribers (PUB-11).

Rule: the adapter only calls callbacks; the store does the rest. A callback is a plain function,
    runs on the event loop and returns immediately. Queues, async handlers and decoding are layers
    above the contract.
Rule: if a callback raises, the adapter reports the error with `report_callback_error` and continues
    (PUB-6).
Rule: a message causes one call for each subscription that matches it, by channel or by pattern
    (PUB-4, PUB-8).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, TypeAlias

from igniter_store.contract.adapter import Adapter

MessageCallback: TypeAlias = Callable[[str, bytes], None]
"""Called with the channel on which the message was published, and with its payload."""

GapCallback: TypeAlias = Callable[[], None]
"""Called when a subscription is live again after its connection was lost.

Messages that were published in the meantime are lost (PUB-10).
"""

_LOGGER: Final = logging.getLogger("igniter_store")


class Subscription(ABC):
    """One live subscription, returned by `subscribe` and `psubscribe`."""

    @abstractmethod
    async def cancel(self) -> None:
        """End this subscription, and only this one (PUB-5).

        After the method has returned, the callback isn't called again. Calling it twice is safe,
        also after the adapter was closed, and also from a task that the callback started.
        Cancelling the last subscription of a channel or pattern also ends the subscription at the
        backend (PUB-4).
        """


class PubSub(Adapter):
    """Redis's PUBLISH, SUBSCRIBE and PSUBSCRIBE."""

    @abstractmethod
    async def publish(self, channel: str, payload: bytes) -> int:
        """Publish `payload`; return the number of receivers if known, else 0 (PUB-3).

        Subscribers receive exactly these bytes; every backend accepts 0 bytes to at least 1 MiB.
        Messages from one publisher on one channel arrive in order (PUB-2). Without a subscriber the
        message is dropped, which isn't an error (PUB-11).
        """

    @abstractmethod
    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        """Call `callback` for each message on exactly this channel.

        The method returns when the backend has confirmed the subscription (PUB-1). This also
        applies to a second subscriber of the channel while the confirmation of the first one is
        still pending. If the call is cancelled, no subscription remains.

        Args:
            channel: the complete name, which must match exactly, as keys do.
            callback: see `MessageCallback`.
            on_gap: see `GapCallback`; an in-process backend never calls it.
        """

    @abstractmethod
    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        """Like `subscribe`, for every channel that matches `pattern` (PUB-7).

        Patterns are Redis's globs, as implemented by `contract.patterns.Pattern`.
        """


def report_callback_error(channel: str) -> None:
    """Log that a subscriber's callback raised; call this in an `except` block.

    The log entry contains the channel, and never the payload.
    """
    _LOGGER.error(
        ("A subscriber's callback raised on channel %r. The subscription stays active."),
        channel,
        exc_info=True,  # noqa: LOG014 - called in an except block
    )
