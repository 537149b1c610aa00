"""Ten minutes of mixed load with every connection cut once a second.

Run it with `nox -s soak`, or `python tests/soak.py --minutes 1`. `--backend valkey` puts the
backend on valkey-glide under load; the default is the one on redis-py.

It fails, during the run or at the end, unless all of this holds: a read returns the acknowledged
value; a counter has counted every acknowledged step once, and each step that may have been applied
at most once; no two callers hold one claim; every appended message is handled; a subscriber without
a reported gap has missed no message; no call exceeds its time limits. Each minute it prints calls,
errors, and this process's memory, tasks and sockets, which must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from igniter_store.backends import adapter_from_url
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from igniter_store.redis_commands.adapter import CommandAdapter

TIMEOUT: Final = 2.0
LONGEST: Final = 4 * TIMEOUT  # connect, send, reconnect and send again
EXPECTED: Final = (ErrorCode.STORE_CONNECTION_FAILED, ErrorCode.STORE_TIMEOUT)


class Wrong(Exception):  # noqa: N818 - named after what the soak looks for
    """An impossible result."""


class Soak:
    """The load, and its observations.

    Args:
        adapter: the adapter under load.
        until: end of the run, on the loop's clock.
    """

    def __init__(self, adapter: CommandAdapter, until: float) -> None:
        self.adapter = adapter
        self.until = until
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.longest = 0.0
        self.outstanding: set[bytes] = set()  # being appended or appended, and not yet handled
        self.handled = 0
        self.gaps = 0
        self.received = 0

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return asyncio.get_running_loop().time() < self.until

    async def call(
        self, name: str, call: Callable[[], Awaitable[Any]], *, limit: float = LONGEST
    ) -> tuple[Any, StoreError | None]:
        """Return a call's result, or its error, which a lost connection must explain."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                answer, error = await call(), None
        except StoreError as failed:
            if failed.code not in EXPECTED or not failed.retryable:
                raise Wrong(f"{name}: {failed!r}") from failed
            answer, error = None, failed
            self.errors[name] += 1
        except TimeoutError as late:
            raise Wrong(f"{name} hangs") from late
        self.calls[name] += 1
        self.longest = max(self.longest, time.perf_counter() - began)
        return answer, error

    async def values(self, number: int) -> None:
        """Use a key of its own.

        A read returns the acknowledged value, one that may have been applied, or the one before.
        """
        key = f"soak:value:{number}"
        possible: set[Any] = {b""}
        await until_done(lambda: self.adapter.set(key, b""))
        turn = 0
        while self.goes_on:
            turn += 1
            value = b"%d-%d" % (number, turn)
            _, error = await self.call("set", partial(self.adapter.set, key, value))
            possible = (
                {value} if error is None else possible | ({value} if error.maybe_applied else set())
            )
            for _ in range(3):
                found, error = await self.call("get", lambda: self.adapter.get(key))
                if error is None:
                    if found not in possible:
                        raise Wrong(f"read {found!r}; it can only be one of {possible!r}")
                    possible = {found}

    async def counts(self) -> None:
        """Count with a counter that only this task uses."""
        key, least, most = "soak:counter", 0, 0
        while self.goes_on:
            found, error = await self.call("increment", lambda: self.adapter.increment(key))
            if error is not None:
                most += error.maybe_applied
                continue
            if not least < found <= most + 1:
                raise Wrong(f"the counter is {found}, after {least} to {most} steps")
            least = most = found

    async def claims(self, number: int, holders: set[int]) -> None:
        """Compete with several tasks for a claim."""
        owner, token_key = b"owner-%d" % number, "token:{soak:claim}"
        while self.goes_on:
            token, error = await self.call(
                "acquire",
                lambda: self.adapter.acquire("soak:claim", owner, 30.0, token_key=token_key),
            )
            if error is not None and error.maybe_applied:
                await self.free(owner)
            if token is None:
                await asyncio.sleep(0.01)
                continue
            if holders:
                raise Wrong("two tasks hold one claim")
            holders.add(number)
            await asyncio.sleep(0.001)
            holders.discard(number)
            await self.free(owner)

    async def free(self, owner: bytes) -> None:
        """Release a claim if it is this owner's, despite errors."""
        while True:
            _, error = await self.call(
                "compare_delete", lambda: self.adapter.compare_delete("soak:claim", owner)
            )
            if error is None:
                return

    async def appends(self, number: int) -> None:
        """Produce: a message that may have been appended is appended again under a new name."""
        turn = 0
        while self.goes_on:
            turn += 1
            message = b"%d-%d" % (number, turn)
            self.outstanding.add(
                message
            )  # before the call: a consumer may be quicker than the reply
            _, error = await self.call(
                "xadd", partial(self.adapter.xadd, "soak:stream", {"m": message}, max_len=200_000)
            )
            if error is not None:
                self.outstanding.discard(message)
            await asyncio.sleep(0.002)

    async def handles(self, number: int) -> None:
        """Consume, and also take over the messages of a consumer whose connection was cut."""
        consumer = f"consumer-{number}"
        while self.goes_on or self.outstanding:
            read, _ = await self.call(
                "xreadgroup",
                lambda: self.adapter.xreadgroup(
                    "soak:stream", "group", consumer, count=50, block=0.5
                ),
                limit=LONGEST + 1,
            )
            taken, _ = await self.call(
                "xautoclaim",
                lambda: self.adapter.xautoclaim("soak:stream", "group", consumer, 1.0, count=50),
            )
            for entry in (*(read or ()), *(taken or ())):
                self.outstanding.discard(entry.fields["m"])
                self.handled += 1
                await self.call(
                    "xack", partial(self.adapter.xack, "soak:stream", "group", [entry.id])
                )

    async def publishes(self) -> None:
        """Publish numbers.

        The subscriber must get them in order, and without a hole unless a gap was reported.
        """
        last, is_gap = 0, True

        def receive(_: str, payload: bytes) -> None:
            nonlocal last, is_gap
            number = int(payload)
            if number <= last or (number != last + 1 and not is_gap):
                wrong.append(f"received {number} after {last}")
            last, is_gap = number, False
            self.received += 1

        def gap() -> None:
            nonlocal is_gap
            is_gap = True
            self.gaps += 1

        wrong: list[str] = []
        await until_done(lambda: self.adapter.subscribe("soak:news", receive, on_gap=gap))
        number = 0
        while self.goes_on:
            number += 1
            _, error = await self.call(
                "publish", partial(self.adapter.publish, "soak:news", b"%d" % number)
            )
            if error is not None:
                is_gap = True  # this one may never have been sent
            if wrong:
                raise Wrong(wrong[0])
            await asyncio.sleep(0.002)


async def until_done(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call until it succeeds, and return its result."""
    while True:
        with contextlib.suppress(StoreError):
            return await call()


async def soak(minutes: float, kind: str, backend: str) -> int:
    """Run the soak, and return the exit code."""
    loop = asyncio.get_running_loop()
    with servers.start(kind, proxied=True) as server:
        url = server.url.replace("redis://", f"{backend}://")
        adapter: Any = adapter_from_url(url, timeout=TIMEOUT, connect_timeout=TIMEOUT)
        await adapter.open()
        await adapter.xgroup_create("soak:stream", "group")
        work = Soak(adapter, loop.time() + 60 * minutes)
        holders: set[int] = set()
        proxy: Any = server.proxy  # the server was started with one

        async def cuts() -> None:
            while work.goes_on:
                await asyncio.sleep(1)
                await proxy.cut()
                work.calls["cuts"] += 1

        async def reports() -> None:
            while work.goes_on:
                await asyncio.sleep(min(60.0, max(0.1, work.until - loop.time())))
                report(work)

        parts: list[Coroutine[Any, Any, None]] = [
            *(work.values(number) for number in range(20)),
            work.counts(),
            *(work.claims(number, holders) for number in range(4)),
            *(work.appends(number) for number in range(2)),
            *(work.handles(number) for number in range(3)),
            work.publishes(),
            cuts(),
            reports(),
        ]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
        await adapter.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        print(
            f"messages handled {work.handled:,}, lost {len(work.outstanding)}; received "
            f"{work.received:,}, gaps {work.gaps}"
        )
        print(
            f"longest call {work.longest:.2f} s; tasks left {len(left)}; errors {dict(work.errors)}"
        )
        return 1 if work.outstanding or left else 0


def report(work: Soak) -> None:
    """Print one line of figures."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    # Only the names are needed.
    files, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())  # noqa: PTH208
    total = sum(work.calls.values())
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    seen = f"calls {total:,}, errors {sum(work.errors.values()):,}, cuts {work.calls['cuts']}"
    print(f"{seen}; {memory:.1f} MiB, {tasks} tasks, {files} files", flush=True)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--server", default="valkey", help="the kind of server (default: valkey)")
    parser.add_argument(
        "--backend",
        choices=("redis", "valkey"),
        default="redis",
        help="the scheme of its URL (default: redis)",
    )
    arguments = parser.parse_args()
    return asyncio.run(soak(arguments.minutes, arguments.server, arguments.backend))


if __name__ == "__main__":
    sys.exit(main())
