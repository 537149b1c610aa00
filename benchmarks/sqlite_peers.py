"""The libraries that ours is compared with on SQLite.

Each has its own folder, and is used as its documentation says.

Rule: As in `peers`, a library is imported by name, and left out if it isn't installed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec
from igniter_store import Store

from benchmarks.payload import SERVICE
from benchmarks.peers import OURS, KeyValueCalls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from benchmarks.peers import Opening


@asynccontextmanager
async def our_sqlite() -> AsyncGenerator[KeyValueCalls]:
    """Open `store.kv` on a file, in WAL mode with synchronous=NORMAL, which is the default."""
    with TemporaryDirectory() as folder:
        async with Store.from_url(f"sqlite:///{folder}/state.db", service=SERVICE) as store:
            yield KeyValueCalls(OURS, store.kv.get, store.kv.set, written=True)


@asynccontextmanager
async def _cashews_disk() -> AsyncGenerator[KeyValueCalls]:
    # It runs diskcache in a thread for each call, and uses pickle.
    with TemporaryDirectory() as folder:
        cache = import_module("cashews").Cache()
        cache.setup(f"disk://?directory={folder}")
        await cache.init()
        try:
            # If cashews doesn't get its lock within a hundredth of a second, it returns False
            # and writes nothing.
            async def set_(key: str, value: Any) -> bool:
                while not await cache.set(key, value):
                    pass
                return True

            yield KeyValueCalls("cashews disk://", cache.get, set_, written=True)
        finally:
            await cache.close()


@asynccontextmanager
async def _diskcache() -> AsyncGenerator[KeyValueCalls]:
    # It doesn't support asyncio; its documentation recommends an executor.
    with TemporaryDirectory() as folder:
        cache = import_module("diskcache").Cache(folder)
        run = asyncio.get_running_loop().run_in_executor
        try:
            yield KeyValueCalls(
                "diskcache",
                partial(run, None, cache.get),
                partial(run, None, cache.set),
                written=True,
            )
        finally:
            cache.close()


@asynccontextmanager
async def _py_key_value_disk() -> AsyncGenerator[KeyValueCalls]:
    # It runs diskcache on the event loop itself, and uses JSON.
    with TemporaryDirectory() as folder:
        store = import_module("key_value.aio.stores.disk").DiskStore(directory=folder)
        yield KeyValueCalls("py-key-value disk", store.get, store.put, written=None)
        await store.close()


@asynccontextmanager
async def _bare_aiosqlite() -> AsyncGenerator[KeyValueCalls]:
    # It makes one commit for each call, and uses JSON and the same settings as ours.
    with TemporaryDirectory() as folder:
        async with import_module("aiosqlite").connect(Path(folder) / "bare.db") as connection:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = NORMAL")
            await connection.execute(
                "CREATE TABLE pairs (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
            )
            encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

            async def get(key: str) -> Any:
                async with connection.execute(
                    "SELECT value FROM pairs WHERE key = ?", (key,)
                ) as cursor:
                    row = await cursor.fetchone()
                return None if row is None else decode(row[0])

            async def set_(key: str, value: Any) -> None:
                await connection.execute("REPLACE INTO pairs VALUES (?, ?)", (key, encode(value)))
                await connection.commit()

            yield KeyValueCalls("bare aiosqlite", get, set_, written=None)


SQLITE: Final[dict[str, Opening]] = {
    "cashews": _cashews_disk,
    "diskcache": _diskcache,
    "py-key-value-aio": _py_key_value_disk,
    "aiosqlite": _bare_aiosqlite,
}
"""The peers of the SQLite backend, by distribution name."""
