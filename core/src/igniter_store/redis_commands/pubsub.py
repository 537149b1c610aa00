"""`PubSub`: channels and patterns."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract.errors import ErrorCode, StoreError, store_error
from igniter_store.contract.pubsub import GapCallback, MessageCallback, PubSub, Subscription
from igniter_store.redis_commands.encoding import decoded, encoded
from igniter_store.redis_commands.replies import count
from igniter_store.redis_commands.subscriptions import PATTERN, PLAIN, SHARDED, CommandSubscription

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from igniter_store.redis_commands.client import CommandClient
    from igniter_store.redis_commands.transport import Name

_NO_PATTERNS: Final = (
    "Sharded channels don't support patterns. "
    "Subscribe to each channel, or create the adapter without sharded_pubsub."
)
_NOT_SHARDED: Final = (
    "The server doesn't support sharded channels. "
    "Use Redis 7 or Valkey, or create the adapter without sharded_pubsub."
)


class CommandPubSub(PubSub):
    """Implements `PubSub` with commands, and with the client's subscriptions."""

    _commands: CommandClient
    _is_sharded: bool
    _bind: Callable[[], None]

    async def publish(self, channel: str, payload: bytes) -> int:
        if not self._is_sharded:
            return await self._commands.write(
                "PUBLISH", channel, payload, read=count, code=ErrorCode.STORE_PUBLISH_FAILED
            )
        with _old_servers(self.name):
            return await self._commands.write(
                "SPUBLISH", channel, payload, read=count, code=ErrorCode.STORE_PUBLISH_FAILED
            )

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        if not self._is_sharded:
            return await self._subscribed((PLAIN, channel), callback, on_gap)
        with _old_servers(self.name):
            return await self._subscribed((SHARDED, channel), callback, on_gap)

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        self._commands.require_open()
        if self._is_sharded:
            raise store_error(
                ErrorCode.STORE_CAPABILITY_UNSUPPORTED, _NO_PATTERNS, backend=self.name
            )
        return await self._subscribed((PATTERN, pattern), callback, on_gap)

    async def _subscribed(
        self, name: Name, callback: MessageCallback, on_gap: GapCallback | None
    ) -> Subscription:
        verb, text = name
        # Two spellings of the same bytes are the same name; the server's replies use one of them.
        subscription = CommandSubscription(
            (verb, decoded(encoded(text))), callback, on_gap, self._bind
        )
        await self._commands.subscribe(subscription)
        return subscription


@contextlib.contextmanager
def _old_servers(backend: str) -> Generator[None]:
    try:
        yield
    except StoreError as error:
        if error.details.get("word") != "ERR":
            raise
        raise store_error(
            ErrorCode.STORE_CAPABILITY_UNSUPPORTED, _NOT_SHARDED, backend=backend
        ) from error
