"""Concurrent callers on one stream or channel, from several tasks and connections.

Keys and claims are in `concurrency.keys`, other processes in `concurrency.processes`.

Rule: every reply is checked, as in `concurrency.keys`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.limits import LONG

if TYPE_CHECKING:
    from igniter_store.contract import StreamEntry

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class StreamContentionClauses(Suite):
    """Races for entries and channels."""

    @clause("STR-6", limit=LONG)
    async def test_readers_at_once_share_everything_out(self, trial: Trial) -> None:
        """Concurrent readers of one group get each entry exactly once.

        Six readers on three clients read a stream in small batches. Every entry goes to one of
        them, and each reader gets its entries in order.

        If this fails, look at the group's position: if it is read and advanced in two steps, the
        same entries are delivered twice.
        """
        clients, key = await trial.clients(3), trial.key()
        await trial.adapter.xgroup_create(key, "group")
        added = await asyncio.gather(
            *(trial.adapter.xadd(key, {"n": b"%d" % n}) for n in range(120))
        )

        async def drain(client: FullAdapter, consumer: str) -> list[str]:
            got: list[str] = []
            while entries := await client.xreadgroup(key, "group", consumer, count=3):
                got += _ids(entries)
            return got

        shares = await trial.race(
            [partial(drain, clients[n % 3], f"consumer-{n}") for n in range(6)]
        )

        assert Counter(part for share in shares for part in share) == Counter(added)
        for share in shares:
            assert share == sorted(share, key=_as_numbers)

    @clause("STR-11", limit=LONG)
    async def test_of_concurrent_claimers_each_entry_goes_to_one(self, trial: Trial) -> None:
        """Concurrent claimers get each entry exactly once.

        Eight claimers on two clients claim the entries of a dead consumer. Every entry goes to one
        claimer, and its delivery count is two.

        If this fails, look for entries that are selected and moved in two steps, or for an idle
        time that doesn't restart.
        """
        clients, key = await trial.clients(2), trial.key()
        await trial.adapter.xgroup_create(key, "group")
        added = await asyncio.gather(
            *(trial.adapter.xadd(key, {"n": b"%d" % n}) for n in range(60))
        )
        await trial.adapter.xreadgroup(key, "group", "dead")
        await trial.time.passes(trial.time.ttl)

        min_idle = trial.time.ttl / 2
        claims = [
            partial(clients[n % 2].xautoclaim, key, "group", f"heir-{n}", min_idle, count=10)
            for n in range(8)
        ]
        shares = await trial.race(claims)

        assert Counter(entry.id for share in shares for entry in share) == Counter(added)
        pending = await trial.adapter.xpending(key, "group")
        assert {entry.deliveries for entry in pending} == {2}
        owners = {entry.id: entry.consumer for entry in pending}
        for number, share in enumerate(shares):
            assert all(owners[entry.id] == f"heir-{number}" for entry in share)

    @clause("STR-1", limit=LONG)
    async def test_ids_of_appends_at_once_are_all_different(self, trial: Trial) -> None:
        """Two hundred concurrent appends by three clients get two hundred ids.

        The stream holds the entries in the order of their ids.

        If this fails, look for ids that are taken from the clock, or counted in the client.
        """
        clients, key = await trial.clients(3), trial.key()
        ids = await trial.race(
            [partial(clients[n % 3].xadd, key, {"n": b"%d" % n}) for n in range(200)]
        )

        assert len(set(ids)) == 200
        assert [entry.id for entry in await trial.adapter.xrange(key)] == sorted(
            ids, key=_as_numbers
        )

    @clause("STR-9", limit=LONG)
    async def test_acknowledgements_at_once_count_every_entry_once(self, trial: Trial) -> None:
        """Concurrent acknowledgements count every entry once.

        Ten callers acknowledge the same twenty entries, and their counts add up to twenty.

        If this fails, look for a count of the requested ids instead of the acknowledged ones.
        """
        clients, key = await trial.clients(2), trial.key()
        await trial.adapter.xgroup_create(key, "group")
        ids = [await trial.adapter.xadd(key, {"n": b"1"}) for _ in range(20)]
        await trial.adapter.xreadgroup(key, "group", "consumer")

        answers = await trial.race(
            [partial(clients[n % 2].xack, key, "group", ids) for n in range(10)]
        )

        assert sum(answers) == 20
        assert await trial.adapter.xpending(key, "group") == []

    @clause("STR-16", limit=LONG)
    async def test_every_entry_is_delivered_though_readers_die(self, trial: Trial) -> None:
        """Every entry is delivered and acknowledged once, even if readers crash.

        Some readers crash before they acknowledge their entries, and others claim the idle entries.

        If this fails, look for entries that are neither new nor pending: there must be no state in
        between.
        """
        clients, key = await trial.clients(3), trial.key()
        await trial.adapter.xgroup_create(key, "group")
        added = [await trial.adapter.xadd(key, {"n": b"%d" % n}) for n in range(60)]
        done: Counter[str] = Counter()

        async def work(client: FullAdapter, consumer: str, patience: int) -> None:
            for _ in range(patience):
                entries = await client.xreadgroup(key, "group", consumer, count=4)
                for entry in entries:
                    if trial.random.random() < 0.3:
                        return  # the reader crashes with its entries
                    done[entry.id] += await client.xack(key, "group", [entry.id])

        await trial.race([partial(work, clients[n % 3], f"mortal-{n}", 5) for n in range(9)])
        await trial.time.passes(trial.time.ttl)
        while rest := await trial.adapter.xreadgroup(key, "group", "last", count=7):
            done.update(_ids(rest))
            await trial.adapter.xack(key, "group", _ids(rest))
        while left := await trial.adapter.xautoclaim(key, "group", "last", 0, count=7):
            done.update(_ids(left))
            await trial.adapter.xack(key, "group", _ids(left))

        assert done == Counter(added)
        assert await trial.adapter.xpending(key, "group") == []

    @clause("PUB-2", limit=LONG)
    async def test_every_publishers_messages_keep_their_order(self, trial: Trial) -> None:
        """A subscriber gets each publisher's messages in order.

        Three clients publish fifty messages each, concurrently. The subscriber gets all of them.

        If this fails, look for callbacks that are scheduled one by one, or for several connections
        that carry one publisher's messages.
        """
        clients, channel = await trial.clients(3), trial.key()
        heard: list[bytes] = []
        await (await trial.other()).subscribe(channel, lambda _, payload: heard.append(payload))

        async def publish(client: FullAdapter, name: str) -> None:
            for number in range(50):
                await client.publish(channel, b"%s %d" % (name.encode(), number))

        await trial.race([partial(publish, client, f"p{n}") for n, client in enumerate(clients)])

        async def all_are_heard() -> bool:
            return len(heard) >= 150

        await trial.eventually(all_are_heard, "150 messages")
        assert len(heard) == 150
        for number in range(3):
            own = [payload for payload in heard if payload.startswith(b"p%d " % number)]
            assert own == [b"p%d %d" % (number, place) for place in range(50)]


def _ids(entries: list[StreamEntry]) -> list[str]:
    return [entry.id for entry in entries]


def _as_numbers(stream_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence)
