"""A cluster client, which sends each command to the node that has its key.

Rule: redis-py discovers the nodes and the slots of each. Redirects (MOVED, ASK) are followed at
    once, and a background task then refreshes the whole topology. The connections that redis-py
    opens for it are closed at once, so that none is left when the event loop ends.
Rule: a command that a node has accepted is never sent to another one. If it may have been applied,
    its error reports that.
Rule: a subscription is made at the node that has the channel's slot. Messages are published there
    too, so the subscriber gets none from before, and publishers count it. After each refresh,
    subscriptions that can't receive messages at their node move to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import START, ErrorCode, StoreError, store_error
from igniter_store.contract.affinity import forget_task
from igniter_store.redis_commands.client import CommandClient
from igniter_store.redis_commands.keyvalue import all_of
from igniter_store.redis_commands.replies import page
from igniter_store.redis_commands.reply_errors import (
    ErrorReply,
    ReplyError,
    error_prefix,
    failure,
    without_quotes,
)
from igniter_store.redis_commands.scan import scan_nodes
from igniter_store.redis_commands.slots import grouped_by_slot, slot_of
from igniter_store.redis_commands.subscriptions import SHARDED
from igniter_store.redis_commands.transport import address
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, MovedError

from igniter_store_redis.client import RedisClient
from igniter_store_redis.connector import RedisConnector, abandon_connections
from igniter_store_redis.errors import ERRORS, NAME, UNREACHABLE, ConnectAttempt, not_reached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription
    from igniter_store.redis_commands.transport import Name

T = TypeVar("T")

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED
_MOST_TRIES: Final = 8
_PAUSE: Final = 0.05  # seconds before a changing node is retried, times the number of tries
_A_MOMENT: Final = 1.0  # seconds for which a scan relies on the topology without a refresh
# Errors of a slot in migration, of a cluster with too few nodes, and of a demoted primary
_CHANGING: Final = ("TRYAGAIN", "CLUSTERDOWN", "READONLY")
_NO_NODE: Final = "Too many cluster redirects. Retry once resharding has finished."
# The index of the key in a command, if it isn't the first argument
_KEY_AT: Final = {"XGROUP": 2, "EVALSHA": 3, "EVAL": 3, "XREADGROUP": -2}


class RedisClusterClient(CommandClient):
    """CommandClient to the nodes of a cluster.

    Args:
        client: redis-py's client, the user's or the adapter's own. It supplies the topology and the
            settings; commands are never sent on its connections.
        timeout: seconds that a reply may take.
        connect_timeout: seconds that connecting and logging in may take, and also finding the
            nodes.
        connections: how many may be open to each node for commands that don't block.
        largest: bytes that a reply may have.
        is_ours: whether the adapter made the client, so that only the adapter uses its connections.
    """

    errors = ERRORS

    def __init__(  # noqa: PLR0913 - the options of the adapter
        self,
        client: Any,
        timeout: float,
        connect_timeout: float,
        connections: int,
        largest: int,
        *,
        is_ours: bool,
    ) -> None:
        super().__init__()
        self._nodes: Final = client.nodes_manager
        self._seeds: Final = [(node.host, node.port) for node in self._nodes.startup_nodes.values()]
        self._timeout: Final = timeout
        self._connect_timeout: Final = connect_timeout
        self._connections: Final = connections
        self._largest: Final = largest
        self._is_ours: Final = is_ours
        self._asked: list[Any] = []  # the nodes that redis-py may be querying for the topology
        self._servers: dict[str, RedisClient] = {}
        self._former: list[RedisClient] = []  # of nodes that left, and may still send replies
        self._refreshing: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")  # when the topology was last refreshed
        self._ordered: list[tuple[int, Any]] | None = None
        self._ordered_from: object = None

    async def open(self) -> None:
        """Find the nodes, and ping each primary."""
        self.accept_calls()
        try:
            await self._refreshed()
            await self.ping()
        except (
            GeneratorExit
        ):  # the event loop was closed meanwhile; nothing can be awaited any more
            raise
        except BaseException:
            await self.close()
            self._was_closed = False
            raise

    async def close(self) -> None:
        """Close all connections; pending callers get `STORE_CLOSED`."""
        self.refuse_calls()
        refreshing, self._refreshing = self._refreshing, None
        servers, self._servers, self._former = [*self._servers.values(), *self._former], {}, []
        await asyncio.gather(*(server.close() for server in servers))
        if refreshing is not None:  # last, because redis-py may be slow to react to a cancellation
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)

    def abandon(self, *, is_inherited: bool) -> None:
        self._is_open = False
        forget_task(self._refreshing)
        abandon_connections(self._asked, is_inherited=is_inherited)
        self._asked = []
        for server in (*self._servers.values(), *self._former):
            server.abandon(is_inherited=is_inherited)

    async def read(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        attempt = partial(RedisClient.attempt, words=words, read=read, code=code, writes=False)
        answer: T = await self._tried(words, attempt, code, writes=False)
        return answer

    async def write(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        attempt = partial(RedisClient.attempt, words=words, read=read, code=code, writes=True)
        answer: T = await self._tried(words, attempt, code, writes=True)
        return answer

    async def block(self, *words: Any, read: Reader[T]) -> T:
        answer: T = await self._tried(
            words,
            partial(RedisClient.attempt_to_wait, words=words, read=read),
            _FAILED,
            writes=True,
        )
        return answer

    def group_by_slot(self, keys: Sequence[str | bytes]) -> list[list[int]]:
        return grouped_by_slot(keys)

    async def scan(
        self, cursor: str, pattern: str, count: int, code: ErrorCode
    ) -> tuple[str, list[bytes]]:
        """See `scan_nodes`.

        A scanned node doesn't report that some of its slots have moved to another node, so the
        first call of a scan refreshes the topology.
        """
        self.require_open()
        if cursor == START and self._asked_at + _A_MOMENT < time.monotonic():
            await self._refreshed()
        primaries = self._primaries()
        nodes = {node.name: node for _, node in primaries}

        async def look(name: str, number: str) -> tuple[str, list[bytes]]:
            return await self._server_of(nodes[name]).read(
                "SCAN", number, "MATCH", pattern, "COUNT", count, read=page, code=code
            )

        return await scan_nodes(
            cursor, [(slot, node.name) for slot, node in primaries], look, code, NAME
        )

    async def ping(self) -> None:
        self.require_open()
        await all_of([self._server_of(node).ping() for _, node in self._primaries()], write=False)

    async def information(self) -> Any:
        self.require_open()
        [(_, node), *_] = self._primaries()
        return await self._server_of(node).information()

    async def subscribe(self, subscription: CommandSubscription) -> None:
        attempt = partial(RedisClient.attempt_to_subscribe, subscription=subscription)
        try:
            await self._tried(
                subscription.name, attempt, ErrorCode.STORE_SUBSCRIBE_FAILED, writes=False
            )
        except StoreError as error:
            if error.code != ErrorCode.STORE_CONNECTION_FAILED or subscription.name[0] == SHARDED:
                raise
            if not await self._is_heard_elsewhere(subscription):
                raise

    async def _is_heard_elsewhere(self, subscription: CommandSubscription) -> bool:
        """Subscribe at any node, which gets messages from all other nodes, though a bit later."""
        for _, node in random.sample(primaries := self._primaries(), len(primaries)):
            with contextlib.suppress(StoreError):
                if await self._server_of(node).listener.add(subscription) is None:
                    return True
        return False

    # Sending one command

    async def _tried(
        self,
        words: tuple[Any, ...],
        attempt: Callable[..., Awaitable[Any]],
        code: ErrorCode,
        *,
        writes: bool,
    ) -> Any:
        slot = slot_of(words[_KEY_AT.get(words[0], 1)])
        answer: Any = None
        failed: StoreError | None = None
        for turn in range(1, _MOST_TRIES + 1):
            server = self._server_at(slot)
            failed = None
            try:
                answer = await attempt(server)
                if isinstance(answer, ErrorReply) and error_prefix(str(answer)) == "ASK":
                    asked = self._server_of(self._node_named(AskError(_redirection(answer))))
                    answer = await attempt(asked, is_asking=True)
            except StoreError as error:
                failed = error
            if failed is not None:
                # Outside of the except block, where redis-py's errors would get this one as their
                # context, and keep it in their own reference cycles
                try:
                    is_elsewhere = await self._is_elsewhere(slot, server, failed.code)
                except BaseException:
                    del failed  # or the error and this frame would form a reference cycle
                    raise
                if not is_elsewhere:
                    break
                continue
            if not isinstance(answer, ReplyError):
                return answer
            if not await self._is_sent_on(answer, turn):
                raise failure(
                    answer, code, self._timeout, backend=NAME, writes=writes, words=words
                ) from without_quotes(answer)
        if failed is None:
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, _NO_NODE, backend=NAME
            ) from without_quotes(answer)
        try:
            raise failed
        finally:
            del failed  # or the error and this frame would form a reference cycle

    async def _is_sent_on(self, reply_error: ReplyError, turn: int) -> bool:
        """Whether to retry, because another node has the slot now or will have it soon."""
        word = error_prefix(str(reply_error)) if isinstance(reply_error, ErrorReply) else ""
        if word == "MOVED":
            await self._nodes.move_slot(self._reachable(MovedError(_redirection(reply_error))))
            self._ordered = None
        elif word in _CHANGING and turn < _MOST_TRIES:
            await asyncio.sleep(_PAUSE * turn)
        elif word:
            return False
        self._refresh_soon()  # a lost connection may mean a lost node
        return bool(word)

    async def _is_elsewhere(self, slot: int, server: RedisClient, code: ErrorCode) -> bool:
        """Whether a node that failed with `code` has lost the slot, according to the others."""
        if code != ErrorCode.STORE_CONNECTION_FAILED:
            # STORE_CLOSED: the server has left the cluster
            return code == ErrorCode.STORE_CLOSED and self._is_open
        with contextlib.suppress(StoreError):
            await self._refreshed()
        return self._is_open and self._server_at(slot) is not server

    # Nodes

    def _server_at(self, slot: int) -> RedisClient:
        self.require_open()
        nodes = self._nodes.slots_cache.get(slot)
        if not nodes:
            message = (
                f"No node of the cluster serves slot {slot}. Retry once the cluster is complete."
            )
            raise store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME)
        server = self._servers.get(nodes[0].name)
        return self._server_of(nodes[0]) if server is None else server

    def _server_of(self, node: Any) -> RedisClient:
        server = self._servers.get(node.name)
        if server is None:
            self.require_open()
            connector = RedisConnector(
                partial(_connection, node), self._connect_timeout, self._largest
            )
            server = self._servers[node.name] = RedisClient(
                connector, self._timeout, self._connections, self._refresh_soon
            )
            server.start()
        return server

    def _node_named(self, error: Any) -> Any:
        """The node that a redirect names, which may be a new one."""
        host, port = self._nodes.remap_host_port(error.host, error.port)
        return self._nodes.get_node(host=host, port=port) or ClusterNode(
            host, port, **self._nodes.connection_kwargs
        )

    def _reachable(self, error: Any) -> Any:
        """The redirect, with its address replaced by one that this client can reach."""
        error.host, error.port = self._nodes.remap_host_port(error.host, error.port)
        return error

    def _primaries(self) -> list[tuple[int, Any]]:
        """The nodes that have slots, each with its first slot, ordered by slot."""
        slots = self._nodes.slots_cache
        if self._ordered is None or self._ordered_from is not slots:  # there are 16,384 of them
            seen: dict[str, tuple[int, Any]] = {}
            for slot, nodes in sorted(slots.items()):
                seen.setdefault(nodes[0].name, (slot, nodes[0]))
            self._ordered, self._ordered_from = list(seen.values()), slots
        return self._ordered

    # The topology

    async def _refreshed(self) -> None:
        self.require_open()
        self._refresh_soon()
        refreshing = self._refreshing
        if refreshing is None:
            raise ERRORS.closed()
        await asyncio.wait([refreshing])  # a cancellation here leaves the shared task running
        if refreshing.cancelled():  # by `close`
            raise ERRORS.closed()
        error = refreshing.exception()
        if error is None:
            return
        try:
            if not isinstance(error, UNREACHABLE):
                raise error
            where = ", ".join(address(host, port) for host, port in self._seeds)
            raise not_reached(error, ConnectAttempt(where, self._connect_timeout))
        finally:
            # or the task, its error and this frame would form a reference cycle
            del error, refreshing

    def _refresh_soon(self) -> None:
        if self._refreshing is None and self._is_open:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(self._was_refreshed)

    def _was_refreshed(self, refreshing: asyncio.Task[None]) -> None:
        # The exception is retrieved here: every caller that waited for the refresh may be gone, and
        # no caller waits for a refresh on behalf of subscriptions.
        failed = not refreshing.cancelled() and refreshing.exception() is not None
        if failed and any(server.listener.is_astray for server in self._servers.values()):
            self._refresh_soon()

    async def _refresh(self) -> None:
        try:
            # The nodes learn of a change one after the other
            await asyncio.sleep(max(0.0, self._asked_at + _PAUSE - time.monotonic()))
            self._asked_at = time.monotonic()
            async with FairTimeout(self._connect_timeout):
                # redis-py forgets the seeds once it has found nodes, but all of those may have new
                # addresses by now
                for host, port in self._seeds:
                    seed = ClusterNode(host, port, **self._nodes.connection_kwargs)
                    self._nodes.startup_nodes.setdefault(seed.name, seed)
                await self._discovered()
            leaving = [
                self._servers.pop(name)
                for name in self._servers.keys() - self._nodes.nodes_cache.keys()
            ]
            for server in [*self._servers.values(), *leaving]:
                self._put_in_place(server)
            for server in leaving:
                server.retire()
            self._former = [server for server in (*self._former, *leaving) if not server.is_idle]
        finally:
            self._refreshing = None

    async def _discovered(self) -> None:
        """Let redis-py discover the nodes, and close the connections that it opened for that."""
        nodes = self._nodes
        self._asked = [*nodes.startup_nodes.values(), *nodes.nodes_cache.values()]
        try:
            await nodes.initialize()
        except GeneratorExit:  # the event loop was closed; `abandon` releases the connections
            raise
        except BaseException:
            await self._disconnect_asked()
            raise
        await self._disconnect_asked()

    async def _disconnect_asked(self) -> None:
        if self._is_ours:
            disconnecting = [node.disconnect() for node in self._asked]
            await asyncio.gather(*disconnecting, return_exceptions=True)
        self._asked = []

    def _put_in_place(self, server: RedisClient) -> None:
        """Move subscriptions that can't receive messages at this server to one where they can."""
        for name in server.listener.names:
            with contextlib.suppress(StoreError):  # no node has the slot: move once one has it
                home = self._home(name, server)
                if home is not server:
                    home.listener.adopt(name, server.listener.give_up(name))
        server.listener.renew()

    def _home(self, name: Name, present: RedisClient) -> RedisClient:
        is_sharded = name[0] == SHARDED
        is_there = present in self._servers.values()
        if not is_sharded and is_there and not present.listener.is_failing:
            return present  # it gets messages from every node
        owner = self._server_at(slot_of(name[1]))
        if owner is not present or is_sharded:
            return owner
        others = [
            server
            for _, node in self._primaries()
            if (server := self._server_of(node)) is not present
        ]
        # random, so that the subscriptions don't all move to the same node
        return random.choice(others) if others else present  # noqa: S311


def _redirection(answer: ReplyError) -> str:
    return str(answer).partition(" ")[2]


def _connection(node: Any) -> Any:
    return node.connection_class(**{**node.connection_kwargs, "retry": Retry(NoBackoff(), 0)})
