"""The subscriptions of one in-memory database, by channel and by pattern."""

from __future__ import annotations

from asyncio import CancelledError

from igniter_store.contract import MessageCallback, Pattern, Subscription, report_callback_error


class Channels:
    """The subscriptions to each channel and each pattern, in the order of subscribing."""

    def __init__(self) -> None:
        self._exact: dict[str, list[MemorySubscription]] = {}
        self._patterns: dict[str, tuple[Pattern, list[MemorySubscription]]] = {}

    def listeners(self, channel: str) -> list[MemorySubscription]:
        """Return every subscription that receives messages on `channel`.

        The list is a copy, because callbacks may subscribe and cancel.
        """
        found = list(self._exact.get(channel, ()))
        for pattern, subscriptions in self._patterns.values():
            if pattern.matches(channel):
                found += subscriptions
        return found

    def add_exact(self, channel: str, subscription: MemorySubscription) -> None:
        """Add a subscription to a channel."""
        self._exact.setdefault(channel, []).append(subscription)

    def add_pattern(self, pattern: str, subscription: MemorySubscription) -> None:
        """Add a subscription to a pattern."""
        if pattern not in self._patterns:
            self._patterns[pattern] = (Pattern(pattern), [])
        self._patterns[pattern][1].append(subscription)

    def remove_exact(self, channel: str, subscription: MemorySubscription) -> None:
        """Remove a subscription from a channel."""
        self._exact[channel].remove(subscription)
        if not self._exact[channel]:
            del self._exact[channel]

    def remove_pattern(self, pattern: str, subscription: MemorySubscription) -> None:
        """Remove a subscription from a pattern."""
        self._patterns[pattern][1].remove(subscription)
        if not self._patterns[pattern][1]:
            del self._patterns[pattern]


class MemorySubscription(Subscription):
    """One callback on one channel or pattern."""

    def __init__(
        self,
        channels: Channels,
        name: str,
        callback: MessageCallback,
        owner: set[MemorySubscription],
        *,
        is_pattern: bool,
    ) -> None:
        self._channels = channels
        self._name = name
        self._callback = callback
        self._owner = owner
        self._is_pattern = is_pattern
        self._is_live = True
        owner.add(self)
        (channels.add_pattern if is_pattern else channels.add_exact)(name, self)

    def deliver(self, channel: str, payload: bytes) -> None:
        """Call the callback, unless an earlier callback for this message cancelled it."""
        if not self._is_live:
            return
        try:
            self._callback(channel, payload)
        # Errors in a callback belong to its author; the other subscribers still receive the message
        # (PUB-6). That includes the CancelledError of a future that a callback asks for its result.
        except (Exception, CancelledError):  # noqa: BLE001
            report_callback_error(channel)

    def end(self) -> None:
        """Cancel the subscription synchronously, which is possible within one process."""
        if self._is_live:
            self._is_live = False
            self._owner.discard(self)
            (self._channels.remove_pattern if self._is_pattern else self._channels.remove_exact)(
                self._name, self
            )

    async def cancel(self) -> None:
        self.end()
