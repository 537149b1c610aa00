"""Managed servers and proxies that lack some commands.

The store works without them, or its error names the rejected command and the operation that
needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from hiredis import Reader
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter
from igniter_store_redis.multiplexer import pack_command

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from igniter_store_conformance.servers import Server

_NOTHING: Final = object()
_LISTENING: Final = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}

WAYS: Final = {
    "an unknown command": (
        "-ERR unknown command '{command}', with args beginning with: "
        "'a-secret-key' 'a-secret-value' \r\n"
    ),
    "access rules": "-NOPERM User default has no permissions to run the '{command}' command\r\n",
    "a managed server": "-ERR command is not allowed\r\n",
    "a proxy that hangs up": "",
}

REFUSED: Final[dict[str, set[str]]] = {
    "CLIENT": {"CLIENT"},
    "HELLO, INFO, CONFIG, COMMAND, PUBSUB, CLUSTER": {
        "HELLO",
        "INFO",
        "CONFIG",
        "COMMAND",
        "PUBSUB",
        "CLUSTER",
    },
    "PING": {"PING"},
    "newer commands": {"DELEX", "DELIFEQ", "GETDEL", "UNLINK"},
    "EVALSHA": {"EVALSHA"},
    "scripts": {"EVALSHA", "EVAL", "SCRIPT", "FUNCTION", "FCALL"},
    "SCAN": {"SCAN"},
    "streams": {
        "XADD",
        "XLEN",
        "XTRIM",
        "XDEL",
        "XRANGE",
        "XREVRANGE",
        "XGROUP",
        "XREADGROUP",
        "XACK",
        "XPENDING",
    },
    "pub/sub": {"SUBSCRIBE", "PSUBSCRIBE", "PUBLISH"},
    "TTLs": {"PEXPIRE", "PTTL", "PERSIST"},
    "batches": {"MGET", "MSET"},
    "counters": {"INCRBY"},
}

OPERATIONS: Final[dict[str, Callable[[RedisAdapter], Awaitable[Any]]]] = {
    "ping": lambda adapter: adapter.ping(),
    "set": lambda adapter: adapter.set("key", b"value", ttl=60.0),
    "get": lambda adapter: adapter.get("key"),
    "exists": lambda adapter: adapter.exists("key"),
    "expire": lambda adapter: adapter.expire("key", 60.0),
    "ttl": lambda adapter: adapter.ttl("key"),
    "persist": lambda adapter: adapter.persist("key"),
    "getdel": lambda adapter: adapter.getdel("key"),
    "mset": lambda adapter: adapter.mset([Entry("a", b"1", None), Entry("b", b"2", None)]),
    "mset with TTLs": lambda adapter: adapter.mset(
        [Entry("a", b"1", 60.0), Entry("b", b"2", None)]
    ),
    "mget": lambda adapter: adapter.mget(["a", "b"]),
    "delete": lambda adapter: adapter.delete(["a", "b"]),
    "increment": lambda adapter: adapter.increment("counter"),
    "increment with a TTL": lambda adapter: adapter.increment("window", ttl=60.0),
    "set_nx": lambda adapter: adapter.set_nx("claim", b"owner", ttl=60.0),
    "compare_expire": lambda adapter: adapter.compare_expire("claim", b"owner", 60.0),
    "compare_delete": lambda adapter: adapter.compare_delete("claim", b"owner"),
    "acquire": lambda adapter: adapter.acquire("lease", b"owner", 60.0, token_key="token"),
    "publish": lambda adapter: adapter.publish("channel", b"payload"),
    "subscribe": lambda adapter: adapter.subscribe("channel", lambda _channel, _payload: None),
    "psubscribe": lambda adapter: adapter.psubscribe("channel*", lambda _channel, _payload: None),
    "xgroup_create": lambda adapter: adapter.xgroup_create("stream", "group"),
    "xadd": lambda adapter: adapter.xadd("stream", {"field": b"value"}),
    "xlen": lambda adapter: adapter.xlen("stream"),
    "xrange": lambda adapter: adapter.xrange("stream"),
    "xrevrange": lambda adapter: adapter.xrevrange("stream"),
    "xreadgroup": lambda adapter: adapter.xreadgroup("stream", "group", "worker"),
    "xreadgroup, blocked": lambda adapter: adapter.xreadgroup(
        "stream", "group", "worker", block=0.01
    ),
    "xgroups": lambda adapter: adapter.xgroups("stream"),
    "xpending": lambda adapter: adapter.xpending("stream", "group"),
    "xautoclaim": lambda adapter: adapter.xautoclaim("stream", "group", "heir", 0.0),
    "xack": lambda adapter: adapter.xack("stream", "group", ["1-1"]),
    "xtrim": lambda adapter: adapter.xtrim("stream", 0),
    "xdel": lambda adapter: adapter.xdel("stream", ["1-1"]),
    "xgroup_destroy": lambda adapter: adapter.xgroup_destroy("stream", "group"),
    "scan": lambda adapter: adapter.scan("*"),
    "delete_prefix": lambda adapter: adapter.delete_prefix("window"),
}

# The commands that an operation requires; for all others the adapter has a fallback.
NEEDS: Final[dict[str, set[str]]] = {
    "ping": {"PING"},
    "expire": {"PEXPIRE"},
    "ttl": {"PTTL"},
    "persist": {"PERSIST"},
    "getdel": {"GETDEL"},
    "mset": {"MSET"},
    "mset with TTLs": {"EVAL"},
    "mget": {"MGET"},
    "increment": {"INCRBY"},
    "increment with a TTL": {"EVAL"},
    "acquire": {"EVAL"},
    "publish": {"PUBLISH"},
    "subscribe": {"SUBSCRIBE"},
    "psubscribe": {"PSUBSCRIBE"},
    "xgroup_create": {"XGROUP"},
    "xadd": {"XADD"},
    "xlen": {"XLEN"},
    "xrange": {"XRANGE"},
    "xrevrange": {"XREVRANGE"},
    "xreadgroup": {"XREADGROUP"},
    "xreadgroup, blocked": {"XREADGROUP"},
    "xgroups": {"EVAL"},
    "xpending": {"XPENDING"},
    "xautoclaim": {"EVAL"},
    "xack": {"XACK"},
    "xtrim": {"XTRIM"},
    "xdel": {"XDEL"},
    "xgroup_destroy": {"EVAL"},
    "scan": {"SCAN"},
    "delete_prefix": {"SCAN"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers.start(servers.find("valkey")) as server:
        yield server


class Gate:
    """A proxy that rejects some commands.

    It forwards the others one by one, so that the replies stay in order.
    """

    def __init__(self, server: Server, refused: set[str], answer: str) -> None:
        self._server = server
        self._refused = refused
        self._answer = answer
        self._tasks: set[asyncio.Task[Any]] = set()
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Gate]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        behind_reader, behind = await asyncio.open_connection(
            self._server.address.host, self._server.address.port
        )
        pumping: asyncio.Task[None] | None = None
        with contextlib.suppress(OSError, asyncio.CancelledError):
            commands, answers = Reader(), Reader(notEnoughData=_NOTHING)
            while data := await reader.read(65_536):
                commands.feed(data)
                while (words := commands.gets()) is not False:
                    command = words[0].decode().upper()
                    if command in self._refused:
                        if not self._answer:
                            return await _hung_up(writer, behind, pumping)
                        writer.write(self._answer.format(command=command).encode())
                        continue
                    if command in _LISTENING and pumping is None:
                        pumping = asyncio.create_task(_pump(behind_reader, writer))
                    behind.write(pack_command(tuple(words)))
                    if pumping is None:
                        writer.write(await _one_answer(behind_reader, answers))
        return await _hung_up(writer, behind, pumping)


async def _hung_up(
    writer: asyncio.StreamWriter, behind: asyncio.StreamWriter, pumping: asyncio.Task[None] | None
) -> None:
    if pumping is not None:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
    writer.close()
    behind.close()


async def _one_answer(reader: asyncio.StreamReader, answers: Reader) -> bytes:
    whole = b""
    while True:
        data = await reader.read(65_536)
        whole += data
        answers.feed(data)
        if not data or answers.gets() is not _NOTHING:
            return whole


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)


@contextlib.asynccontextmanager
async def behind(
    server: Server, refused: set[str], way: str, **options: Any
) -> AsyncGenerator[RedisAdapter]:
    with server.exchange() as exchange:
        exchange.ask("FLUSHALL")
    async with Gate(server, refused, WAYS[way]).open() as gate:
        adapter = RedisAdapter.from_url(
            gate.url + options.pop("path", ""), timeout=2.0, connect_timeout=2.0
        )
        try:
            yield adapter
        finally:
            await adapter.close()


@pytest.mark.clause("LIF-22")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refused", REFUSED)
async def test_operation_works_or_names_refused_command(
    server: Server, refused: str, way: str
) -> None:
    wrong: list[str] = []
    commands = REFUSED[refused]
    async with behind(server, commands, way) as adapter:
        await adapter.open()
        for title, operation in OPERATIONS.items():
            needed = NEEDS.get(title, set()) & commands
            # here the adapter has no reason to try EVAL
            if way in {"a proxy that hangs up", "access rules"} and "EVALSHA" in commands:
                needed = NEEDS.get(title, set()) & {"EVAL"}
            try:
                await asyncio.wait_for(operation(adapter), 30)
            except StoreError as error:
                shown = f"{error} {error.__cause__!r}"
                if error.code is ErrorCode.STORE_STREAM_GROUP_MISSING and "XGROUP" in commands:
                    continue
                if not any(f"{command} (needed for " in error.message for command in commands):
                    wrong.append(f"{title}: {error}")
                if "secret" in shown:
                    wrong.append(f"{title} shows a key: {shown}")
                if not needed and way != "a proxy that hangs up":
                    wrong.append(f"{title} could have used a fallback: {error}")
            else:
                if needed:
                    wrong.append(f"{title} worked without {needed}")
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
async def test_connecting_works_without_client(server: Server, way: str) -> None:
    async with behind(server, {"CLIENT"}, way) as adapter:
        await adapter.open()

        assert await adapter.set("key", b"value") is True


@pytest.mark.parametrize("way", [way for way in WAYS if way != "access rules"])
@pytest.mark.parametrize(
    ("refused", "path"), [("SELECT", "/3"), ("AUTH", "/0"), ("CLIENT", "/0?client_name=me")]
)
async def test_connecting_names_refused_command(
    server: Server, refused: str, path: str, way: str
) -> None:
    async with Gate(server, {refused}, WAYS[way]).open() as gate:
        url = gate.url.replace("://", "://user:hush-hush@") if refused == "AUTH" else gate.url
        adapter = RedisAdapter.from_url(url + path, timeout=2.0, connect_timeout=2.0)
        with pytest.raises(StoreError) as caught:
            await adapter.open()
        await adapter.close()

    assert refused in caught.value.message
    assert "(needed for " in caught.value.message
    assert "hush" not in f"{caught.value} {caught.value.__cause__!r}"
