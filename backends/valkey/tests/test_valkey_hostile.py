"""Servers and proxies that send wrong replies.

Rule: the adapter never returns or shows the values that glide makes of them.
Rule: replies that abort the process in glide (a big number, as of 2.5) are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import Entry, StoreError
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

GREETING: Final = {
    b"HELLO": b"%2\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$5\r\nproto\r\n:3\r\n",
    b"CLIENT": b":5\r\n",
    b"PING": b"+PONG\r\n",
    b"INFO": b"$12\r\nrole:master\n\r\n",
}

REPLIES: Final[dict[str, bytes]] = {
    "QUEUED": b"+QUEUED\r\n",
    "error": b"-ERR unknown command 'a-secret'\r\n",
    "data": b"$14\r\na-secret-value\r\n",
    "an empty list": b"*0\r\n",
    "a list": b"*1\r\n$14\r\na-secret-value\r\n",
    "a list of numbers": b"*2\r\n:1\r\n:2\r\n",
    "nested lists": b"*2\r\n*2\r\n:1\r\n$1\r\na\r\n$-1\r\n",
    "a fraction": b",1.5\r\n",
    "a map": b"%1\r\n$1\r\na\r\n:1\r\n",
}

# The acceptable results for these replies: text for a value, an empty list for no entries.
TEXTS: Final = {"QUEUED", "data"}
LISTS: Final = {"an empty list"}

OPERATIONS: Final[dict[str, tuple[Callable[[ValkeyAdapter], Awaitable[Any]], set[str]]]] = {
    "get": (lambda adapter: adapter.get("key"), TEXTS),
    "getdel": (lambda adapter: adapter.getdel("key"), TEXTS),
    "set": (lambda adapter: adapter.set("key", b"value"), set()),
    "set if absent": (lambda adapter: adapter.set("key", b"value", only_if="absent"), set()),
    "delete": (lambda adapter: adapter.delete(["key"]), set()),
    "exists": (lambda adapter: adapter.exists("key"), set()),
    "expire": (lambda adapter: adapter.expire("key", 1.0), set()),
    "persist": (lambda adapter: adapter.persist("key"), set()),
    "ttl": (lambda adapter: adapter.ttl("key"), set()),
    "mget": (lambda adapter: adapter.mget(["a", "b"]), set()),
    "mset": (lambda adapter: adapter.mset([Entry("a", b"1", None), Entry("b", b"2", None)]), set()),
    "increment": (lambda adapter: adapter.increment("key"), set()),
    "increment with a TTL": (lambda adapter: adapter.increment("key", ttl=1.0), set()),
    "set_nx": (lambda adapter: adapter.set_nx("key", b"owner"), set()),
    "compare_delete": (lambda adapter: adapter.compare_delete("key", b"owner"), set()),
    "compare_expire": (lambda adapter: adapter.compare_expire("key", b"owner", 1.0), set()),
    "acquire": (lambda adapter: adapter.acquire("key", b"owner", 1.0, token_key="token"), set()),
    "publish": (lambda adapter: adapter.publish("channel", b"payload"), set()),
    "xadd": (lambda adapter: adapter.xadd("stream", {"field": b"value"}), set()),
    "xlen": (lambda adapter: adapter.xlen("stream"), set()),
    "xrange": (lambda adapter: adapter.xrange("stream"), LISTS),
    "xgroup_create": (lambda adapter: adapter.xgroup_create("stream", "group"), set()),
    "xgroup_destroy": (lambda adapter: adapter.xgroup_destroy("stream", "group"), set()),
    "xreadgroup": (lambda adapter: adapter.xreadgroup("stream", "group", "me"), LISTS),
    "xgroups": (lambda adapter: adapter.xgroups("stream"), LISTS),
    "xack": (lambda adapter: adapter.xack("stream", "group", ["1-1"]), set()),
    "xpending": (lambda adapter: adapter.xpending("stream", "group"), LISTS),
    "xautoclaim": (lambda adapter: adapter.xautoclaim("stream", "group", "me", 0.0), set()),
    "scan": (lambda adapter: adapter.scan("*"), set()),
    "delete_prefix": (lambda adapter: adapter.delete_prefix("a:"), set()),
}


@contextlib.asynccontextmanager
async def hostile(reply: bytes) -> AsyncGenerator[str]:
    """The URL of a server that answers wrongly.

    Its handshake is normal; every other command gets the same bytes.
    """
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words: list[bytes] = []
                for _ in range(count):
                    length = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                writer.write(GREETING.get(words[0].upper(), reply))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"valkey://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.clause("LIF-22")
@pytest.mark.parametrize("reply", REPLIES)
async def test_operation_accepts_only_replies_of_its_type(reply: str) -> None:
    wrong: list[str] = []
    async with hostile(REPLIES[reply]) as url:
        adapter = ValkeyAdapter.from_url(url, timeout=2.0, connect_timeout=5.0)
        await adapter.open()
        for name, (call, believable) in OPERATIONS.items():
            try:
                answer = await asyncio.wait_for(call(adapter), 60)
            except StoreError as error:
                shown = (
                    f"{error!r} {error.to_dict()} {error.__cause__!r} "
                    f"{error.__cause__ and error.__cause__.__cause__!r}"
                )
                if "a-secret" in shown:
                    wrong.append(f"{name} shows the reply: {shown}")
            else:
                if reply not in believable:
                    wrong.append(f"{name} returned {answer!r}")
        await adapter.close()
    assert wrong == []
