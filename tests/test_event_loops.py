"""One store and several event loops, on every backend.

One loop after the other works; two at once are refused.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import trio
import uvloop
from igniter_store import Store, StoreError
from igniter_store.contract import ErrorCode
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

pytestmark = pytest.mark.full


BACKENDS: Final = ["memory", "memory-named", "sqlite", "sqlite-memory", "redis", "valkey"]
ROUNDS: Final = 100
LIMIT: Final = 30.0
_FILES: Final = Path("/proc/self/fd")


def run_asyncio(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


def run_uvloop(call: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(call)


def run_until_complete(call: Coroutine[Any, Any, Any]) -> Any:
    """Run in a loop that is then closed without cancelling its tasks."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(call)
    finally:
        loop.close()


def url_for(backend: str, tmp_path: Path, name: str) -> str:
    match backend:
        case "memory":
            return "memory://"
        case "memory-named":
            return f"memory://{name}"
        case "sqlite":
            return f"sqlite:///{tmp_path / 'state.db'}"
        case "sqlite-memory":
            return "sqlite://"
        case _:
            return f"{backend}://{servers.or_skip(backend).url.partition('://')[2]}"


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_for(request.param, tmp_path, f"loops-{threading.get_native_id()}")


@pytest.fixture
def store(url: str, request: pytest.FixtureRequest) -> Generator[Store[str]]:
    service = f"loops-{abs(hash(request.node.nodeid))}"
    made = Store.from_url(url, service=service)
    yield made
    asyncio.run(tidied(made, service))


async def tidied(store: Store[str], service: str) -> None:
    """Remove all keys of the service, and close the store."""
    adapter: Any = store.adapter
    await store.open()
    await adapter.delete_prefix(f"igniter:store:{service}:")
    left = [
        key
        for namespace in ("kv", "counter", "claim", "streams")
        async for key in store.dev.iterate("*", namespace=namespace)
    ]
    await store.close()
    assert left == []


@pytest.fixture(
    params=[run_asyncio, run_uvloop, run_until_complete],
    ids=["asyncio", "uvloop", "until_complete"],
)
def run(request: pytest.FixtureRequest) -> Any:
    return request.param


async def entered(store: Store[str]) -> int:
    async with store:
        return 1


async def iterated(store: Store[str]) -> list[str]:
    return [key async for key in store.dev.iterate("*")]


async def subscribed(store: Store[str]) -> None:
    received: asyncio.Queue[Any] = asyncio.Queue()
    subscription = await store.events.subscribe("e", received.put_nowait)
    await store.events.publish("e", 1)
    async with asyncio.timeout(30):
        assert (await received.get()).data == 1
        await subscription.cancel()


async def listened(store: Store[str]) -> Any:
    async with store.events.listen("e") as stream:
        await store.events.publish("e", 1)
        async with asyncio.timeout(30):
            return (await anext(stream)).data


async def read(store: Store[str]) -> Any:
    group = store.streams.group("g", "c")
    await group.ensure("s")
    return await group.read("s", block=0.01)


CALLS: Final[dict[str, Callable[[Store[str]], Awaitable[Any]]]] = {
    "kv.set": lambda store: store.kv.set("k", 1),
    "kv.set ttl": lambda store: store.kv.set("mortal", 1, ttl=600),
    "kv.get": lambda store: store.kv.get("k"),
    "kv.exists": lambda store: store.kv.exists("k"),
    "kv.ttl": lambda store: store.kv.ttl("k"),
    "counter": lambda store: store.counter.increment("k", 0),
    "claim": lambda store: store.claim.owner("k"),
    "batch.set": lambda store: store.batch.set({"a": 1}),
    "batch.get": lambda store: store.batch.get(["a"]),
    "batch.get nothing": lambda store: store.batch.get([]),
    "events.publish": lambda store: store.events.publish("e", 1),
    "events.subscribe": subscribed,
    "events.listen": listened,
    "streams.length": lambda store: store.streams.length("s"),
    "streams.group.read": read,
    "dev.scan": lambda store: store.dev.scan("*"),
    "dev.iterate": iterated,
    "scope": lambda store: store.scope("tenant", 1).kv.get("k"),
    "actor": lambda store: store.as_actor(1).kv.get("k"),
    "ping": lambda store: store.ping(),
    "open": lambda store: store.open(),
    "async with": entered,
}


@pytest.mark.clause("LIF-12", "LIF-16")
@pytest.mark.parametrize("call", CALLS)
def test_call_works_when_loop_has_ended(store: Store[str], run: Any, call: str) -> None:
    async def used() -> None:
        await store.kv.set("k", "before")
        await store.events.subscribe("other", lambda _: None)

    async def again() -> Any:
        await CALLS[call](store)
        await store.open()
        return await store.kv.get("k")

    run(used())

    assert run(again()) in {"before", 1}


@pytest.mark.clause("LIF-16")
def test_every_call_works_in_loop_of_its_own(store: Store[str], run: Any) -> None:
    failed: dict[str, StoreError] = {}
    for name, call in CALLS.items():
        try:
            run(awaited(call, store))
        except StoreError as error:
            failed[name] = error
        if name == "async with":
            run(store.open())

    assert failed == {}, "calls that failed in a loop of their own"


def ignored(_: object) -> None: ...


async def awaited(call: Any, *arguments: Any, **options: Any) -> Any:
    return await call(*arguments, **options)


@pytest.mark.clause("LIF-12")
def test_value_survives_end_of_loop(store: Store[str], run: Any) -> None:
    run(awaited(store.kv.set, "k", "value"))
    run(awaited(store.kv.get, "k"))

    assert run(awaited(store.kv.get, "k")) == "value"


@pytest.mark.clause("LIF-2", "LIF-8", "LIF-16")
def test_close_works_when_loop_has_ended(store: Store[str], run: Any) -> None:
    run(awaited(store.kv.set, "k", 1))

    run(store.close())

    assert store.is_open is False
    with pytest.raises(StoreError) as caught:
        run(awaited(store.kv.get, "k"))
    assert caught.value.code == ErrorCode.STORE_CLOSED
    run(store.open())
    assert run(awaited(store.kv.get, "k")) == 1


@pytest.mark.clause("LIF-16")
def test_subscription_can_be_cancelled_when_loop_has_ended(store: Store[str], run: Any) -> None:
    subscription = run(awaited(store.events.subscribe, "e", print))

    run(subscription.cancel())
    run(subscription.cancel())

    assert subscription.is_live is False


@pytest.mark.clause("LIF-16")
def test_subscription_ends_with_its_loop(store: Store[str], run: Any) -> None:
    received: list[Any] = []
    subscription = run(awaited(store.events.subscribe, "e", received.append))

    async def publish() -> None:
        fresh: asyncio.Queue[Any] = asyncio.Queue()
        await store.events.subscribe("e", fresh.put_nowait)
        await store.events.publish("e", 1)
        async with asyncio.timeout(30):
            assert (await fresh.get()).data == 1

    run(publish())

    assert received == []
    assert subscription.is_live is False


@pytest.mark.clause("LIF-16")
def test_listening_raises_when_its_loop_has_ended(store: Store[str], run: Any) -> None:
    stream = store.events.listen("e")
    run(stream.__aenter__())

    with pytest.raises(StoreError) as caught:
        run(awaited(stream.__anext__))

    assert caught.value.code == ErrorCode.STORE_CLOSED
    assert "event loop" in caught.value.message
    run(stream.__aexit__(None, None, None))


@pytest.mark.clause("LIF-16")
def test_call_in_flight_leaves_next_loop_working(
    store: Store[str], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blocking read, and an opening, are in progress when the loop ends."""

    async def interrupted() -> None:
        await store.streams.group("g", "c").ensure("s")
        tasks = [
            asyncio.create_task(awaited(store.streams.group("g", "c").read, "s", block=600))
            for _ in range(3)
        ]
        for _ in range(20):  # until the reads have connected
            await store.ping()
        tasks += [
            asyncio.create_task(awaited(store.kv.set, f"k{number}", number)) for number in range(20)
        ]
        await asyncio.sleep(0)
        kept.extend(tasks)

    async def opened() -> None:
        kept.append(asyncio.create_task(store.open()))
        await asyncio.sleep(0)

    kept: list[Any] = []
    # aiosqlite's thread prints a traceback if the loop ends while it connects, and uvloop warns
    # about a socket that is being connected.
    if store.adapter.name != "sqlite" and run is not run_uvloop:
        run(opened())
    run(interrupted())

    async def again() -> Any:
        await store.kv.set("k", 1)
        await store.streams.append("s", "new")
        async with asyncio.timeout(30):
            return [
                message.message
                for message in await store.streams.group("g", "other").read("s", block=10)
            ]

    try:
        # [] if "new" was delivered to the reader of the closed loop, because the backend hadn't yet
        # noticed that the reader was gone.
        assert run(again()) in (
            ["new"],
            [],
        )
    finally:
        for task in kept:
            task._log_destroy_pending = False
        # Python may print an exception for a call that is collected with its task, and pytest would
        # blame a later test.
        monkeypatch.setattr(sys, "unraisablehook", ignored)
        kept.clear()
        gc.collect()


@pytest.mark.clause("LIF-16")
def test_opening_may_be_cut_off_anywhere(store: Store[str], run: Any) -> None:
    """The loop ends while the store is being opened, at a different step each time.

    The next loop opens the store.
    """
    if store.adapter.name in {"sqlite", "redis"} or run is not run_until_complete:
        pytest.skip(
            "asyncio, uvloop and aiosqlite warn about an unfinished socket or thread; asyncio.run "
            "cancels pending tasks"
        )
    for step in range(20):
        kept: list[Any] = []

        async def cut_off(pause: float, kept: list[Any]) -> None:
            kept.append(asyncio.create_task(store.open()))
            await asyncio.sleep(pause)

        run(cut_off(step / 2_000, kept))
        for task in kept:
            task._log_destroy_pending = False
        kept.clear()
        task = None
        gc.collect()

    run(awaited(store.kv.set, "k", 1))

    assert run(awaited(store.kv.get, "k")) == 1


def test_closed_adapter_of_user_is_opened_again(url: str, run: Any) -> None:
    """The user's adapter was opened in a loop that has ended.

    It belongs to the store that opens it next.
    """
    first = Store.from_url(url, service="loops")
    adapter = first.adapter
    run(adapter.open())
    second = Store.create().with_adapter(adapter).with_service("loops").build()

    async def use() -> bool:
        await first.kv.set("k", 1)
        assert await second.kv.get("k") == 1
        await second.close()
        assert await first.kv.get("k") == 1
        await first.close()
        return adapter.is_open

    assert run(use()) is False


def test_second_store_keeps_connection_reopened_by_first(url: str, run: Any) -> None:
    first = Store.from_url(url, service="loops")
    second = Store.create().with_adapter(first.adapter).with_service("loops").build()
    run(awaited(first.kv.set, "k", 1))
    run(awaited(second.kv.get, "k"))

    async def both() -> None:
        received: asyncio.Queue[Any] = asyncio.Queue()
        await first.events.subscribe("e", received.put_nowait)
        assert await second.kv.get("k") == 1
        await second.events.publish("e", 1)
        async with asyncio.timeout(30):
            assert (await received.get()).data == 1
        await second.close()
        await first.close()

    run(both())


@pytest.mark.clause("LIF-12")
def test_module_level_store_serves_every_request(store: Store[str]) -> None:
    """Async views of Flask run each request in a thread and a loop of its own."""

    def view() -> int:
        visits: int = asyncio.run(awaited(store.counter.increment, "visits"))
        return visits

    answers: list[int] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: answers.append(view()))
        thread.start()
        thread.join()

    assert answers == [answers[0] + number for number in range(5)]


@pytest.mark.clause("LIF-13")
@pytest.mark.parametrize("subscribes", [False, True])
def test_loops_leave_no_thread_and_no_file(url: str, run: Any, *, subscribes: bool) -> None:
    store = Store.from_url(url, service="loops")

    async def use() -> None:
        await store.kv.set("k", 1)
        await store.kv.get("k")
        if subscribes:
            await store.events.subscribe("e", lambda _: None)

    def settled() -> tuple[int, int]:
        return threading.active_count(), len(list(_FILES.iterdir())) if _FILES.is_dir() else 0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", ".*garbage-collected without close", ResourceWarning
        )  # see pyproject.toml
        for _ in range(3):
            run(use())
        before = settled()
        gc.disable()  # the adapter must release them without the garbage collector
        try:
            for _ in range(ROUNDS if run is run_asyncio else 20):
                run(use())
            wait_until(
                lambda: all(now <= then + 2 for now, then in zip(settled(), before, strict=True)),
                f"threads or files are left, beyond the {before} of before,",
            )
        finally:
            gc.enable()
        run(store.close())
        gc.collect()


def wait_until(holds: Callable[[], bool], failure: str) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"{failure} after {LIMIT:g} seconds"
        time.sleep(0.01)


# Two loops at once


@pytest.fixture
def other_loop() -> Generator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.clause("LIF-11")
def test_second_living_loop_is_refused_by_every_call(
    store: Store[str], other_loop: asyncio.AbstractEventLoop
) -> None:
    def there(call: Any, *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited(call, *arguments), other_loop).result(60)

    there(store.kv.set, "k", 1)
    received: list[Any] = []
    subscription = there(store.events.subscribe, "e", received.append)
    stream = store.events.listen("e")
    there(stream.__aenter__)

    refused: dict[str, Any] = dict(CALLS)
    refused["close"] = Store[str].close
    others: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "cancel": lambda _: subscription.cancel(),
        "anext": lambda _: anext(stream),
    }
    refused |= others
    messages: dict[str, str] = {}
    for name, call in refused.items():
        with pytest.raises(StoreError) as caught:
            asyncio.run(awaited(call, store))
        assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID, name
        messages[name] = caught.value.message

    [message] = set(messages.values())
    assert "asyncio.run()" in message
    assert "one store per loop" in message
    assert subscription.is_live
    there(store.events.publish, "e", 2)
    wait_until(lambda: [event.data for event in received] == [2], "the event isn't delivered there")
    there(store.close)


@pytest.mark.clause("LIF-8")
def test_closed_store_can_move_to_other_running_loop(
    store: Store[str], other_loop: asyncio.AbstractEventLoop
) -> None:
    def there(call: Any, *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited(call, *arguments), other_loop).result(60)

    there(store.kv.set, "k", 1)
    there(store.close)

    asyncio.run(store.open())

    assert asyncio.run(awaited(store.kv.get, "k")) == 1


@pytest.mark.parametrize("call", [name for name in CALLS if name != "dev.iterate"])
def test_trio_is_refused(url: str, call: str) -> None:
    store = Store.from_url(url, service="loops")

    async def use() -> None:
        await CALLS[call](store)

    with pytest.raises(StoreError) as caught:
        trio.run(use)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "No asyncio event loop is running" in caught.value.message
