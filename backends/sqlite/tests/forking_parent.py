"""A process that forks while it has databases open.

`python forking_parent.py SCENARIO FOLDER` prints the result as JSON.

It isn't a test itself, because a test run must not be the process that forks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from igniter_store.contract import StoreError
from igniter_store_sqlite import SQLiteAdapter, sweeper
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

WORKERS, TIMES = 3, 100
LONG = 60.0  # seconds; longer than any step takes on a busy machine


@contextlib.asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}", timeout=LONG, **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


def forked(work: Callable[[], Awaitable[Any]]) -> int:
    """Fork a child that does the work in its own event loop and exits; return its process id."""
    child = os.fork()
    if not child:
        code = 1
        try:
            # all of them are coroutines
            asyncio.run(work())  # type: ignore[arg-type, unused-ignore]
            code = 0
        except BaseException as error:  # noqa: BLE001 - the parent must see any exception
            # The test reads it.
            print(f"in the child: {error!r}", file=sys.stderr, flush=True)  # noqa: T201
        finally:
            os._exit(code)
    return child


def ignore(channel: str, payload: bytes) -> None:
    del channel, payload


async def exit_codes(children: list[int]) -> list[int]:
    return [
        os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1])
        for child in children
    ]


async def counts(path: Path, times: int = TIMES) -> None:
    async with opened(path) as adapter:
        for _ in range(times):
            await adapter.increment("counter")


async def sets(path: Path, worker: int, begun: Any, goes_on: Any) -> None:
    async with opened(path) as adapter:
        for number in range(TIMES):
            await adapter.set(f"{worker} {number}", b"value")
            if number == TIMES // 10:
                begun.release()
                await asyncio.to_thread(goes_on.wait)


def sets_in_a_process(path: Path, worker: int, begun: Any, goes_on: Any) -> None:
    asyncio.run(sets(path, worker, begun, goes_on))


async def found(path: Path) -> int:
    async with opened(path) as adapter:
        values = await adapter.mget(
            [f"{worker} {number}" for worker in range(WORKERS) for number in range(TIMES)]
        )
    return sum(value is not None for value in values)


async def close_meanwhile(folder: Path, method: str) -> dict[str, Any]:
    """The parent closes its own adapter while each of its workers is running its sets."""
    path = folder / "state.db"
    context: Any = multiprocessing.get_context(method)
    begun, goes_on = context.Semaphore(0), context.Event()
    async with opened(path) as adapter:
        await adapter.set("parent", b"before")
        workers = [
            context.Process(target=sets_in_a_process, args=(path, worker, begun, goes_on))
            for worker in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
            await adapter.set("parent", b"between")
        for _ in workers:
            await asyncio.to_thread(begun.acquire)
        await adapter.set("parent", b"after")
    goes_on.set()
    for worker in workers:
        await asyncio.to_thread(worker.join)
    return {"found": await found(path), "codes": [worker.exitcode for worker in workers]}


async def be_killed(folder: Path) -> None:
    """The parent is killed while its workers are running their sets.

    The test waits for the workers.
    """
    path = folder / "state.db"
    context: Any = multiprocessing.get_context("fork")
    begun, goes_on = context.Semaphore(0), context.Event()
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}")
    await adapter.open()
    for worker in range(WORKERS):
        forked(lambda worker=worker: sets(path, worker, begun, goes_on))  # type: ignore[misc]
        await adapter.set("parent", b"between")
    for _ in range(WORKERS):
        await asyncio.to_thread(begun.acquire)
    goes_on.set()
    os.kill(os.getpid(), signal.SIGKILL)


# All of this runs concurrently.
async def go_on(folder: Path, *, from_thread: bool) -> dict[str, Any]:  # noqa: C901
    """Everything continues in the parent while it forks.

    It counts, publishes, subscribes, waits for entries, opens and copies.
    """
    path, is_over, counted, published = folder / "state.db", asyncio.Event(), 0, 0
    heard: list[int] = []
    gaps: list[None] = []
    read: list[str] = []
    async with opened(path) as one, opened(path) as other:
        await other.subscribe(
            "channel",
            lambda _, payload: heard.append(int(payload)),
            on_gap=lambda: gaps.append(None),
        )
        await other.xgroup_create("stream", "group")

        async def count(adapter: SQLiteAdapter) -> None:
            nonlocal counted
            while not is_over.is_set():
                await adapter.increment("counter")
                counted += 1

        async def publish() -> None:
            nonlocal published
            while not is_over.is_set():
                await one.publish("channel", b"%d" % published)
                await one.xadd("stream", {"n": b"%d" % published})
                published += 1

        async def read_on() -> None:
            while not publishing.done() or len(read) < published:
                read.extend(
                    entry.id
                    for entry in await other.xreadgroup("stream", "group", "consumer", block=0.2)
                )

        async def open_and_close() -> None:
            while not is_over.is_set():
                async with opened(path) as adapter:
                    await adapter.set("key", b"value")

        async def copy() -> None:
            while not is_over.is_set():
                await one.backup(folder / "copy.db")

        publishing = asyncio.create_task(publish())
        going_on = [
            asyncio.create_task(part)
            for part in (count(one), count(other), read_on(), open_and_close(), copy())
        ]

        async def parent_and_child() -> None:
            await counts(path, TIMES // 4)
            assert await exit_codes([forked(lambda: counts(path, TIMES // 4))]) == [0]

        children: list[int] = []
        for number in range(6):
            if from_thread:
                children.append(await asyncio.to_thread(forked, parent_and_child))
            else:
                children.append(forked(parent_and_child))
            for _ in range(number):
                await one.increment("between")
        codes = await exit_codes(children)
        is_over.set()
        await asyncio.gather(publishing, *going_on)
        async with asyncio.timeout(LONG):
            # The list has no event to wait for.
            while len(heard) < published:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        total = int(await one.get("counter") or 0)
    return {
        "codes": codes,
        "lost": counted + 6 * 2 * (TIMES // 4) - total,
        "heard": heard == list(range(published)),
        "gaps": len(gaps),
        "read": len(read) == published == len(set(read)),
    }


def open_files() -> list[str]:
    return [
        str(descriptor.readlink())
        for descriptor in Path("/proc/self/fd").iterdir()
        if descriptor.exists()
    ]


async def use_the_inherited(folder: Path) -> dict[str, Any]:
    """A child uses the adapter of its parent, closes it and opens it again."""
    path, answers = folder / "state.db", folder / "answers"

    async def use(adapter: SQLiteAdapter) -> None:
        got: list[Any] = []
        for call in (
            adapter.get("key"),
            adapter.increment("counter"),
            adapter.subscribe("channel", ignore),
            adapter.ping(),
        ):
            try:
                got.append(await call)
            except StoreError as error:
                got.append([error.code, error.message])
        await adapter.close()
        files = await asyncio.to_thread(open_files)
        await adapter.open()
        got.extend(((await adapter.get("key") or b"").decode(), await adapter.increment("counter")))
        await adapter.close()
        answers.write_text(
            json.dumps({"got": got, "files": [name for name in files if "state.db" in name]})
        )

    async with opened(path) as adapter:
        await adapter.subscribe("channel", ignore)
        await adapter.set("key", b"value")
        codes = await exit_codes([forked(lambda: use(adapter))])
        return {
            "codes": codes,
            **json.loads(answers.read_text()),
            "parent": await adapter.increment("counter"),
        }


async def have_another_connection(folder: Path) -> dict[str, Any]:
    """A child opens a file to which its parent has another connection.

    The adapter can't close that connection before the fork.
    """
    path, answer = folder / "state.db", folder / "answer"

    async def open_it() -> None:
        try:
            async with opened(path) as adapter:
                answer.write_text(json.dumps(await adapter.increment("counter")))
        except StoreError as error:
            answer.write_text(json.dumps([error.code, error.message]))

    async with opened(path) as adapter:
        await adapter.set("key", b"value")
        with contextlib.closing(sqlite3.connect(path)) as own:
            own.execute("SELECT count(*) FROM igniter_keys").fetchone()
            codes = await exit_codes([forked(open_it)])
            refused = json.loads(answer.read_text())
        codes += await exit_codes([forked(open_it)])
    return {"codes": codes, "refused": refused, "then": json.loads(answer.read_text())}


async def lend_an_engine(folder: Path) -> dict[str, Any]:
    """An adapter uses the user's own engine, in the parent and in its workers."""
    path = folder / "state.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    adapter = SQLiteAdapter(engine, timeout=LONG)
    await adapter.open()
    children: list[int] = []
    for _ in range(WORKERS):
        children.append(forked(lambda: counts(path)))
        await adapter.increment("counter")
    codes = await exit_codes(children)
    total = await adapter.increment("counter", 0)
    await adapter.close()
    async with engine.connect() as connection:
        lent = (await connection.exec_driver_sql("SELECT count(*) FROM igniter_keys")).scalar_one()
    await engine.dispose()
    return {"codes": codes, "total": total, "lent": lent}


async def be_in_memory(folder: Path) -> dict[str, Any]:
    """The parent keeps its database in memory, and its children can have their own."""
    del folder

    async def own() -> None:
        adapter = SQLiteAdapter.from_url("sqlite://")
        await adapter.open()
        assert await adapter.increment("counter") == 1
        await adapter.close()

    adapter, is_over = SQLiteAdapter.from_url("sqlite://"), False
    await adapter.open()

    async def count() -> int:
        counted = 0
        while not is_over:
            counted += 1
            assert await adapter.increment("counter") == counted
        return counted

    async def own_from_the_inherited() -> None:
        await adapter.close()
        await adapter.open()
        assert await adapter.get("counter") is None
        await adapter.close()

    counting = asyncio.create_task(count())
    children = [forked(own_from_the_inherited)]
    for _ in range(20):
        await asyncio.sleep(0)
        children.append(forked(own))
    codes = await exit_codes(children)
    is_over = True
    counted = await counting
    await adapter.close()
    return {"codes": sorted(set(codes)), "counted": counted > 0}


async def open_and_close(folder: Path) -> dict[str, Any]:
    """The process forks at many moments of an `open` and of a `close`.

    The child opens the same adapter, and one of its own.
    """
    path, codes = folder / "state.db", list[int]()

    async def use(adapter: SQLiteAdapter) -> None:
        await adapter.close()
        await adapter.open()
        await adapter.increment("counter")
        await adapter.close()
        await counts(path, 1)

    turns = 12
    for turn in range(turns):
        adapter = SQLiteAdapter.from_url(f"sqlite:///{path}", timeout=LONG)
        for step in (adapter.open, adapter.close):
            going = asyncio.create_task(step())
            for _ in range(turn):
                await asyncio.sleep(0)
            await asyncio.sleep(
                0.002 * max(0, turn - turns // 2)
            )  # the steps of a thread can't be counted in loop iterations
            codes += await exit_codes([forked(partial(use, adapter))])
            await going
    async with opened(path) as adapter:
        return {
            "codes": sorted(set(codes)),
            "lost": 4 * turns - int(await adapter.get("counter") or 0),
        }


def setting(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def lose_the_file(folder: Path) -> dict[str, Any]:
    """The file is moved away after a fork, and put back."""
    path, away = folder / "state.db", folder / "away.db"
    async with opened(path, synchronous="full") as adapter:
        await adapter.set("key", b"value")
        codes = await exit_codes([forked(lambda: counts(path, 1))])
        path.rename(away)
        code = None
        try:
            await adapter.get("key")
        except StoreError as error:
            code = error.code
        made_anew = path.exists()
        away.rename(path)
        untyped: Any = adapter
        settings = {
            name: await worker.run(partial(setting, name=name))
            for name, worker in (
                ("synchronous", untyped._writes),
                ("query_only", untyped._reads),
                ("journal_mode", untyped._reads),
            )
        }
        return {
            "codes": codes,
            "code": code,
            "made anew": made_anew,
            "value": (await adapter.get("key") or b"").decode(),
            "settings": settings,
        }


async def tend_the_log(folder: Path) -> dict[str, Any]:
    """The WAL is another file after a fork, which has closed the last connection.

    If the new WAL is removed, the adapter still notices.
    """
    path, log, module = folder / "state.db", folder / "state.db-wal", cast("Any", sweeper)
    module._PAUSE = LONG  # this function tends the WAL instead
    async with opened(path) as adapter:
        await adapter.set("key", b"value")
        untyped: Any = adapter
        log_file: Any = untyped._database.log_file
        await log_file._let_commits_copy(False)
        codes = await exit_codes([forked(lambda: asyncio.sleep(0))])
        pages = await untyped._writes.run(partial(setting, name="wal_autocheckpoint"))
        for number in range(20):
            codes += await exit_codes([forked(lambda: asyncio.sleep(0))])
            (folder / f"other {number}").touch()  # so that the next WAL can't get the same inode
            await log_file.tend()
            await adapter.increment("counter")
            await log_file.tend()
        counted = int(await adapter.get("counter") or 0)
        log.unlink()
        await log_file.tend()
        code = None
        try:
            await adapter.get("key")
        except StoreError as error:
            code = error.code
    return {"codes": sorted(set(codes)), "pages": pages, "counted": counted, "code": code}


async def carry_forward(folder: Path) -> dict[str, Any]:
    """A newer release migrates the tables before the parent reopens its connections."""
    path = folder / "state.db"

    async def carry() -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "INSERT INTO igniter_schema (version) SELECT max(version) + 1 FROM igniter_schema"
            )

    codes: list[str | None] = []
    async with opened(path) as adapter:
        await adapter.set("key", b"value")
        await adapter.get("key")
        children = await exit_codes([forked(carry)])
        for call in (
            adapter.get("key"),
            adapter.set("key", b"other"),
            adapter.get("key"),
            adapter.increment("counter"),
        ):
            try:
                await call
                codes.append(None)
            except StoreError as error:
                codes.append(error.code)
    return {"children": children, "codes": codes}


async def find_the_file_locked(folder: Path) -> dict[str, Any]:
    """Another process locks the file after a fork, when the parent reopens its connections."""
    path = folder / "state.db"
    async with opened(path) as adapter:
        await adapter.set("key", b"value")
        untyped: Any = adapter
        reads: Any = untyped._reads
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            child = forked(lambda: asyncio.sleep(0))
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            running, calling = (
                reads.run(partial(setting, name="query_only")),
                asyncio.create_task(adapter.get("key")),
            )
            cancelled = reads.run(partial(setting, name="query_only"))
            await asyncio.sleep(0.2)  # time has to pass, in which calls that don't wait would end
            cancelled.cancel()
            waits = not running.done() and not calling.done()
        codes = await exit_codes([child])
        return {
            "codes": codes,
            "waits": waits,
            "query_only": await running,
            "value": (await calling or b"").decode(),
        }


async def copy_for_long(folder: Path) -> dict[str, Any]:
    """A long copy doesn't delay a fork, and is complete nevertheless."""
    path, began = folder / "state.db", threading.Event()
    async with opened(path) as adapter:
        await adapter.set("key", b"value")
        untyped: Any = adapter
        async with (
            untyped._database.on_the_side() as worker
        ):  # the copy's connection, with a statement that takes longer
            worker.let_forks_interrupt(True)

            def take_long(connection: sqlite3.Connection) -> str:
                began.set()
                try:
                    connection.execute(
                        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT "
                        "max(n) FROM n"
                    ).fetchone()
                except sqlite3.OperationalError as error:
                    return error.sqlite_errorname
                return "never"

            taking = worker.run(take_long)
            await asyncio.to_thread(began.wait)
            codes = await exit_codes([forked(lambda: counts(path, 1))])
            interrupted = await taking
        copying = asyncio.create_task(adapter.backup(folder / "copy.db"))
        for _ in range(8):
            codes += await exit_codes([forked(lambda: counts(path, 1))])
        await copying
    async with opened(folder / "copy.db") as copy:
        return {
            "codes": sorted(set(codes)),
            "interrupted": interrupted,
            "value": (await copy.get("key") or b"").decode(),
        }


SCENARIOS: dict[str, Callable[[Path], Awaitable[Any]]] = {
    "close_meanwhile_fork": partial(close_meanwhile, method="fork"),
    "close_meanwhile_forkserver": partial(close_meanwhile, method="forkserver"),
    "close_meanwhile_spawn": partial(close_meanwhile, method="spawn"),
    "be_killed": be_killed,
    "go_on": partial(go_on, from_thread=False),
    "go_on_from_thread": partial(go_on, from_thread=True),
    "use_the_inherited": use_the_inherited,
    "have_another_connection": have_another_connection,
    "lend_an_engine": lend_an_engine,
    "be_in_memory": be_in_memory,
    "open_and_close": open_and_close,
    "lose_the_file": lose_the_file,
    "find_the_file_locked": find_the_file_locked,
    "copy_for_long": copy_for_long,
    "tend_the_log": tend_the_log,
    "carry_forward": carry_forward,
}


if __name__ == "__main__":
    # read by the test
    print(json.dumps(asyncio.run(SCENARIOS[sys.argv[1]](Path(sys.argv[2])))))  # type: ignore[arg-type, unused-ignore]  # noqa: T201
