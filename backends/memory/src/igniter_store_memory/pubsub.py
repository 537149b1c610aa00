"""Subscriptions within this process; messages are delivered before `publish` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import GapCallback, MessageCallback, PubSub, Subscription

from igniter_store_memory.channels import MemorySubscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_memory.keyspace import Keyspace


class MemoryPubSub(PubSub):
    """`PubSub` over the channels of a keyspace."""

    _keyspace: Keyspace
    _subscriptions: set[MemorySubscription]
    _bind: Callable[[], None]

    async def publish(self, channel: str, payload: bytes) -> int:
        listeners = self._keyspace.channels.listeners(channel)
        message = bytes(payload)
        for subscription in listeners:
            subscription.deliver(channel, message)
        return len(listeners)

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        del on_gap  # there is no connection to lose
        channels = self._keyspace.channels
        self._bind()
        return MemorySubscription(
            channels, channel, callback, self._subscriptions, is_pattern=False
        )

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        del on_gap
        channels = self._keyspace.channels
        self._bind()
        return MemorySubscription(channels, pattern, callback, self._subscriptions, is_pattern=True)
