"""A cluster client; glide sends each command to the node that has its key.

Rule: glide splits a batch by node and follows MOVED and ASK. It can't split a single command, so
    this module groups keys by slot.
Rule: if glide returns a MOVED, it couldn't follow it, because it has no connection to that node
    just now. The command wasn't applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import glide
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import ErrorCode
from igniter_store.redis_commands.encoding import encoded
from igniter_store.redis_commands.replies import believed, data, page
from igniter_store.redis_commands.reply_errors import ErrorReply, ReplyError, error_prefix
from igniter_store.redis_commands.scan import scan_nodes
from igniter_store.redis_commands.slots import grouped_by_slot

from igniter_store_valkey.client import ValkeyClient
from igniter_store_valkey.errors import ERRORS, NAME, UNREACHABLE, ServerLoading, reply_error_of
from igniter_store_valkey.glide_clients import answer_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

A = TypeVar("A")

_ELSEWHERE: Final = {"MOVED", "ASK"}


class ValkeyClusterClient(ValkeyClient):
    """CommandClient to the nodes of a cluster, through glide."""

    def group_by_slot(self, keys: Sequence[str | bytes]) -> Sequence[Sequence[int]]:
        return grouped_by_slot(keys)

    async def scan(
        self, cursor: str, pattern: str, count: int, code: ErrorCode
    ) -> tuple[str, list[bytes]]:
        async def look(name: str, number: str) -> tuple[str, list[bytes]]:
            host, _, port = name.rpartition(":")
            route = glide.ByAddressRoute(host, int(port))
            words = ["SCAN", number, "MATCH", encoded(pattern), "COUNT", str(count)]
            return believed(
                page,
                await self._routed(words, route, code),
                ("SCAN",),
                code,
                backend=NAME,
                writes=False,
            )

        return await scan_nodes(cursor, await self._primaries(code), look, code, NAME)

    async def ping(self) -> None:
        await self._routed(["PING"], glide.AllPrimaries(), ErrorCode.STORE_OPERATION_FAILED)

    async def information(self) -> bytes:
        answer = await self._routed(["INFO"], glide.RandomNode(), ErrorCode.STORE_OPERATION_FAILED)
        return believed(
            data, answer, ("INFO",), ErrorCode.STORE_OPERATION_FAILED, backend=NAME, writes=False
        )

    async def _after(
        self,
        reply_error: ReplyError,
        again: Callable[[], Awaitable[Any]],
        code: ErrorCode,
        words: tuple[Any, ...] = (),
        *,
        writes: bool,
    ) -> Any:
        async def once_more() -> Any:
            return _astray(await again())

        return await super()._after(_astray(reply_error), once_more, code, words, writes=writes)

    async def _primaries(self, code: ErrorCode) -> list[tuple[int, str]]:
        """The first slot and the address of each primary, as one node reports them, in order."""
        answer = await self._routed(["CLUSTER", "SLOTS"], glide.RandomNode(), code)
        return believed(
            self._first_slots, answer, ("CLUSTER SLOTS",), code, backend=NAME, writes=False
        )

    def _first_slots(self, answer: Any) -> list[tuple[int, str]]:
        found: dict[str, int] = {}
        for first, _, (host, port, *_), *_ in answer:
            # A node without an announced host means the host that the client connected to, as in a
            # cluster of one node on a developer's machine.
            name = f"{host.decode() if host else self._configuration.addresses[0].host}:{port}"
            found[name] = min(first, found.get(name, first))
        return sorted((first, name) for name, first in found.items())

    async def _routed(self, words: list[Any], route: Any, code: ErrorCode) -> Any:
        """Send a command that changes nothing to the nodes of `route`, and return the reply."""

        async def attempt() -> Any:
            self.require_open()
            client = self._client
            if client is None:
                raise ERRORS.closed()
            try:
                async with FairTimeout(self.timeout + self._connect_timeout):
                    return await answer_to(client, words, route)
            except UNREACHABLE as error:
                return reply_error_of(error)

        answer = await attempt()
        return (
            await self._after(answer, attempt, code, tuple(words), writes=False)
            if isinstance(answer, ReplyError)
            else answer
        )


def _astray(answer: A) -> A | ServerLoading:
    if not isinstance(answer, ErrorReply) or error_prefix(str(answer)) not in _ELSEWHERE:
        return answer
    recovering = ServerLoading()
    recovering.__cause__ = answer.__cause__
    return recovering
