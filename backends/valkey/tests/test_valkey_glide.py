"""The adapter hides glide's quirks.

They concern its threads, its single pipe, its log, and its errors for a lost server.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import glide
import pytest
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_valkey import ValkeyAdapter
from igniter_store_valkey.glide_clients import create

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full


LIMIT = 30.0


@pytest.fixture
def server() -> Server:
    return servers.or_skip("valkey")


def url_of(server: Server) -> str:
    return server.url.replace("redis://", "valkey://")


def clients_of(server: Server, name: str) -> int:
    """The number of the server's clients with this name."""
    with server.exchange() as exchange:
        return str(exchange.ask("CLIENT", "LIST")).count(f"name={name}")


async def until(holds: Callable[[], bool], failure: str) -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.02)


async def until_blocked(server: Server) -> None:
    """Wait until a read is blocked at the server."""
    with server.exchange() as exchange:
        await until(
            lambda: exchange.info("clients")["blocked_clients"] == "1", "the read isn't blocked"
        )


def run(script: str, *arguments: str) -> str:
    """Run a script in a new process, and return its output."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    # the test's own script
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@asynccontextmanager
async def counting(server: Server) -> AsyncGenerator[tuple[ValkeyAdapter, list[int]]]:
    """An adapter, and the number of commands in each batch that it sent."""
    configuration = glide.GlideClientConfiguration(
        [glide.NodeAddress(server.address.host, server.address.port)]
    )
    client: Any = await glide.GlideClient.create(configuration)
    batches: list[int] = []
    send = client.exec

    async def counted(batch: Any, *args: Any, **options: Any) -> Any:
        batches.append(len(batch.commands))
        return await send(batch, *args, **options)

    client.exec = counted
    adapter = ValkeyAdapter(client=client)
    try:
        await adapter.open()
        yield adapter, batches
    finally:
        await adapter.close()
        await client.close()


async def test_calls_of_one_iteration_share_one_batch(server: Server) -> None:
    """Each call gets its own reply or error."""
    async with counting(server) as (adapter, batches):
        await adapter.set("batch:text", b"no number")
        calls = [
            adapter.increment("batch:number"),
            adapter.increment("batch:text"),
            adapter.get("batch:text"),
            adapter.mget(["batch:text"]),
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        await adapter.delete(["batch:text", "batch:number"])

    assert batches == [4]
    refused = answers[1]
    assert isinstance(refused, StoreError)
    assert refused.code == ErrorCode.STORE_INCREMENT_FAILED
    assert [answers[0], *answers[2:]] == [1, b"no number", [b"no number"]]


async def test_many_reads_of_one_iteration_use_several_batches(
    server: Server,
) -> None:
    """Each read gets its own reply."""
    keys = [f"parts:{number}" for number in range(100)]
    async with counting(server) as (adapter, batches):
        await adapter.mset([Entry(key, key.encode()) for key in keys[:-1]])
        answers = await asyncio.gather(*map(adapter.get, keys))
        await adapter.delete(keys)

    assert batches == [25, 25, 25, 25]
    assert answers == [key.encode() for key in keys[:-1]] + [None]


async def test_writes_of_one_iteration_keep_call_order(
    server: Server,
) -> None:
    async with counting(server) as (adapter, batches):
        appending = asyncio.gather(
            *[adapter.xadd("order", {"number": str(number).encode()}) for number in range(100)]
        )
        await asyncio.gather(*[adapter.get(f"order:{number}") for number in range(100)])
        ids = await appending
        entries = await adapter.xrange("order")
        await adapter.delete(["order"])

    assert batches == [200]
    assert [entry.id for entry in entries] == ids
    assert [int(entry.fields["number"]) for entry in entries] == list(range(100))


def test_process_forked_after_import_can_use_adapter(server: Server) -> None:
    printed = run(
        """
        import asyncio, os, sys
        from igniter_store_valkey import ValkeyAdapter

        async def ping():
            adapter = ValkeyAdapter.from_url(sys.argv[1])
            await adapter.open()
            await adapter.ping()
            await adapter.close()

        child = os.fork()
        asyncio.run(ping())
        if child:
            _, status = os.waitpid(child, 0)
            print("both", os.waitstatus_to_exitcode(status))
        """,
        url_of(server),
    )

    assert printed == "both 0\n"


@pytest.mark.clause("LIF-14", "LIF-20")
@pytest.mark.parametrize("state", ["open", "closed"])
def test_forked_child_opens_its_own_adapter(server: Server, state: str) -> None:
    printed = run(
        """
        import asyncio, os, sys, warnings
        from igniter_store.contract import StoreError
        from igniter_store_valkey import ValkeyAdapter

        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        url, state = sys.argv[1:]
        adapter = ValkeyAdapter.from_url(url)

        async def parent():
            await adapter.open()
            await adapter.set("forked", b"value")
            await adapter.subscribe("forked", print)
            if state == "closed":
                await adapter.close()

        async def child():
            try:
                await adapter.get("forked")
            except StoreError as error:
                print(error.code, error.message.partition(",")[0], flush=True)
            heard = asyncio.Event()
            own = ValkeyAdapter.from_url(url)
            await own.open()
            await own.subscribe("forked:child", lambda channel, payload: heard.set())
            assert await own.publish("forked:child", b"payload") == 1
            async with asyncio.timeout(30):
                await heard.wait()
            assert await asyncio.gather(*(own.get("forked") for _ in range(100))) == [b"value"] * 100
            await own.close()

        async def afterwards():
            assert await adapter.get("forked") == b"value"
            await adapter.close()

        with asyncio.Runner() as runner:
            runner.run(parent())
            process = os.fork()
            if not process:
                asyncio.new_event_loop().run_until_complete(child())
                os._exit(0)
            _, status = os.waitpid(process, 0)
            if state == "open":
                runner.run(afterwards())
            print(os.waitstatus_to_exitcode(status))
        """,  # noqa: E501 - lines of a script
        url_of(server),
        state,
    )

    message, code = printed.splitlines()
    assert code == "0"
    if state == "open":
        assert message == (
            "STORE_CONFIGURATION_INVALID The store was opened before this process was forked"
        )
    else:
        assert message.startswith("STORE_CLOSED")


@pytest.mark.clause("LIF-20")
def test_client_of_parent_is_refused_in_child(server: Server) -> None:
    printed = run(
        """
        import asyncio, glide, os, sys
        from igniter_store.contract import StoreError
        from igniter_store_valkey import ValkeyAdapter

        async def create():
            host, port = sys.argv[1].rpartition("://")[2].split("/")[0].split(":")
            return await glide.GlideClient.create(glide.GlideClientConfiguration([glide.NodeAddress(host, int(port))]))

        async def ping(client):
            try:
                await ValkeyAdapter(client).open()
            except StoreError as error:
                print(f"{error.code}: {error.message}", flush=True)

        client = asyncio.run(create())
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            sys.exit(os.waitstatus_to_exitcode(status))
        asyncio.run(ping(client))
        os._exit(0)
        """,  # noqa: E501 - lines of a script
        url_of(server),
    )

    assert printed.startswith(
        "STORE_CONFIGURATION_INVALID: The glide client was created before this process was forked"
    )


async def test_reply_for_cancelled_caller_is_dropped(
    server: Server,
) -> None:
    logged: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    client: Any = await create(
        glide.GlideClientConfiguration(
            [glide.NodeAddress(server.address.host, server.address.port)]
        )
    )
    cancelled: asyncio.Future[bytes] = loop.create_future()
    cancelled.cancel()
    waiting: asyncio.Future[bytes] = loop.create_future()
    for future in (cancelled, waiting):  # as glide does from the thread of another loop
        client._loop.call_soon_threadsafe(future.set_result, b"a value")
    answer = await waiting
    await client.close()

    async def created() -> Any:
        configuration = glide.GlideClientConfiguration(
            [glide.NodeAddress(server.address.host, server.address.port)], lazy_connect=True
        )
        other = await create(configuration)
        await other.close()
        return other

    of_a_closed_loop = await asyncio.to_thread(asyncio.run, created())
    of_a_closed_loop._loop.call_soon_threadsafe(waiting.set_result, b"a value")

    assert answer == b"a value"
    assert logged == []


def test_adapters_work_in_successive_event_loops(server: Server) -> None:
    async def use(number: int) -> bytes:
        adapter = ValkeyAdapter.from_url(url_of(server))
        await adapter.open()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await adapter.subscribe(f"loops:{number}", lambda _, payload: heard.put_nowait(payload))
        assert await adapter.publish(f"loops:{number}", b"%d" % number) == 1
        async with asyncio.timeout(LIMIT):
            first = await heard.get()
        await adapter.close()
        return first

    assert [asyncio.run(use(number)) for number in range(3)] == [b"0", b"1", b"2"]


def test_second_loop_works_after_first_loop_ended(server: Server) -> None:
    first_is_open, second_is_open, first_has_ended = (
        threading.Event(),
        threading.Event(),
        threading.Event(),
    )
    answers: list[Any] = []
    has_gap = asyncio.Event()

    async def first() -> None:
        adapter = ValkeyAdapter.from_url(url_of(server))
        await adapter.open()
        first_is_open.set()
        await asyncio.to_thread(second_is_open.wait, 30)
        await adapter.close()

    async def second() -> None:
        adapter = ValkeyAdapter.from_url(url_of(server), timeout=1.0, connect_timeout=10.0)
        await adapter.open()
        await adapter.xgroup_create("loops:stream", "group")
        waiting = asyncio.create_task(
            adapter.xreadgroup("loops:stream", "group", "consumer", block=2)
        )
        await adapter.subscribe("loops:channel", lambda _, payload: None, on_gap=has_gap.set)
        second_is_open.set()
        await asyncio.to_thread(first_has_ended.wait, 30)
        async with asyncio.timeout(30):
            answers.extend(await asyncio.gather(waiting, return_exceptions=True))
            await has_gap.wait()
        for _ in range(2):  # the pipe has no reader, so the first call times out
            try:
                answers.append(await adapter.get("loops:none"))
            except StoreError as error:
                answers.append(error.code)
        await adapter.delete(["loops:stream"])
        await adapter.close()

    def in_a_thread(
        work: Any, after: threading.Event | None, at_the_end: threading.Event | None
    ) -> threading.Thread:
        def target() -> None:
            if after is not None:
                after.wait(30)
            asyncio.run(work())
            if at_the_end is not None:
                at_the_end.set()

        thread = threading.Thread(target=target)
        thread.start()
        return thread

    for thread in [
        in_a_thread(first, None, first_has_ended),
        in_a_thread(second, first_is_open, None),
    ]:
        thread.join(60)

    waited, *looked = answers
    assert waited == [] or isinstance(waited, StoreError)
    assert looked[-1] is None
    assert looked[0] in {None, ErrorCode.STORE_TIMEOUT}


def test_adapter_prints_nothing(server: Server) -> None:
    printed = run(
        """
        import asyncio, sys
        from igniter_store.contract import StoreError
        from igniter_store_valkey import ValkeyAdapter

        async def main():
            for url in sys.argv[1:]:
                adapter = ValkeyAdapter.from_url(url, connect_timeout=1.0)
                try:
                    await adapter.open()
                    await adapter.subscribe("console", print)
                except StoreError as error:
                    assert error.code == "STORE_CONNECTION_FAILED"
                await adapter.close()

        asyncio.run(main())
        """,
        url_of(server),
        "valkey://127.0.0.1:1",
    )

    assert printed == ""


@pytest.mark.clause("LIF-5")
async def test_nothing_is_left_at_the_server_after_close(server: Server) -> None:
    name = "glide-closes"
    adapter = ValkeyAdapter.from_url(f"{url_of(server)}?client_name={name}")
    await adapter.open()
    await adapter.subscribe("closing", lambda _, payload: None)
    await adapter.xgroup_create("closing", "group")
    waiting = asyncio.create_task(adapter.xreadgroup("closing", "group", "consumer", block=30))
    await until_blocked(server)
    assert clients_of(server, name) == 3
    await adapter.close()
    with pytest.raises(StoreError) as caught:
        await waiting
    assert caught.value.code == ErrorCode.STORE_CLOSED

    await until(lambda: clients_of(server, name) == 0, "connections are left")
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    with server.exchange() as exchange:
        exchange.ask("DEL", "closing")


@pytest.mark.clause("LIF-5")
async def test_next_close_completes_a_cancelled_close(server: Server) -> None:
    name = "glide-cancelled"
    for steps in range(6):
        adapter = ValkeyAdapter.from_url(f"{url_of(server)}?client_name={name}")
        await adapter.open()
        await adapter.subscribe("cancelled", lambda _, payload: None)
        closing = asyncio.create_task(adapter.close())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await adapter.close()

    await until(lambda: clients_of(server, name) == 0, "connections are left")


async def test_adapter_opens_one_connection_for_calls(server: Server) -> None:
    name = "glide-needs"
    adapter = ValkeyAdapter.from_url(f"{url_of(server)}?client_name={name}")
    await adapter.open()
    await asyncio.gather(*(adapter.get(f"needs:{number}") for number in range(200)))
    with server.exchange() as exchange:
        listed = str(exchange.ask("CLIENT", "LIST"))
    await adapter.close()

    assert listed.count(f"name={name}") == 1


@pytest.mark.clause("STR-7")
async def test_blocking_read_adds_timeout_to_its_block() -> None:
    with servers.start(servers.find_or_skip("valkey")) as server:
        adapter = ValkeyAdapter.from_url(url_of(server), timeout=10.0)
        await adapter.open()
        await adapter.xgroup_create("stream", "group")
        waiting = asyncio.create_task(adapter.xreadgroup("stream", "group", "me", block=0.5))
        await until_blocked(server)
        await server.pause()
        # more than the wait, and the time that glide would add for a single command
        await asyncio.sleep(2.0)
        await server.resume()
        answer = await waiting
        await adapter.close()

    assert answer == []
