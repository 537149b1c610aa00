"""A process that can only read a folder.

As root it uses a mount of its own, otherwise the folder's mode. It runs the commands on its input,
one a line, and prints their results.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from igniter_store.contract import Entry, StoreError
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable

FOLDER = Path(sys.argv[1])


def let_it_be_read_only() -> None:
    if os.geteuid():
        for path in (*FOLDER.iterdir(), FOLDER):
            path.chmod(0o555 if path.is_dir() else 0o444)
    else:
        # in our own mount namespace
        subprocess.run(["mount", "--bind", str(FOLDER), str(FOLDER)], check=True)  # noqa: S603, S607
        # as above
        subprocess.run(["mount", "-o", "remount,ro,bind", str(FOLDER)], check=True)  # noqa: S603, S607


async def outcome(call: Awaitable[object]) -> str:
    try:
        return repr(await call)
    except StoreError as error:
        return f"{error.code} {error.message}"


async def in_a_child(key: str) -> bytes | None:
    """Return the value that a forked child reads, with an adapter of its own."""
    here, there = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(there, asyncio.run(get(key)))  # type: ignore[arg-type]  # as below
        finally:
            os._exit(0)
    os.close(there)
    await asyncio.to_thread(os.waitpid, child, 0)
    with os.fdopen(here, "rb") as pipe:
        return pipe.read()


async def get(key: str) -> bytes | None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{FOLDER}/state.db")
    await adapter.open()
    try:
        return await adapter.get(key)
    finally:
        await adapter.close()


async def answers(adapter: SQLiteAdapter, word: str, *rest: str) -> list[str]:
    if word == "open":
        return [await outcome(adapter.open())]
    if word == "close":
        return [await outcome(adapter.close())]
    if word == "get":
        return [await outcome(adapter.get(rest[0]))]
    if word == "fork":
        return [await outcome(in_a_child(rest[0]))]
    if word == "backup":
        return [await outcome(adapter.backup(rest[0]))]
    calls: list[Awaitable[object]]
    if word == "read":
        calls = [
            adapter.get("key"),
            adapter.mget(["key", "none"]),
            adapter.exists("key"),
            adapter.xrange("stream"),
            adapter.xlen("stream"),
            adapter.xgroups("stream"),
            adapter.xpending("stream", "group"),
            adapter.scan("*"),
            adapter.ping(),
        ]
    else:
        calls = [
            adapter.set("key", b"other"),
            adapter.set("none", b"other", only_if="present"),
            adapter.getdel("none"),
            adapter.delete(["none"]),
            adapter.expire("none", 1.0),
            adapter.persist("none"),
            adapter.mset([Entry("key", b"other")]),
            adapter.increment("counter"),
            adapter.set_nx("key", b"me"),
            adapter.compare_delete("none", b"me"),
            adapter.compare_expire("none", b"me", 1.0),
            adapter.acquire("claim", b"me", 1.0, token_key="token"),
            adapter.publish("news", b"1"),
            adapter.subscribe("news", lambda _, payload: None),
            adapter.psubscribe("*", lambda _, payload: None),
            adapter.xadd("stream", {"a": b"b"}),
            adapter.xtrim("stream", 0),
            adapter.xdel("stream", ["1-1"]),
            adapter.xgroup_create("stream", "other"),
            adapter.xgroup_destroy("stream", "none"),
            adapter.xreadgroup("stream", "group", "consumer"),
            adapter.xack("stream", "group", ["1-1"]),
            adapter.xautoclaim("stream", "group", "consumer", 0.0),
            adapter.delete_prefix("none"),
        ]
    return [await outcome(call) for call in calls]


async def main() -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{FOLDER}/state.db")
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await answers(adapter, *line.split()), flush=True)  # noqa: T201 - the test reads this output


logging.basicConfig(stream=sys.stderr)
let_it_be_read_only()
print("ready", flush=True)  # noqa: T201 - the test waits for this line
asyncio.run(main())
