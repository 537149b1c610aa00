"""Servers that are stopped, killed or paused, or that refuse.

Clauses FLT-3, FLT-4, FLT-6, and those parts of LIF, CLM and PUB that are about outages.

Rule: only a harness that controls its server runs these tests (`Harness(server=...)`). Every test
    leaves the server running, and refusing nothing.

Make the adapter for these tests with short timeouts, of a second or two: the kit waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import (
    BackendTimeout,
    BackendUnavailable,
    Counters,
    ErrorCode,
    KeyValue,
    StoreError,
    Streams,
)

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.operations import answer_or_code, names_for, operations_of
from igniter_store_conformance.tools.recovery import GONE, LONG, hear_again, works_again

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from igniter_store_conformance.engine.trial import Trial


class OutageClauses(Suite):
    """Servers that are down for a while."""

    @clause("LIF-3", limit=LONG)
    async def test_opening_raises_without_a_server(self, trial: Trial) -> None:
        """`open` raises `STORE_CONNECTION_FAILED` while the server is stopped.

        It leaves no task, and works when the server is back.

        If this fails, look for an `open` that doesn't connect, that retries forever, or that leaves
        unfinished work behind.
        """
        async with _stopped(trial):
            fresh = trial.connect()
            before = asyncio.all_tasks()
            for _ in range(2):
                with pytest.raises(BackendUnavailable) as caught:
                    await fresh.open()
                assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
                assert caught.value.retryable is True
            await trial.settle()
            assert asyncio.all_tasks() <= before
        await fresh.open()
        assert await fresh.ping() >= 0

    @clause("LIF-3", limit=LONG)
    async def test_opening_ends_when_server_is_silent(self, trial: Trial) -> None:
        """`open` ends when the server accepts the connection and sends nothing.

        It raises within the connect timeout.

        If this fails, look for a handshake without a timeout.
        """
        server = trial.server
        fresh = trial.connect()
        await server.pause()
        try:
            with pytest.raises(StoreError) as caught:
                await fresh.open()
        finally:
            await server.resume()
        assert caught.value.code in GONE
        await fresh.open()
        assert await fresh.ping() >= 0

    @clause("LIF-10", limit=LONG)
    async def test_ping_raises_where_no_server_is(self, trial: Trial) -> None:
        """`ping` of a stopped server raises `STORE_CONNECTION_FAILED`.

        It works again when the server is back.

        If this fails, look for a ping that the client answers without the server.
        """
        async with _stopped(trial):
            for _ in range(2):
                with pytest.raises(BackendUnavailable):
                    await trial.adapter.ping()

        await works_again(trial)
        assert await trial.adapter.ping() >= 0

    @clause("CLM-7", KeyValue, limit=LONG)
    async def test_claims_and_counters_raise_without_a_server(self, trial: Trial) -> None:
        """Claims and counters raise `STORE_CONNECTION_FAILED` while the server is stopped.

        No method returns a result.

        If this fails, look for an error that is swallowed on the way: a cache may fail open, a
        claim must not.
        """
        key = trial.key()
        async with _stopped(trial):
            calls: list[Callable[[], Any]] = [
                lambda: trial.adapter.set_nx(key, b"owner", ttl=3_000),
                lambda: trial.adapter.acquire(key, b"owner", 3_000, token_key=trial.token_key(key)),
                lambda: trial.adapter.compare_expire(key, b"owner", 3_000),
                lambda: trial.adapter.compare_delete(key, b"owner"),
                lambda: trial.adapter.set(key, b"owner", only_if="absent"),
            ]
            if isinstance(trial.adapter, Counters):
                calls.append(lambda: trial.adapter.increment(key))
            for call in calls:
                with pytest.raises(BackendUnavailable):
                    await call()

    @clause("PUB-10", limit=LONG)
    async def test_subscriptions_come_back_after_a_restart(self, trial: Trial) -> None:
        """Subscriptions come back by themselves after the server was killed and restarted.

        If this fails, look for a reader that stops when its first attempt to connect fails.
        """
        server = trial.server

        async def kill_and_restart() -> None:
            await server.kill()
            await asyncio.sleep(0.2)  # long enough for a first attempt to connect to fail
            await server.restart()

        await hear_again(trial, kill_and_restart)

    @clause("PUB-10", limit=LONG)
    async def test_gap_is_reported_before_later_messages(self, trial: Trial) -> None:
        """`on_gap` is called before the first message after a gap.

        Numbers are published continuously while connections are cut. Where the subscriber misses
        some, `on_gap` is called in between.

        If this fails, check when you report the gap: the first message on a new connection may
        arrive together with the confirmation.
        """
        proxy, channel, other = trial.proxy, trial.key(), await trial.other()
        heard: list[int | None] = []  # None for a gap
        published: list[int] = []
        await trial.adapter.subscribe(
            channel,
            lambda _, payload: heard.append(int(payload)),
            on_gap=lambda: heard.append(None),
        )

        async def publish() -> None:
            for number in itertools.count():
                with contextlib.suppress(BackendUnavailable, BackendTimeout):
                    await other.publish(channel, b"%d" % number)
                    published.append(number)
                await asyncio.sleep(0)

        publishing = asyncio.create_task(publish())
        try:
            for turn in range(1, 6):
                await trial.eventually(partial(_has_heard, heard, turn), "messages after a cut")
                await proxy.cut()
            await trial.eventually(partial(_has_heard, heard, 6), "messages after the last cut")
        finally:
            publishing.cancel()
            await asyncio.wait({publishing})

        missed: list[tuple[int, int]] = []
        last, is_told = -1, True
        for number in heard:
            if number is None:
                is_told = True
                continue
            if not is_told and any(last < lost < number for lost in published):
                missed.append((last, number))
            last, is_told = number, False
        assert missed == [], "messages are missing between these, and no gap was reported"

    @clause("FLT-3", limit=LONG)
    async def test_after_kill_and_restart_everything_works(self, trial: Trial) -> None:
        """All operations fail while the server is down, and work when it is back.

        The adapter recovers by itself.

        If this fails, look for something that is created when the adapter is opened and isn't
        created again: a script, a pool, a reader.
        """
        server = trial.server
        await server.kill()
        try:
            for operation in operations_of(trial):
                if operation.method in {"subscribe", "psubscribe"}:
                    # An adapter may wait for the server's confirmation as long as for a
                    # connection
                    continue
                answer = await answer_or_code(
                    operation.ask, trial.adapter, names_for(trial, operation, "away")
                )
                assert answer in GONE, f"{operation.title} answered {answer!r} without a server"
        finally:
            await server.restart()

        await works_again(trial)
        for operation in operations_of(trial):
            names = names_for(trial, operation, "back")
            await operation.prepare(trial.adapter, names)
            answer = await answer_or_code(operation.ask, trial.adapter, names)
            assert operation.is_right(answer), f"{operation.title}: {answer!r}"

    @clause("FLT-3", Streams, limit=LONG)
    async def test_blocked_readers_survive_a_restart(self, trial: Trial) -> None:
        """A blocked reader survives a restart of the server.

        The read in flight raises an error, or continues. A new read is woken as usual.

        If this fails, look for a blocked read that waits for a reply on a connection that no longer
        exists.
        """
        server, key = trial.server, trial.key()
        await trial.adapter.xgroup_create(key, "group")
        reading = asyncio.create_task(
            trial.adapter.xreadgroup(key, "group", "consumer", block=trial.limit / 4)
        )
        await trial.settle()
        await server.kill()
        await server.restart()
        await works_again(trial)
        await trial.adapter.xgroup_create(key, "group")
        first = await trial.adapter.xadd(key, {"n": b"1"})
        done, _ = await asyncio.wait({reading}, timeout=trial.limit)
        assert done, "the blocked read never ended"
        error = reading.exception()
        assert error is None or isinstance(error, StoreError)
        if error is not None:
            assert error.code in {*GONE, ErrorCode.STORE_STREAM_GROUP_MISSING}

        await trial.adapter.xreadgroup(key, "group", "consumer")
        again = asyncio.create_task(
            trial.adapter.xreadgroup(key, "group", "consumer", block=trial.limit)
        )
        await trial.settle()
        second = await trial.adapter.xadd(key, {"n": b"2"})
        assert [
            entry.id for entry in await trial.done(again, "a blocked read after the restart")
        ] == [second]
        assert first != second

    @clause("FLT-4", KeyValue, limit=LONG)
    async def test_a_command_that_takes_too_long_times_out(self, trial: Trial) -> None:
        """Calls raise `STORE_TIMEOUT` when the server stops replying.

        When the server continues, later commands get their own replies.

        If this fails, look for a command without a timeout, or for a late reply that goes to the
        next caller.
        """
        server, adapter = trial.server, trial.adapter
        keys = trial.keys(f"key-{n}" for n in range(10))
        for n, key in enumerate(keys):
            await adapter.set(key, b"%d" % n)
        await server.pause()
        try:
            with pytest.raises(BackendTimeout) as read:
                await adapter.get(keys[0])
            with pytest.raises(StoreError) as written:
                await adapter.set(keys[9], b"late")
        finally:
            await server.resume()

        assert read.value.code == ErrorCode.STORE_TIMEOUT
        assert read.value.retryable is True
        assert written.value.code in GONE
        await works_again(trial)
        for _ in range(3):
            assert [await adapter.get(key) for key in keys[:9]] == [b"%d" % n for n in range(9)]
        assert await adapter.get(keys[9]) in {b"9", b"late"}

    @clause("FLT-4", KeyValue, limit=LONG)
    async def test_timed_out_write_reports_maybe_applied(self, trial: Trial) -> None:
        """A write that was sent and got no reply in time raises an error with `maybe_applied`.

        If this fails, look at the code that converts a timeout to an error of the contract: it has
        to know whether the command was sent.
        """
        proxy, key = trial.proxy, trial.key()
        await trial.adapter.set(key, b"before")
        await proxy.black_hole()
        try:
            with pytest.raises(BackendTimeout) as caught:
                await trial.adapter.set(key, b"after")
        finally:
            await proxy.heal()

        assert caught.value.maybe_applied is True
        await works_again(trial)
        assert await trial.adapter.get(key) in {b"before", b"after"}

    @clause("FLT-6", KeyValue, limit=LONG)
    async def test_the_servers_refusals_have_their_codes(self, trial: Trial) -> None:
        """Each refusal of the server raises an error with its code and the right `retryable`.

        If this fails, check your table of server errors: the error prefixes are the server's, the
        codes are the contract's.
        """
        server = trial.refusing_server
        wrong: list[str] = []
        for word, refusal in server.refusals.items():
            key = trial.key(word)
            async with server.refusing(word):
                try:
                    try:
                        await trial.adapter.set(key, b"value")
                    except StoreError as error:
                        # Some refusals disconnect clients first. The first command may then be
                        # lost on a connection that has just ended.
                        if not error.maybe_applied:
                            raise
                        await trial.adapter.set(key, b"value")
                except StoreError as error:
                    if (error.code, error.retryable) != (refusal.code, refusal.retryable):
                        wrong.append(
                            f"{word}: {error.code}, retryable={error.retryable}; "
                            f"it should be {refusal.code}, {refusal.retryable}"
                        )
                else:
                    wrong.append(f"{word}: no error")
            await works_again(trial)
            assert await trial.adapter.set(key, b"value") is True
        assert wrong == []


@asynccontextmanager
async def _stopped(trial: Trial) -> AsyncGenerator[None]:
    server = trial.server
    await server.stop()
    try:
        yield
    finally:
        await server.restart()


async def _has_heard(heard: list[int | None], turn: int) -> bool:
    """Return True if the subscriber receives numbers again after `turn - 1` gaps."""
    return heard.count(None) >= turn - 1 and bool(heard) and heard[-1] is not None
