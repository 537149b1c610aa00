"""Several real processes on one key, for backends whose data is outside this process.

Rule: a worker is a fresh interpreter that makes its own client with the harness's `connect`. It
    shares only the backend with the test.
Rule: each worker reports when it is ready, and all of them start when the last one is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.linearizability import miscounted
from igniter_store_conformance.tools.worker_processes import LONG, WORKERS, Workers

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class ProcessClauses(Suite):
    """Guarantees among several processes."""

    @clause("CTR-2", limit=LONG)
    async def test_increments_of_several_processes_are_all_counted(self, trial: Trial) -> None:
        """Increments by several processes are all counted.

        Three processes with four tasks each increment one counter to 600. Every number is returned
        once.

        If this fails, look for a lock that exists only in this process.
        """
        key = trial.key()
        async with Workers(trial, [(count, (key, 4, 50))] * WORKERS) as workers:
            answers = await workers.answers()

        assert miscounted([number for part in answers for number in part]) == ""
        assert await trial.adapter.increment(key, 0) == 600

    @clause("CLM-1", limit=LONG)
    async def test_one_of_several_processes_wins_each_claim(self, trial: Trial) -> None:
        """Of contenders in several processes, exactly one wins each claim.

        Three processes with four tasks each claim fifty keys.

        If this fails, look for a lock that exists only in this process.
        """
        keys = trial.keys(f"key-{number}" for number in range(50))
        async with Workers(
            trial, [(claim_each, (keys, f"process-{number}", 4)) for number in range(WORKERS)]
        ) as workers:
            answers = await workers.answers()

        won = Counter(key for part in answers for key in part)
        assert won == Counter(keys)

    @clause("CLM-6", limit=LONG)
    async def test_leases_of_several_processes_have_distinct_tokens(self, trial: Trial) -> None:
        """Leases that several processes acquire have different tokens.

        Three processes acquire and release one key forty times each. The tokens are all different,
        and grow within each process.

        If this fails, check the step that counts the token: it has to be the one that takes the
        lease.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        async with Workers(
            trial,
            [(acquire_often, (key, counter, f"process-{number}", 40)) for number in range(WORKERS)],
        ) as workers:
            answers = await workers.answers()

        tokens = [token for part in answers for token in part]
        assert len(tokens) == 40 * WORKERS
        assert len(set(tokens)) == len(tokens)
        for part in answers:
            assert part == sorted(part)

    @clause("PUB-9", limit=LONG)
    async def test_subscribers_in_other_processes_hear_everything_in_order(
        self, trial: Trial
    ) -> None:
        """Subscribers in three other processes get every message of this one, in order.

        If this fails, look for subscriptions that exist only in this process.
        """
        channel = trial.key()
        messages = [b"%d" % number for number in range(50)]
        ready = trial.key("ready")
        heard_of: list[bytes] = []
        await trial.adapter.subscribe(ready, lambda _, payload: heard_of.append(payload))
        async with Workers(trial, [(listen, (channel, ready, len(messages)))] * WORKERS) as workers:
            workers.begin()

            async def all_listen() -> bool:
                return len(heard_of) == WORKERS

            await trial.eventually(all_listen, "a word from every subscriber in another process")
            for message in messages:
                await trial.adapter.publish(channel, message)
            answers = await workers.results()

        assert answers == [messages] * WORKERS

    @clause("STR-6", limit=LONG)
    async def test_readers_in_several_processes_share_everything_out(self, trial: Trial) -> None:
        """Three processes read one group, and every entry goes to one of them.

        If this fails, look for a group position that is kept in the client.
        """
        key = trial.key()
        await trial.adapter.xgroup_create(key, "group")
        added = await asyncio.gather(
            *(trial.adapter.xadd(key, {"n": b"%d" % n}) for n in range(150))
        )
        async with Workers(
            trial, [(drain, (key, f"process-{number}")) for number in range(WORKERS)]
        ) as workers:
            answers = await workers.answers()

        assert Counter(part for share in answers for part in share) == Counter(added)
        assert await trial.adapter.xpending(key, "group") == []

    @clause("STR-7", limit=LONG)
    async def test_a_blocked_reader_in_another_process_is_woken(self, trial: Trial) -> None:
        """Blocked readers in other processes get the entries that this process appends.

        If this fails, check which side wakes a blocked read: the backend, or only this process.
        """
        key = trial.key()
        await trial.adapter.xgroup_create(key, "group")
        async with Workers(
            trial, [(await_entries, (key, f"process-{number}", 20.0)) for number in range(WORKERS)]
        ) as workers:
            workers.begin()
            await trial.settle()
            added = [await trial.adapter.xadd(key, {"n": b"%d" % n}) for n in range(WORKERS)]
            answers = await workers.results()

        assert sorted(part for share in answers for part in share) == sorted(added)
        assert all(len(share) == 1 for share in answers)


# Jobs: each runs in a separate process


async def count(adapter: FullAdapter, key: str, tasks: int, times: int) -> list[int]:
    """Increment `key` from several tasks, and return every reply."""

    async def run() -> list[int]:
        return [await adapter.increment(key) for _ in range(times)]

    return [
        number for part in await asyncio.gather(*(run() for _ in range(tasks))) for number in part
    ]


async def claim_each(adapter: FullAdapter, keys: list[str], owner: str, tasks: int) -> list[str]:
    """Try to claim every key from several tasks, and return the keys that were won."""

    async def run(task: int) -> list[str]:
        return [
            key for key in keys if await adapter.set_nx(key, f"{owner} {task}".encode(), ttl=3_000)
        ]

    return [
        key for part in await asyncio.gather(*(run(task) for task in range(tasks))) for key in part
    ]


async def acquire_often(
    adapter: FullAdapter, key: str, counter: str, owner: str, times: int
) -> list[int]:
    """Acquire and release one key `times` times, and return the tokens."""
    tokens: list[int] = []
    while len(tokens) < times:
        token = await adapter.acquire(key, owner.encode(), 3_000, token_key=counter)
        if token is None:
            await asyncio.sleep(0.001)
            continue
        tokens.append(token)
        assert await adapter.compare_delete(key, owner.encode()), (
            "another process took the lease away"
        )
    return tokens


async def listen(adapter: FullAdapter, channel: str, ready: str, number: int) -> list[bytes]:
    """Subscribe, publish to `ready`, and return the first messages."""
    heard: list[bytes] = []
    enough = asyncio.Event()

    def hear(_: str, payload: bytes) -> None:
        heard.append(payload)
        if len(heard) >= number:
            enough.set()

    subscription = await adapter.subscribe(channel, hear)
    await adapter.publish(ready, b"ready")
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            await enough.wait()
    await subscription.cancel()
    return heard


async def drain(adapter: FullAdapter, key: str, consumer: str) -> list[str]:
    """Read and acknowledge all new entries, and return their ids."""
    got: list[str] = []
    while entries := await adapter.xreadgroup(key, "group", consumer, count=4):
        ids = [entry.id for entry in entries]
        assert await adapter.xack(key, "group", ids) == len(ids)
        got += ids
    return got


async def await_entries(adapter: FullAdapter, key: str, consumer: str, block: float) -> list[str]:
    """Wait for one new entry, and return its id."""
    return [
        entry.id for entry in await adapter.xreadgroup(key, "group", consumer, count=1, block=block)
    ]
