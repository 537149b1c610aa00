"""Servers and proxies that send wrong replies.

The adapter never returns them, and never buffers or waits for them without a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store import Store
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Self

SECRET: Final = b"a-secret-value"
HANDSHAKE: Final = {b"CLIENT", b"SELECT", b"AUTH", b"PING", b"HELLO", b"INFO"}

REPLIES: Final[dict[str, bytes]] = {
    "OK": b"+OK\r\n",
    "QUEUED": b"+QUEUED\r\n",
    "error": b"-ERR no\r\n",
    "a number": b":7\r\n",
    "a negative number": b":-3\r\n",
    "data": b"$14\r\na-secret-value\r\n",
    "nothing": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "an empty list": b"*0\r\n",
    "a list": b"*1\r\n$14\r\na-secret-value\r\n",
    "a list of numbers": b"*2\r\n:1\r\n:2\r\n",
    "nested lists": b"*2\r\n*2\r\n:1\r\n$1\r\na\r\n*-1\r\n",
    "an error in a list": b"*1\r\n-ERR no\r\n",
    "RESP 3: nothing": b"_\r\n",
    "RESP 3: true": b"#t\r\n",
    "RESP 3: a fraction": b",1.5\r\n",
    "RESP 3: a big number": b"(123456789012345678901234567890\r\n",
    "RESP 3: a map": b"%1\r\n$1\r\na\r\n:1\r\n",
    "RESP 3: a map with a list for a key": b"%1\r\n*0\r\n:1\r\n",
    "RESP 3: a set": b"~1\r\n:1\r\n",
    "RESP 3: a push": b">2\r\n$7\r\nmessage\r\n$1\r\na\r\n",
    "RESP 3: a text": b"=7\r\ntxt:abc\r\n",
    "a web page": b"HTTP/1.1 400 Bad Request\r\n\r\n<html>",
    "a length that is none": b"$abc\r\n",
    "a huge list": b"*4294967295\r\n",
    "a negative length": b"$-7\r\n",
}

# A wrong reply of these types can't be distinguished from a correct one.
NUMBERS: Final = {"a number"}
NOTHING: Final = {"nothing", "no list", "RESP 3: nothing"}
TEXTS: Final = {"OK", "QUEUED", "data", "RESP 3: a big number", "RESP 3: a text"}

OPERATIONS: Final[dict[str, tuple[Callable[[RedisAdapter], Awaitable[Any]], set[str]]]] = {
    "get": (lambda adapter: adapter.get("key"), TEXTS | NOTHING),
    "getdel": (lambda adapter: adapter.getdel("key"), TEXTS | NOTHING),
    "set": (lambda adapter: adapter.set("key", b"value"), {"OK"}),
    "set with a TTL": (lambda adapter: adapter.set("key", b"value", ttl=1.0), {"OK"}),
    "set if absent": (
        lambda adapter: adapter.set("key", b"value", only_if="absent"),
        {"OK"} | NOTHING,
    ),
    "delete": (lambda adapter: adapter.delete(["key"]), NUMBERS),
    "exists": (lambda adapter: adapter.exists("key"), set()),
    "expire": (lambda adapter: adapter.expire("key", 1.0), set()),
    "persist": (lambda adapter: adapter.persist("key"), set()),
    "ttl": (lambda adapter: adapter.ttl("key"), NUMBERS),
    "mget": (lambda adapter: adapter.mget(["a", "b"]), set()),
    "mset": (lambda adapter: adapter.mset([_entry("a"), _entry("b")]), {"OK"}),
    "mset with a TTL": (lambda adapter: adapter.mset([_entry("a", 1.0), _entry("b")]), {"OK"}),
    "increment": (lambda adapter: adapter.increment("key"), NUMBERS | {"a negative number"}),
    "increment with a TTL": (lambda adapter: adapter.increment("key", ttl=1.0), set()),
    "set_nx": (lambda adapter: adapter.set_nx("key", b"owner"), {"OK"} | NOTHING),
    "compare_delete": (lambda adapter: adapter.compare_delete("key", b"owner"), set()),
    "compare_expire": (
        lambda adapter: adapter.compare_expire("key", b"owner", 1.0),
        {"OK"} | NOTHING,
    ),
    "acquire": (lambda adapter: adapter.acquire("key", b"owner", 1.0, token_key="token"), NOTHING),
    "publish": (lambda adapter: adapter.publish("channel", b"payload"), NUMBERS),
    "xadd": (lambda adapter: adapter.xadd("stream", {"field": b"value"}), set()),
    "xlen": (lambda adapter: adapter.xlen("stream"), NUMBERS),
    "xtrim": (lambda adapter: adapter.xtrim("stream", 1), NUMBERS),
    "xdel": (lambda adapter: adapter.xdel("stream", ["1-1"]), NUMBERS),
    "xrange": (lambda adapter: adapter.xrange("stream"), {"an empty list"}),
    "xrevrange": (lambda adapter: adapter.xrevrange("stream"), {"an empty list"}),
    "xgroup_create": (lambda adapter: adapter.xgroup_create("stream", "group"), {"OK"}),
    "xgroup_destroy": (lambda adapter: adapter.xgroup_destroy("stream", "group"), set()),
    "xreadgroup": (
        lambda adapter: adapter.xreadgroup("stream", "group", "me"),
        NOTHING | {"an empty list"},
    ),
    "xreadgroup, history": (
        lambda adapter: adapter.xreadgroup("stream", "group", "me", history=True),
        NOTHING | {"an empty list"},
    ),
    "xreadgroup, blocked": (
        lambda adapter: adapter.xreadgroup("stream", "group", "me", block=0.01),
        NOTHING | {"an empty list"},
    ),
    "xgroups": (lambda adapter: adapter.xgroups("stream"), {"an empty list"}),
    "xack": (lambda adapter: adapter.xack("stream", "group", ["1-1"]), NUMBERS),
    "xpending": (lambda adapter: adapter.xpending("stream", "group"), {"an empty list"}),
    "xautoclaim": (lambda adapter: adapter.xautoclaim("stream", "group", "me", 0.0), set()),
    "scan": (lambda adapter: adapter.scan("*"), set()),
    "delete_prefix": (lambda adapter: adapter.delete_prefix("a:"), set()),
}


def _entry(key: str, ttl: float | None = None) -> Entry:
    return Entry(key, b"value", ttl)


class Hostile:
    """A server with a normal handshake, which answers every other command with the same bytes."""

    def __init__(self, answer: Callable[[asyncio.StreamWriter], Awaitable[None]] | bytes) -> None:
        self._answer = answer
        self.asked: list[bytes] = []
        self.url = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words: list[bytes] = []
                for _ in range(count):
                    length = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                self.asked.append(words[0])
                if words[0] in HANDSHAKE:
                    writer.write(b"+PONG\r\n" if words[0] == b"PING" else b"+OK\r\n")
                elif isinstance(self._answer, bytes):
                    writer.write(self._answer)
                else:
                    await self._answer(writer)
                await writer.drain()
        writer.close()
        self._tasks.discard(task)


@contextlib.asynccontextmanager
async def adapter_to(server: Hostile, **options: Any) -> AsyncGenerator[RedisAdapter]:
    adapter = RedisAdapter.from_url(
        server.url, timeout=options.pop("timeout", 1.0), connect_timeout=2.0, **options
    )
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()
    assert [
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task() and "_serve" not in repr(task)
    ] == []


@pytest.mark.clause("LIF-22")
@pytest.mark.parametrize("reply", REPLIES)
async def test_operation_accepts_only_replies_of_its_type(reply: str) -> None:
    wrong: list[str] = []
    async with Hostile(REPLIES[reply]) as server, adapter_to(server) as adapter:
        for name, (call, believable) in OPERATIONS.items():
            try:
                answer = await asyncio.wait_for(call(adapter), 20)
            except StoreError as error:
                shown = (
                    f"{error} {error!r} {error.to_dict()} {error.__cause__!r} {error.__context__!r}"
                )
                if SECRET.decode() in shown:
                    wrong.append(f"{name} shows the reply: {shown}")
            else:
                if reply not in believable:
                    wrong.append(f"{name} returned {answer!r}")
    assert wrong == []


async def test_claim_is_granted_only_by_ok() -> None:
    async with Hostile(b"+QUEUED\r\n") as server:
        store = Store.from_url(server.url, service="api")
        async with store:
            with pytest.raises(StoreError) as caught:
                await store.claim.once("leader", "me", ttl=30)

    assert "unexpected reply to SET" in caught.value.message
    assert caught.value.maybe_applied is True
    assert caught.value.retryable is False


async def test_unexpected_reply_ends_its_connection() -> None:
    """The next replies on the connection may belong to other commands."""
    async with Hostile(b":1\r\n") as server, adapter_to(server) as adapter:
        with pytest.raises(StoreError):
            await adapter.get("key")
        with pytest.raises(StoreError):
            await adapter.get("key")

        assert server.asked.count(b"GET") == 2
        assert await adapter.publish("channel", b"payload") == 1


@pytest.mark.parametrize("begin", [b"+", b"-", b":", b"$", b"*", b"%", b"(", b"#"], ids=repr)
async def test_endless_line_is_refused(begin: bytes) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(b"1" * 65_536)
            await writer.drain()

    async with Hostile(endless) as server, adapter_to(server, timeout=60.0) as adapter:
        with pytest.raises(StoreError) as caught:
            await asyncio.wait_for(adapter.get("key"), 30)

    assert caught.value.code is ErrorCode.STORE_OPERATION_FAILED
    assert "isn't valid RESP" in caught.value.message


@pytest.mark.clause("FLT-4")
async def test_reply_that_trickles_ends_with_timeout_and_connection() -> None:
    sent = asyncio.Event()

    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"$1000000\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"1")
                await writer.drain()
                await asyncio.sleep(0.02)
        sent.set()

    async with Hostile(trickle) as server, adapter_to(server, timeout=0.3) as adapter:
        with pytest.raises(StoreError) as caught:
            await asyncio.wait_for(adapter.get("key"), 30)
        await asyncio.wait_for(sent.wait(), 30)  # the server notices that the connection is closed

    assert caught.value.code is ErrorCode.STORE_TIMEOUT


@pytest.mark.parametrize("announced", [True, False])
async def test_reply_beyond_the_limit_is_refused(*, announced: bool) -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(
            b"$1073741824\r\n"
            if announced
            else b"*1000000\r\n" + b"$65536\r\n" + b"x" * 65_536 + b"\r\n"
        )
        with contextlib.suppress(OSError):
            while sent < 1_073_741_824:
                writer.write(
                    b"x" * 65_536 if announced else b"$65536\r\n" + b"x" * 65_536 + b"\r\n"
                )
                sent += 65_536
                await writer.drain()

    async with (
        Hostile(flood) as server,
        adapter_to(server, timeout=60.0, max_reply_bytes=8_000_000) as adapter,
    ):
        with pytest.raises(StoreError) as caught:
            await asyncio.wait_for(adapter.mget(["key"]), 60)

    assert caught.value.code is ErrorCode.STORE_OPERATION_FAILED
    assert "max_reply_bytes" in caught.value.message
    assert sent < 64_000_000


@pytest.mark.clause("PUB-10")
async def test_message_beyond_the_limit_ends_subscription_connection() -> None:
    gap = asyncio.Event()
    subscribed = 0

    async def subscribe(writer: asyncio.StreamWriter) -> None:
        nonlocal subscribed
        subscribed += 1
        writer.write(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        if subscribed == 1:
            writer.write(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$999999999\r\n" + b"x" * 4_000_000)
        await writer.drain()

    async with (
        Hostile(subscribe) as server,
        adapter_to(server, max_reply_bytes=1_000_000) as adapter,
    ):
        await adapter.subscribe("c", lambda _channel, _payload: None, on_gap=gap.set)
        async with asyncio.timeout(30):
            await gap.wait()

    assert subscribed >= 2


async def test_replies_up_to_the_limit_arrive() -> None:
    value = b"x\r\n" * 100_000

    async with (
        Hostile(b"$%d\r\n%b\r\n" % (len(value), value)) as server,
        adapter_to(server, max_reply_bytes=len(value)) as adapter,
    ):
        assert await adapter.get("key") == value


@pytest.mark.clause("FLT-4")
async def test_confirmation_that_never_comes_ends_the_connection() -> None:
    """Each subscriber gets at most one timeout, even if the server sends other data."""
    confirms = False

    async def late(writer: asyncio.StreamWriter) -> None:
        confirmation = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        message = b"*3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$1\r\nx\r\n"
        writer.write(confirmation if confirms else message)

    async with Hostile(late) as server, adapter_to(server, timeout=0.3) as adapter:
        with pytest.raises(StoreError) as caught:
            await adapter.subscribe("c", lambda _channel, _payload: None)
        confirms = True
        await asyncio.wait_for(adapter.subscribe("c", lambda _channel, _payload: None), 30)

    assert caught.value.code is ErrorCode.STORE_TIMEOUT
