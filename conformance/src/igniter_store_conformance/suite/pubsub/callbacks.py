"""Callbacks that raise, are slow, or call the adapter: clauses PUB-6 and PUB-12."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from igniter_store.contract import escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.inbox import END, Inbox, Reports

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class CallbackClauses(Suite):
    """Callbacks and their effects on other subscribers."""

    @clause("PUB-6")
    async def test_a_raising_callback_stops_nothing(self, trial: Trial) -> None:
        """A callback that raises affects neither its own later calls nor other callbacks.

        It is called again for the next message. So are all other callbacks, including those that
        were subscribed after it.

        If this fails, look for an exception that ends the task that reads messages, or the loop
        over the callbacks.
        """
        channel, other = trial.key(), await trial.other()
        raised, before, after, by_pattern = (Inbox(trial) for _ in range(4))

        def broken(name: str, payload: bytes) -> None:
            raised(name, payload)
            if payload == b"2":  # as a callback does that asks a cancelled future for its result
                raise asyncio.CancelledError
            raise RuntimeError("the callback is broken")

        with Reports():
            await trial.adapter.subscribe(channel, before)
            await trial.adapter.subscribe(channel, broken)
            await trial.adapter.subscribe(channel, after)
            await trial.adapter.psubscribe(escape(channel), broken)
            await trial.adapter.psubscribe(escape(channel), by_pattern)
            for payload in (b"1", b"2", END):
                await other.publish(channel, payload)

            assert [await inbox.ends() for inbox in (before, after, by_pattern)] == [
                [b"1", b"2"]
            ] * 3
            assert sorted(await raised.holds(6)) == sorted([b"1", b"2", END] * 2)

    @clause("PUB-6")
    async def test_a_raising_callback_is_reported(self, trial: Trial) -> None:
        """The `igniter_store` logger logs an error for each call that raises.

        The log record has the exception, and never the payload.

        If this fails, check that `report_callback_error` is called where the exception is caught.
        """
        channel, inbox, error = trial.key(), Inbox(trial), RuntimeError("the callback is broken")

        def broken(name: str, payload: bytes) -> None:
            inbox(name, payload)
            raise error

        with Reports() as reports:
            await trial.adapter.subscribe(channel, broken)
            for _ in range(2):
                await (await trial.other()).publish(channel, b"hush-hush")
            await inbox.holds(2)
            await trial.settle()

        of_ours = [
            record
            for record in reports.records
            if record.exc_info is not None and record.exc_info[1] is error
        ]
        assert [record.levelno for record in of_ours] == [logging.ERROR] * 2
        assert not any("hush-hush" in record.getMessage() for record in reports.records)

    @clause("PUB-6")
    async def test_task_started_by_callback_delays_no_subscriber(self, trial: Trial) -> None:
        """Work that a callback starts doesn't delay the messages to other subscribers.

        The callback starts a task that isn't done before the other subscribers have received
        theirs.

        If this fails, look for something that is awaited between one callback and the next.
        """
        channel, adapter, other = trial.key(), trial.adapter, await trial.other()
        released, working, inbox = asyncio.Event(), list[asyncio.Task[bool]](), Inbox(trial)

        def slow(_channel: str, _payload: bytes) -> None:
            working.append(asyncio.create_task(released.wait()))

        await adapter.subscribe(channel, slow)
        await adapter.subscribe(channel, inbox)
        for payload in (b"1", b"2", b"3", END):
            await other.publish(channel, payload)

        assert await inbox.ends() == [b"1", b"2", b"3"]
        released.set()
        await asyncio.gather(*working)

    @clause("PUB-12")
    async def test_callbacks_may_publish(self, trial: Trial) -> None:
        """Two subscribers answer each other from their callbacks, a dozen times.

        If this fails, look for a lock that is held while callbacks run, or for a connection that
        can't publish while it reads.
        """
        ping, pong, adapter, other = (
            trial.key("ping"),
            trial.key("pong"),
            trial.adapter,
            await trial.other(),
        )
        inbox, publishing = Inbox(trial), set[asyncio.Task[int]]()

        def answering(client: FullAdapter, channel: str) -> Callable[[str, bytes], None]:
            def answer(name: str, payload: bytes) -> None:
                inbox(name, payload)
                if len(payload) < 12:
                    publishing.add(asyncio.create_task(client.publish(channel, payload + b".")))

            return answer

        await adapter.subscribe(ping, answering(adapter, pong))
        await other.subscribe(pong, answering(other, ping))
        await adapter.publish(ping, b".")

        assert await inbox.holds(12) == [b"." * number for number in range(1, 13)]
        await asyncio.gather(*publishing)

    @clause("PUB-12")
    async def test_callbacks_may_subscribe_and_cancel(self, trial: Trial) -> None:
        """A task that a callback starts may subscribe to a second channel, publish and cancel.

        None of these calls blocks forever.

        If this fails, look for a reader that waits for the callback's tasks while these wait for
        the reader to process their confirmation.
        """
        first, second, adapter = trial.key("first"), trial.key("second"), trial.adapter
        inbox, called, working = Inbox(trial), Inbox(trial), list[asyncio.Task[None]]()

        async def work() -> None:
            subscription = await adapter.subscribe(second, inbox)
            by_pattern = await adapter.psubscribe(escape(second) + "*", inbox)
            await adapter.publish(second, b"1")
            await inbox.holds(2)
            await by_pattern.cancel()
            await subscription.cancel()
            await adapter.publish(second, b"2")

        def callback(channel: str, payload: bytes) -> None:
            working.append(asyncio.create_task(work()))
            called(channel, payload)

        await adapter.subscribe(first, callback)
        await adapter.publish(first, b"go")
        await called.hears(b"go")

        await trial.done(working[0], "what the callback has started")
        assert inbox.payloads == [b"1"] * 2
