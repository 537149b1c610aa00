"""A process forks with an open store.

In the child, the inherited store refuses calls until it is closed and opened again. The parent is
unaffected.

Each case is a script of its own, because a fork of a test run with threads causes a warning, and
copies locks that a thread may hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import pytest
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
]

BACKENDS: Final = ["memory", "sqlite", "sqlite-memory", "redis", "valkey"]
SHARED: Final = ["sqlite", "redis", "valkey"]

PRELUDE: Final = """
import asyncio, faulthandler, os, signal, sys, threading, warnings
faulthandler.register(signal.SIGALRM, chain=True)
signal.alarm(50)
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from igniter_store import Store, StoreError

URL = sys.argv[1]
if sys.argv[2] == "uvloop":
    import uvloop
    run = uvloop.run
else:
    run = asyncio.run

def new_store():
    return Store.from_url(URL, service="forks")

def forked(child, leave=os._exit):
    '''Run `child` in a forked process, which ends by `leave`, and return its process id.'''
    pid = os.fork()
    if pid == 0:
        signal.alarm(40)
        status = 1
        try:
            child()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if status or leave is os._exit:
                os._exit(status)
        leave(status)
    return pid

def ended(pid):
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status

async def refused(call):
    try:
        await call
    except StoreError as error:
        assert error.code == "STORE_CONFIGURATION_INVALID", error
        assert "Open a store after the fork" in error.message, error
    else:
        raise AssertionError("not refused")

async def use(store):
    await store.kv.set("k", 1)
    assert await store.kv.get("k") == 1

async def assert_delivered(store, received, number):
    '''Publish an event, and wait until the subscription from before the fork delivers it.'''
    await store.events.publish("e", number)
    async with asyncio.timeout(30):
        while (event := await received.get()).data != number:
            pass

def in_thread(child):
    '''Run `child` in a thread without a running loop: a process forked by a coroutine inherits one.'''
    raised = []
    def work():
        try:
            run(child())
        except BaseException as error:
            raised.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
"""  # noqa: E501 - lines of a script


def url_for(backend: str, tmp_path: Path) -> str:
    match backend:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path / 'state.db'}"
        case "sqlite-memory":
            return "sqlite://"
        case _:
            return f"{backend}://{servers.or_skip(backend).url.partition('://')[2]}"


def run_script(script: str, url: str, loop: str, *python_options: str) -> str:
    command = [sys.executable, *python_options, "-c", PRELUDE + textwrap.dedent(script), url, loop]
    # our own script
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)  # noqa: S603
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.thorough)])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_for(request.param, tmp_path)


@pytest.fixture(params=SHARED)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_for(request.param, tmp_path)


@pytest.mark.clause("LIF-14")
def test_child_is_refused_and_parent_keeps_working(url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            subscription = await store.events.subscribe("e", received.put_nowait)
            stream = store.events.listen("e")
            await stream.__aenter__()
            await use(store)

            async def child():
                for call in (
                    lambda: store.kv.get("k"), lambda: store.kv.set("k", 2), lambda: store.counter.increment("c"),
                    lambda: store.claim.once("c", "me"), lambda: store.batch.get(["k"]), lambda: store.batch.get([]),
                    lambda: store.events.publish("e", 2), lambda: store.events.subscribe("e", print),
                    lambda: store.streams.append("s", 1), lambda: store.streams.group("g", "c").ensure("s"),
                    lambda: store.dev.scan("*"), lambda: store.scope("tenant", 1).kv.get("k"), lambda: store.ping(),
                    lambda: store.open(), lambda: store.__aenter__(), lambda: anext(stream),
                ):
                    await refused(call())
                await subscription.cancel()
                await refused(store.kv.get("k"))

            ended(forked(lambda: in_thread(child)))
            await assert_delivered(store, received, 3)
            await use(store)
            await store.close()

        run(main())
        """,  # noqa: E501 - lines of a script
        url,
        loop,
    )


@pytest.mark.clause("LIF-14", "LIF-15")
def test_child_closes_and_parent_keeps_its_subscription(url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)
            await use(store)

            async def child():
                await store.close()
                await store.close()
                assert not store.is_open
                try:
                    await store.kv.get("k")
                except StoreError as error:
                    assert error.code == "STORE_CLOSED", error
                else:
                    raise AssertionError("not closed")
                await store.open()
                await use(store)
                await store.close()

            for number in range(3):
                ended(forked(lambda: in_thread(child)))
                await assert_delivered(store, received, number)
                await use(store)
            await store.close()

        run(main())
        """,
        url,
        loop,
    )


@pytest.mark.clause("LIF-20")
def test_child_opens_store_of_its_own(shared_url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)
            await use(store)

            async def child():
                async with new_store() as own:
                    assert await own.kv.get("k") == 1
                    await own.kv.set("from the child", 1)
                    await own.events.publish("e", "from the child")

            pid = forked(lambda: in_thread(child))
            async with asyncio.timeout(30):
                assert (await received.get()).data == "from the child"
            ended(pid)
            assert await store.kv.pop("from the child") == 1
            await assert_delivered(store, received, 3)
            await store.close()

        run(main())
        """,
        shared_url,
        loop,
    )


@pytest.mark.clause("LIF-14", "LIF-15")
def test_store_of_loop_that_has_ended_is_refused(url: str, loop: str) -> None:
    """The parent used a module-level store before it forks its workers."""
    run_script(
        """
        store = new_store()
        run(use(store))

        def child():
            run(refused(store.kv.get("k")))
            run(store.close())
            run(store.open())
            run(use(store))
            run(store.close())

        ended(forked(child))
        run(use(store))
        run(store.close())
        """,
        url,
        loop,
    )


def test_store_that_was_not_open_works_in_child(url: str, loop: str) -> None:
    run_script(
        """
        fresh, was_closed = new_store(), new_store()
        run(use(was_closed))
        run(was_closed.close())

        def child():
            run(use(fresh))
            run(fresh.close())
            run(was_closed.open())
            run(use(was_closed))
            run(was_closed.close())

        ended(forked(child))
        run(use(fresh))
        run(fresh.close())
        """,
        url,
        loop,
    )


@pytest.mark.clause("LIF-15", "LIF-20")
def test_parent_keeps_working_however_child_exits(url: str, loop: str) -> None:
    """The child runs all of Python's clean-up.

    This includes garbage collection and cancelling the tasks of the inherited loop. Timers of
    background tasks are due when it exits.
    """
    output = run_script(
        """
        import gc, time
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)
            await use(store)
            # SQLite's opening uses asyncio.to_thread: asyncio itself then hangs in a child that ends the inherited loop.
            ways = (os._exit,) if URL.startswith("sqlite") else (os._exit, sys.exit, os._exit, sys.exit)
            for number, leave in enumerate(ways):
                def child():
                    gc.collect()
                time.sleep(0.3)
                pid = forked(child, leave)
                while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    await asyncio.sleep(0.01)
                ended(pid)
                await assert_delivered(store, received, number)
                await use(store)
            await store.close()

        run(main())
        """,  # noqa: E501 - lines of a script
        url,
        loop,
    )
    assert "Traceback" not in output
    assert "Warning" not in output


@pytest.mark.clause("LIF-14", "LIF-20")
def test_child_exits_while_calls_are_in_flight(url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            await use(store)
            await store.streams.group("g", "c").ensure("s")
            before = await store.counter.get("c") or 0
            reading = asyncio.create_task(store.streams.group("g", "c").read("s", block=30))
            await asyncio.sleep(0.05)  # not every backend shows that the read is blocked
            calls = [asyncio.create_task(store.counter.increment("c")) for _ in range(50)]
            await asyncio.sleep(0)

            async def child():
                await refused(store.kv.get("k"))
                await store.close()

            pid = forked(lambda: in_thread(child))
            assert sorted(await asyncio.gather(*calls)) == [before + number for number in range(1, 51)]
            ended(pid)
            await store.streams.append("s", "new")
            assert [message.message for message in await reading] == ["new"]
            await store.close()

        run(main())
        """,  # noqa: E501 - lines of a script
        url,
        loop,
    )


@pytest.mark.clause("LIF-14")
def test_fork_from_thread_leaves_parent_working(url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)

            async def child():
                await refused(store.kv.get("k"))
                await store.close()

            def from_thread():
                for _ in range(5):
                    ended(forked(lambda: run(child())))

            forking = asyncio.create_task(asyncio.to_thread(from_thread))
            while not forking.done():
                await use(store)
                await asyncio.sleep(0.001)
            await forking
            await assert_delivered(store, received, 3)
            await store.close()

        run(main())
        """,
        url,
        loop,
    )


@pytest.mark.clause("LIF-14", "LIF-15")
def test_nested_forks_leave_every_ancestor_working(shared_url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)

            async def child():
                await store.close()
                await store.open()
                mine = asyncio.Queue()
                await store.events.subscribe("e", mine.put_nowait)

                async def grandchild():
                    await refused(store.kv.get("k"))
                    await store.close()
                    await store.open()
                    await use(store)
                    await store.close()

                ended(forked(lambda: in_thread(grandchild)))
                await assert_delivered(store, mine, "child")
                await use(store)
                await store.close()

            ended(forked(lambda: in_thread(child)))
            await assert_delivered(store, received, "parent")
            await use(store)
            await store.close()

        run(main())
        """,
        shared_url,
        loop,
    )


@pytest.mark.clause("LIF-15")
def test_multiprocessing_child_exits_by_itself(url: str, loop: str) -> None:
    run_script(
        """
        import multiprocessing

        async def closing(store):
            await refused(store.kv.get("k"))
            await store.close()

        def work(store, closes):
            if closes:
                run(closing(store))

        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)
            context = multiprocessing.get_context("fork")
            for closes in (False, True):
                process = context.Process(target=work, args=(store, closes))
                process.start()
                await asyncio.to_thread(process.join, 30)
                assert process.exitcode == 0, process.exitcode
                await assert_delivered(store, received, closes)
            await store.close()

        run(main())
        """,
        url,
        loop,
    )


@pytest.mark.clause("LIF-14")
def test_child_leaves_async_with_of_parent(url: str, loop: str) -> None:
    run_script(
        """
        async def main():
            received = asyncio.Queue()
            async with new_store() as store:
                await store.events.subscribe("e", received.put_nowait)

                async def child():
                    await store.__aexit__(None, None, None)

                ended(forked(lambda: in_thread(child)))
                await assert_delivered(store, received, 1)
                await use(store)

        run(main())
        """,
        url,
        loop,
    )


@pytest.mark.clause("LIF-14", "LIF-15")
@pytest.mark.parametrize("kind", ["cluster", "sentinel"])
def test_parent_keeps_cluster_and_sentinel_connections_after_fork(kind: str) -> None:
    script = """
        async def main():
            store = new_store()
            received = asyncio.Queue()
            await store.events.subscribe("e", received.put_nowait)
            await use(store)

            async def child():
                await refused(store.kv.get("k"))
                await store.close()
                await store.open()
                await use(store)
                await store.close()

            for number in range(2):
                ended(forked(lambda: in_thread(child)))
                await assert_delivered(store, received, number)
                await use(store)
            await store.close()

        run(main())
        store = new_store()
        for _ in range(3):
            run(use(store))
        run(store.close())
        """
    target = servers.find_or_skip("valkey")
    if kind == "cluster":
        with servers.start_cluster(target) as cluster:
            run_script(
                script,
                f"redis+cluster://{','.join(url.partition('://')[2] for url in cluster.urls)}",
                "asyncio",
            )
    else:
        with servers.start_sentinel(target) as sentinel:
            places = ",".join(f"{host}:{port}" for host, port in sentinel.addresses)
            run_script(script, f"redis+sentinel://{places}/{sentinel.name}", "asyncio")
