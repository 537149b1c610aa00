"""Concurrent callers on one key, from several tasks and connections.

Streams and channels are in `concurrency.streams`, other processes in `concurrency.processes`.

Rule: every reply is checked, not only the final total. Increments return a permutation, exactly one
    contender wins, and some order of the calls explains a history of mixed calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from igniter_store.contract import Counters, Entry, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.limits import LONG
from igniter_store_conformance.tools.linearizability import (
    History,
    described,
    key_step,
    miscounted,
    overlapping_leases,
    shortest_wrong,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class ContentionClauses(Suite):
    """Races for keys, counters, claims and entries."""

    @clause("KV-5")
    async def test_of_many_conditional_sets_one_writes(self, trial: Trial) -> None:
        """Of thirty concurrent conditional sets, exactly one writes.

        All callers set the same key with `only_if="absent"`. One call returns True, and its value
        is stored.

        If this fails, look for a non-atomic check-then-write.
        """
        clients = await trial.clients(3)
        for turn in range(5):
            key = trial.key(f"key-{turn}")
            calls = [
                partial(clients[n % 3].set, key, b"%d" % n, only_if="absent", ttl=3_000)
                for n in range(30)
            ]
            answers = await trial.race(calls)
            assert answers.count(True) == 1
            assert answers.count(False) == 29
            assert await trial.adapter.get(key) == b"%d" % answers.index(True)

    @clause("KV-10")
    async def test_of_many_getdels_one_gets_the_value(self, trial: Trial) -> None:
        """Of thirty concurrent `getdel` calls on one key, one returns the value.

        The other calls return `None`. Of thirty concurrent deletes of one key, one counts it.

        If this fails, look for a non-atomic read-then-delete.
        """
        clients = await trial.clients(3)
        for turn in range(5):
            key, other = trial.keys([f"taken-{turn}", f"deleted-{turn}"])
            await trial.adapter.mset([Entry(key, b"value"), Entry(other, b"value")])
            taken = await trial.race([partial(clients[n % 3].getdel, key) for n in range(30)])
            deleted = await trial.race([partial(clients[n % 3].delete, [other]) for n in range(30)])
            assert Counter(taken) == {b"value": 1, None: 29}
            assert Counter(deleted) == {1: 1, 0: 29}

    @clause("CTR-2", limit=LONG)
    async def test_concurrent_increments_are_all_counted(self, trial: Trial) -> None:
        """Two hundred increments by three clients return 1 to 200, each number once.

        If this fails, look for a non-atomic read-then-write with an await in between.
        """
        clients = await trial.clients(3)
        key = trial.key()
        answers = await trial.race([partial(clients[n % 3].increment, key) for n in range(200)])

        assert miscounted(answers) == ""
        assert await trial.adapter.increment(key, 0) == 200

    @clause("CTR-2", limit=LONG)
    async def test_increments_and_decrements_of_many_sizes_add_up(self, trial: Trial) -> None:
        """The final value is the sum of all deltas, however the calls interleave.

        If this fails, look for increments that overwrite each other.
        """
        clients = await trial.clients(2)
        key = trial.key()
        deltas = [trial.random.randint(-1_000, 1_000) for _ in range(200)]
        await trial.race(
            [partial(clients[n % 2].increment, key, delta) for n, delta in enumerate(deltas)]
        )

        assert await trial.adapter.increment(key, 0) == sum(deltas)

    @clause("CTR-5", KeyValue, limit=LONG)
    async def test_concurrent_first_increments_set_one_ttl(self, trial: Trial) -> None:
        """Fifty concurrent first increments with different TTLs set exactly one of the TTLs.

        The increments return 1 to 50, and the counter has a TTL that one of them passed.

        If this fails, look for a TTL that is set in a separate step: a counter that is created
        without its TTL never expires.
        """
        clients = await trial.clients(2)
        for turn in range(3):
            key = trial.key(f"key-{turn}")
            answers = await trial.race(
                [partial(clients[n % 2].increment, key, ttl=1_000.0 + n) for n in range(50)]
            )
            left = await trial.adapter.ttl(key)
            assert miscounted(answers) == ""
            assert left is not None
            assert 900 < left <= 1_050

    @clause("CLM-1", limit=LONG)
    async def test_of_many_contenders_one_wins(self, trial: Trial) -> None:
        """Of thirty concurrent contenders on three clients, exactly one wins the claim.

        After its release, again exactly one wins.

        If this fails, look for a non-atomic check-then-write.
        """
        clients = await trial.clients(3)
        for turn in range(5):
            key = trial.key(f"key-{turn // 2}")
            answers = await trial.race(
                [partial(clients[n % 3].set_nx, key, b"%d" % n, ttl=3_000) for n in range(30)]
            )
            assert answers.count(True) == 1
            assert answers.count(False) == 29
            released = await trial.race(
                [partial(clients[n % 3].compare_delete, key, b"%d" % n) for n in range(30)]
            )
            assert [n for n in range(30) if released[n]] == [answers.index(True)]

    @clause("CLM-3", limit=LONG)
    async def test_a_claim_is_released_once(self, trial: Trial) -> None:
        """Of thirty concurrent releases by the owner, one returns True.

        The other releases don't remove a claim that follows.

        If this fails, look for a comparison and a delete in two steps.
        """
        clients = await trial.clients(3)
        for turn in range(5):
            key = trial.key(f"key-{turn}")
            await trial.adapter.set_nx(key, b"owner", ttl=3_000)
            calls: list[Callable[[], Awaitable[bool]]] = [
                partial(clients[n % 3].compare_delete, key, b"owner") for n in range(30)
            ]
            calls.insert(10, partial(_claim_when_free, clients[0], key, b"next"))
            answers = await trial.race(calls)
            assert answers.pop(10) is True
            assert answers.count(True) == 1
            assert await trial.adapter.compare_delete(key, b"next") is True, (
                "a release of the former owner took it"
            )

    @clause("CLM-4", KeyValue, limit=LONG)
    async def test_a_renewal_never_moves_the_next_owners_deadline(self, trial: Trial) -> None:
        """A renewal by the former owner doesn't move the next owner's deadline.

        While thirty renewals by the owner are in flight, the claim is released and taken by another
        owner. The new claim keeps its own TTL.

        If this fails, look for an adapter that compares the owner and sets the deadline in two
        steps.
        """
        clients = await trial.clients(3)
        for turn in range(5):
            key = trial.key(f"key-{turn}")
            await trial.adapter.set_nx(key, b"owner", ttl=3_000)
            calls: list[Callable[[], Awaitable[bool]]] = [
                partial(clients[n % 3].compare_expire, key, b"owner", 9_000.0) for n in range(30)
            ]
            calls.insert(5 * turn, partial(_hand_over, clients[0], key))
            await trial.race(calls)
            left = await trial.adapter.ttl(key)
            assert await trial.adapter.get(key) == b"next"
            assert left is not None
            assert left <= 3_000, "a renewal of the former owner moved it"

    @clause("CLM-5", limit=LONG)
    async def test_tokens_of_contenders_are_all_different_and_grow(self, trial: Trial) -> None:
        """Tokens of concurrent contenders are all different, and later leases have greater ones.

        Twenty callers acquire and release one key in turn.

        If this fails, look for a token that is counted in a separate step.
        """
        history = await _fight(trial, rounds=3)
        acquired = [
            event
            for event in history.events
            if event.call == "acquire" and event.answer is not None
        ]
        tokens = [event.answer for event in acquired]
        assert len(set(tokens)) == len(tokens)
        for one in acquired:
            for two in acquired:
                is_smaller = one.ended < two.began and one.answer >= two.answer
                assert not is_smaller, (
                    f"a later lease has a smaller token:\n{described([one, two])}"
                )

    @clause("CLM-6", limit=LONG)
    async def test_leases_never_overlap(self, trial: Trial) -> None:
        """Only one caller at a time holds a lease.

        Twenty callers compete for one key with `acquire`. Between a successful acquisition and the
        release that follows, no other caller succeeds.

        If this fails, check the step that takes the lease, and the value that a release compares.
        """
        history = await _fight(trial, rounds=4)

        overlapping = overlapping_leases(history.events)
        assert not overlapping, (
            f"held at the same time:\n{described(overlapping[0] if overlapping else [])}"
        )
        assert (
            sum(event.answer is not None for event in history.events if event.call == "acquire")
            >= 4
        )

    @clause("FLT-5", KeyValue, Counters, limit=300)
    async def test_thousand_callers_get_their_own_replies(self, trial: Trial) -> None:
        """Of a thousand concurrent calls on one adapter, each gets its own reply.

        A quarter of the calls are cancelled at random. All others get the right reply.

        If this fails, look for replies that are matched with callers by a count that a cancelled
        caller shifts.
        """
        adapter = trial.adapter
        keys = trial.keys(f"key-{n}" for n in range(250))
        await adapter.mset([Entry(key, b"%d" % n) for n, key in enumerate(keys)])
        own = trial.keys(f"counter-{n}" for n in range(250))

        async def ask(number: int) -> None:
            place = number % 250
            match number // 250:
                case 0:
                    assert await adapter.get(keys[place]) == b"%d" % place
                case 1:
                    assert await adapter.mget([keys[place], keys[place - 1]]) == [
                        b"%d" % place,
                        b"%d" % ((place - 1) % 250),
                    ]
                case 2:
                    assert await adapter.increment(own[place], place + 1) == place + 1
                case _:
                    assert await adapter.exists(keys[place]) is True

        callers = trial.random.sample(range(1_000), 1_000)
        waves: list[list[asyncio.Task[None]]] = []
        for begin in range(0, 1_000, 50):  # twenty waves, cancelled at different moments
            wave = [asyncio.create_task(ask(number)) for number in callers[begin : begin + 50]]
            for _ in range(begin // 50 % 4):
                await asyncio.sleep(0)
            for victim in trial.random.sample(wave, 12):
                victim.cancel()
            waves.append(wave)
        tasks = [task for wave in waves for task in wave]
        await asyncio.wait(tasks)

        assert [
            error
            for task in tasks
            if not task.cancelled() and (error := task.exception()) is not None
        ] == []

    @clause("MDL-1", KeyValue, Counters, limit=LONG)
    async def test_concurrent_calls_on_one_key_are_linearizable(self, trial: Trial) -> None:
        """For concurrent mixed calls on one key, some order explains every reply.

        Three callers read, set, increment and delete the key.

        If this fails, see the message: it prints the shortest history that has no explanation.
        """
        clients = await trial.clients(3)
        for turn in range(12):
            key, history = trial.key(f"key-{turn}"), History()

            async def caller(number: int, key: str = key, history: History = history) -> None:
                for _ in range(6):
                    call, arguments = _any_call(trial, number)
                    await history.record(
                        f"caller {number}",
                        call,
                        arguments,
                        _made(clients[number], key, call, arguments),
                    )
                    if trial.random.random() < 0.3:
                        await asyncio.sleep(0)

            await trial.race([partial(caller, number) for number in range(3)])
            wrong = shortest_wrong(history.events, None, key_step)
            assert not wrong, f"no order of these calls gives these answers:\n{described(wrong)}"


async def _fight(trial: Trial, rounds: int) -> History:
    """Let twenty callers on three clients compete for one lease, and return their history.

    They stop after `3 * rounds` acquisitions.
    """
    clients, key, counter, history = (
        await trial.clients(3),
        trial.key(),
        trial.token_key(trial.key()),
        History(),
    )
    wanted = len(clients) * rounds

    async def fight(number: int) -> None:
        nonlocal wanted
        client, owner = clients[number % 3], b"owner %d" % number
        for attempt in range(200):
            if wanted <= 0:
                return
            mark = (owner, attempt)
            token = await history.record(
                f"caller {number}",
                "acquire",
                mark,
                client.acquire(key, owner, 3_000, token_key=counter),
            )
            if token is not None:
                wanted -= 1
                await asyncio.sleep(0)
                released = await history.record(
                    f"caller {number}", "release", mark, client.compare_delete(key, owner)
                )
                assert released is True, f"caller {number} lost its lease while it held it"
            await asyncio.sleep(0.001)

    await trial.race([partial(fight, number) for number in range(20)])
    return history


async def _claim_when_free(client: FullAdapter, key: str, owner: bytes) -> bool:
    while not await client.set_nx(key, owner, ttl=3_000):  # noqa: ASYNC110 - claims don't notify
        await asyncio.sleep(0)
    return True


async def _hand_over(client: FullAdapter, key: str) -> bool:
    return await client.compare_delete(key, b"owner") and await client.set_nx(
        key, b"next", ttl=3_000
    )


def _any_call(trial: Trial, caller: int) -> tuple[str, tuple[Any, ...]]:
    random = trial.random
    call = random.choice(
        [
            "get",
            "get",
            "set",
            "set if absent",
            "set if present",
            "getdel",
            "delete",
            "exists",
            "increment",
            "increment",
        ]
    )
    if call.startswith("set"):
        return call, (b"%d" % (100 * (caller + 1) + random.randrange(100)),)
    if call == "increment":
        return call, (random.choice([1, 10, -1]),)
    return call, ()


async def _made(client: FullAdapter, key: str, call: str, arguments: tuple[Any, ...]) -> Any:
    match call:
        case "set":
            return await client.set(key, arguments[0])
        case "set if absent":
            return await client.set(key, arguments[0], only_if="absent")
        case "set if present":
            return await client.set(key, arguments[0], only_if="present")
        case "increment":
            return await client.increment(key, arguments[0])
        case "delete":
            return await client.delete([key])
        case _:
            return await getattr(client, call)(key)
