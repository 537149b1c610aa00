"""Is anything slower than it was at another commit?

`python -m benchmarks.before_after COMMIT [--only TEXT]` checks out COMMIT into a temporary
worktree, installs it into its own environment, and starts one worker process per environment. Both
workers run the same calls in turn, round by round, against the same server, so a slow moment of the
machine affects both. The table shows the median of the ratios now ÷ before.

The old commit gets the newest versions of other libraries that it allows. Those that differ from
the ones here are printed first, because they may explain a difference.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from igniter_store import Store

ROOT: Final = Path(__file__).resolve().parent.parent
_ROUNDS: Final = 15
_SECONDS: Final = 0.3
_BATCH: Final = 2_000
_VALUE: Final = {"id": 7, "name": "Avery", "active": True}
_MANY: Final = [f"user:{number}" for number in range(10)]
_CALLERS: Final = (1, 50)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before_after", description=__doc__)
    parser.add_argument("commit", help="the commit to compare with")
    parser.add_argument("--only", default="", help="only comparisons whose name contains this text")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument(
        "--json", type=Path, help="also write the rates of every round to this file"
    )
    arguments = parser.parse_args()
    commit: str = arguments.commit
    rates: dict[str, dict[str, list[float]]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        _checked_out(commit, Path(folder) / "before") as before,
        _servers() as urls,
    ):
        _print_other_versions(before)
        workers = {
            "now": _Worker(Path(sys.executable), Path(folder) / "now.db"),
            "before": _Worker(before, Path(folder) / "before.db"),
        }
        try:
            for scheme, url in {
                "memory": "memory://",
                "sqlite": "sqlite:///{file}",
                **urls,
            }.items():
                for operation in _operations():
                    for callers in _CALLERS:
                        name = f"{scheme} {operation}, {callers} caller{'s' if callers > 1 else ''}"
                        if arguments.only in name:
                            rates[name] = _compare(
                                workers, url, (operation, callers), arguments.rounds
                            )
                            _print(name, rates[name])
        finally:
            for worker in workers.values():
                worker.stop()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rates, indent=1) + "\n", encoding="utf-8")
    return 0


def _print_other_versions(before: Path) -> None:
    now, then = _versions(Path(sys.executable)), _versions(before)
    for name in sorted(now.keys() & then.keys()):
        if now[name] != then[name]:
            print(f"{name} {now[name]} now, {then[name]} before", flush=True)


def _versions(python: Path) -> dict[str, str]:
    listed = subprocess.run(  # noqa: S603
        ["uv", "pip", "list", "--format", "json", "--python", str(python)],  # noqa: S607
        capture_output=True,
        check=True,
    )
    return {package["name"]: package["version"] for package in json.loads(listed.stdout)}


def _compare(
    workers: dict[str, _Worker], url: str, call: tuple[str, int], rounds: int
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        # The workers alternate in running first.
        for name in sorted(workers, reverse=bool(number % 2)):
            rate = workers[name].rate(url, *call)
            if number:  # the first round warms up
                rates[name].append(rate)
    return rates


def _print(name: str, rates: dict[str, list[float]]) -> None:
    ratios = [now / before for now, before in zip(rates["now"], rates["before"], strict=True)]
    now, before = statistics.median(rates["now"]), statistics.median(rates["before"])
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    print(
        (
            f"{name:<36} now/before {statistics.median(ratios):.3f} ({spread})  {now:>9,.0f} "
            f"{before:>9,.0f} calls/s"
        ),
        flush=True,
    )


@contextlib.contextmanager
def _checked_out(commit: str, folder: Path) -> Generator[Path]:
    """Yield the Python of an environment that has the packages of `commit`."""
    subprocess.run(  # noqa: S603
        ["git", "worktree", "add", "--quiet", "--detach", str(folder), commit],  # noqa: S607
        cwd=ROOT,
        check=True,
    )
    try:
        subprocess.run(["uv", "sync", "--quiet"], cwd=folder, check=True)  # noqa: S607
        yield folder / ".venv" / "bin" / "python"
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=True)  # noqa: S603, S607


@contextlib.contextmanager
def _servers() -> Generator[dict[str, str]]:
    from igniter_store_conformance import servers  # noqa: PLC0415 - only the parent starts servers

    with servers.start("redis") as redis, servers.start("valkey") as valkey:
        yield {"redis": redis.url, "valkey": valkey.url.replace("redis://", "valkey://")}


class _Worker:
    """A process in one of the two environments, with its own database file."""

    def __init__(self, python: Path, file: Path) -> None:
        self._file: Final = file
        command = [str(python), __file__, "--worker"]
        self._process: Final = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def rate(self, url: str, operation: str, callers: int) -> float:
        """Return the calls per second of one round."""
        print(
            json.dumps([url.replace("{file}", str(self._file)), operation, callers]),
            file=self._process.stdin,
            flush=True,
        )
        assert self._process.stdout is not None  # it is a pipe
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


# The code below runs in the workers, in either environment: it uses only the public names.


def _operations() -> dict[str, Callable[[Store[str]], Callable[[], Awaitable[Any]]]]:
    return {
        "get": lambda store: lambda: store.kv.get("user:1"),
        "set": lambda store: lambda: store.kv.set("user:1", _VALUE),
        "increment": lambda store: lambda: store.counter.increment("hits"),
        "publish": lambda store: lambda: store.events.publish("user:created", _VALUE),
        "batch get": lambda store: lambda: store.batch.get(_MANY),
        "claim": lambda store: lambda: store.claim.once("leader", "worker-1", ttl=30),
        "stream": _through_a_stream,
    }


def _through_a_stream(store: Store[str]) -> Callable[[], Awaitable[Any]]:
    group = store.streams.group("billing", "worker-1")

    async def call() -> None:
        await store.streams.append("orders", _VALUE, max_len=1000)
        messages = await group.read("orders", count=10)
        await group.ack("orders", [message.id for message in messages])

    return call


async def _work() -> None:
    from igniter_store import Store  # noqa: PLC0415 - only the child imports the measured version

    loop = asyncio.get_running_loop()
    stores: dict[str, Store[str]] = {}
    operations = _operations()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        url, operation, callers = json.loads(line)
        if url not in stores:
            stores[url] = Store.from_url(url, service="before-after")
            await stores[url].batch.set(dict.fromkeys(_MANY, _VALUE))
            await stores[url].streams.group("billing", "worker-1").ensure("orders")
        print(await _round(operations[operation](stores[url]), callers), flush=True)


async def _round(call: Callable[[], Awaitable[Any]], callers: int) -> float:
    async def caller(count: int) -> None:
        for _ in range(count):
            await call()

    made, began = 0, perf_counter()
    gc.collect()
    gc.disable()
    try:
        while perf_counter() - began < _SECONDS:
            each = max(1, _BATCH // callers) if callers > 1 else 100
            await asyncio.gather(*[caller(each) for _ in range(callers)])
            made += each * callers
    finally:
        gc.enable()
    return made / (perf_counter() - began)


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        asyncio.run(_work())
    else:
        sys.exit(main())
