"""A process that does all kinds of work on a database, until the test kills it.

It is started as `python killed_writer.py FOLDER`, and reads a line from its standard input for each
round. Then a child works on FOLDER/state.db. The process prints the child's process id. The child
writes a line to FOLDER/acknowledged for each acknowledged call. When the child was killed, the
process prints "ended".
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from igniter_store.contract import Entry
from igniter_store_sqlite import SQLiteAdapter

SETTERS = 4
BATCH = 5
STREAM, GROUP, CONSUMER = "stream", "group", "consumer"


class Work:
    """Endless work of all kinds.

    Args:
        adapter: an open adapter to work on.
        log: descriptor of the file that gets a line for each acknowledged call.
    """

    def __init__(self, adapter: SQLiteAdapter, log: int) -> None:
        self.adapter = adapter
        self.log = log

    def record(self, line: str) -> None:
        os.write(self.log, f"{line}\n".encode())

    async def sets(self, number: int) -> None:
        turn = int(await self.adapter.get(f"value:{number}") or 0)
        while True:
            turn += 1
            await self.adapter.set(f"value:{number}", b"%d" % turn)
            self.record(f"set {number} {turn}")

    async def counts(self) -> None:
        while True:
            self.record(f"count {await self.adapter.increment('counter')}")

    async def batches(self) -> None:
        turn = int(await self.adapter.get("batch:0") or 0)
        while True:
            turn += 1
            await self.adapter.mset(
                [Entry(f"batch:{place}", b"%d" % turn) for place in range(BATCH)]
            )
            self.record(f"batch {turn}")

    async def appends(self) -> None:
        while True:
            self.record(f"append {await self.adapter.xadd(STREAM, {'payload': os.urandom(200)})}")

    async def handles(self) -> None:
        while True:
            for entry in await self.adapter.xreadgroup(STREAM, GROUP, CONSUMER, count=7, block=1.0):
                self.record(f"handle {entry.id}")
                await self.adapter.xack(STREAM, GROUP, [entry.id])
                self.record(f"ack {entry.id}")

    async def claims(self) -> None:
        while True:
            token = await self.adapter.acquire("claim", b"owner", 0.005, token_key="token")
            if token is not None:
                self.record(f"token {token}")
                await self.adapter.compare_delete("claim", b"owner")
            await asyncio.sleep(0)


async def work(folder: Path, log: int) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{folder}/state.db", timeout=30.0)
    await adapter.open()
    await adapter.xgroup_create(STREAM, GROUP)
    all_kinds = Work(adapter, log)
    async with asyncio.TaskGroup() as group:
        for number in range(SETTERS):
            group.create_task(all_kinds.sets(number))
        for part in (
            all_kinds.counts,
            all_kinds.batches,
            all_kinds.appends,
            all_kinds.handles,
            all_kinds.claims,
        ):
            group.create_task(part())


def main() -> None:
    folder = Path(sys.argv[1])
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            asyncio.run(
                work(
                    folder, os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                )
            )
        print(child, flush=True)  # noqa: T201 - the test reads this output
        os.waitpid(child, 0)
        print("ended", flush=True)  # noqa: T201 - the test reads this output


if __name__ == "__main__":
    main()
