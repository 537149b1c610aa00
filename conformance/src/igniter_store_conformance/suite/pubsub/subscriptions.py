"""Multiple subscriptions by channel and by pattern, and their end.

These are clauses PUB-4, PUB-5, PUB-7, PUB-8 and PUB-13.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from igniter_store.contract import escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import NotExercised
from igniter_store_conformance.tools.inbox import END, Inbox
from igniter_store_conformance.tools.samples import GLOBS, NAMES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from igniter_store.contract import Subscription

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class SubscriptionClauses(Suite):
    """Delivery of messages to subscriptions, until they are cancelled."""

    @clause("PUB-4")
    async def test_every_subscription_gets_every_message(self, trial: Trial) -> None:
        """Each subscription on a channel receives each message once.

        There are several subscriptions on one client and on another.

        If this fails, look for a subscription that replaces another, or for a message that goes to
        only one of several.
        """
        channel, other = trial.key(), await trial.other()
        inboxes = [Inbox(trial) for _ in range(5)]
        for number, inbox in enumerate(inboxes):
            await (other if number % 2 else trial.adapter).subscribe(channel, inbox)

        for payload in (b"1", b"2", END):
            await trial.adapter.publish(channel, payload)

        assert [await inbox.ends() for inbox in inboxes] == [[b"1", b"2"]] * 5

    @clause("PUB-4")
    async def test_one_callback_may_be_subscribed_twice(self, trial: Trial) -> None:
        """Two subscriptions with the same callback call it twice per message.

        After one of them is cancelled, each message calls it once.

        If this fails, look for a table of subscriptions with the callback as the key.
        """
        channel, inbox, adapter = trial.key(), Inbox(trial), trial.adapter
        first, _ = await adapter.subscribe(channel, inbox), await adapter.subscribe(channel, inbox)

        await adapter.publish(channel, b"twice")
        assert await inbox.holds(2) == [b"twice", b"twice"]
        await first.cancel()
        await adapter.publish(channel, b"once")
        await adapter.publish(channel, END)

        assert await inbox.ends() == [b"twice", b"twice", b"once"]

    @clause("PUB-4")
    async def test_cancelling_one_leaves_the_others(self, trial: Trial) -> None:
        """Cancelling one of several subscriptions doesn't affect the others.

        The cancelled one is the first, a middle one or the last. The remaining ones receive every
        message.

        If this fails, look for code that ends the subscription at the backend when the first of
        several subscriptions is cancelled.
        """
        channel, other = trial.key(), await trial.other()
        inboxes = [Inbox(trial) for _ in range(4)]
        subscriptions = [await trial.adapter.subscribe(channel, inbox) for inbox in inboxes]

        for turn, leaving in enumerate((1, 0, 3)):
            await subscriptions[leaving].cancel()
            await other.publish(channel, b"%d" % turn)
            await asyncio.gather(*(inboxes[left].hears(b"%d" % turn) for left in (0, 3, 2)[turn:]))
        await other.publish(channel, END)

        assert await inboxes[2].ends() == [b"0", b"1", b"2"]
        await _until_quiet(trial, channel)
        assert [inboxes[number].payloads for number in (1, 0, 3)] == [[], [b"0"], [b"0", b"1"]]

    @clause("PUB-4")
    async def test_cancelling_ends_nothing_of_another_name(self, trial: Trial) -> None:
        """Cancelling a subscription doesn't affect other channels, patterns or clients.

        Three other subscriptions stay active: on another channel, on a pattern with the same text,
        and on the same channel with another client.

        If this fails, look for channels and patterns in one table.
        """
        channel, elsewhere, adapter, other = (
            trial.key(),
            trial.key("elsewhere"),
            trial.adapter,
            await trial.other(),
        )
        by_pattern, by_channel, by_other = (Inbox(trial) for _ in range(3))
        subscription = await adapter.subscribe(channel, Inbox(trial))
        await adapter.psubscribe(channel, by_pattern)
        await adapter.subscribe(elsewhere, by_channel)
        await other.subscribe(channel, by_other)

        await subscription.cancel()
        for name in (channel, elsewhere):
            await adapter.publish(name, b"1")
            await adapter.publish(name, END)

        assert [await inbox.ends() for inbox in (by_pattern, by_channel, by_other)] == [[b"1"]] * 3

    @clause("PUB-4")
    async def test_the_last_one_ends_the_backends_subscription(self, trial: Trial) -> None:
        """Cancelling the last subscription of a channel also ends the subscription at the backend.

        If the backend reports how many subscribers a message has reached, it then reports 0. A new
        subscription to the channel works.

        If this fails, look for a subscription that stays open at the backend, so that it goes on
        sending messages that the adapter discards.
        """
        channel, other = trial.key(), await trial.other()
        subscriptions = [
            await trial.adapter.subscribe(channel, Inbox(trial)),
            await trial.adapter.subscribe(channel, Inbox(trial)),
            await trial.adapter.psubscribe(escape(channel), Inbox(trial)),
        ]
        for subscription in subscriptions:
            await subscription.cancel()

        async def reaches_nobody() -> bool:
            return await other.publish(channel, b"1") == 0

        await trial.eventually(
            reaches_nobody,
            "a message without subscribers, after the last subscription was cancelled",
        )

        inbox = Inbox(trial)
        await trial.adapter.subscribe(channel, inbox)
        await other.publish(channel, END)
        assert await inbox.ends() == []

    @clause("PUB-5")
    async def test_nothing_is_delivered_after_cancel_has_returned(self, trial: Trial) -> None:
        """After `cancel` returns, the callback receives no more messages.

        This includes messages that are in flight while the subscription is cancelled.

        If this fails, look for a queue between the connection and the callback that is still
        processed after the subscription has ended.
        """
        channel, other = trial.key(), await trial.other()
        inboxes = (Inbox(trial), Inbox(trial))
        subscriptions = (
            await trial.adapter.subscribe(channel, inboxes[0]),
            await trial.adapter.psubscribe(escape(channel) + "*", inboxes[1]),
        )
        publishing = [
            asyncio.create_task(other.publish(channel, b"%d" % number)) for number in range(50)
        ]
        await asyncio.sleep(0)

        heard: list[int] = []
        for inbox, subscription in zip(inboxes, subscriptions, strict=True):
            await subscription.cancel()
            heard.append(len(inbox.messages))

        await asyncio.gather(*publishing)
        await _until_quiet(trial, channel)
        assert [len(inbox.messages) for inbox in inboxes] == heard

    @clause("PUB-5")
    async def test_cancelling_twice_is_fine(self, trial: Trial) -> None:
        """Cancelling a subscription more than once neither raises nor ends another subscription.

        The extra calls come later, several at once, and after the adapter was closed.

        If this fails, look for a second `cancel` that removes a newer subscription to the same
        channel.
        """
        channel, adapter, other = trial.key(), trial.adapter, await trial.other()
        first = await adapter.subscribe(channel, Inbox(trial))
        await first.cancel()
        inbox = Inbox(trial)
        second = await adapter.subscribe(channel, inbox)

        await first.cancel()
        await asyncio.gather(first.cancel(), first.cancel())
        await other.publish(channel, END)

        assert await inbox.ends() == []
        await asyncio.gather(second.cancel(), second.cancel())
        pattern = await adapter.psubscribe(escape(channel), inbox)
        await adapter.close()
        await pattern.cancel()
        await second.cancel()

    @clause("PUB-5")
    async def test_a_subscription_may_be_cancelled_from_its_callback(self, trial: Trial) -> None:
        """A task that the callback starts may cancel the subscription while messages arrive.

        The `cancel` returns, and the callback receives nothing after that.

        If this fails, look for a `cancel` that waits for the callback that started it.
        """
        channel, adapter, other = trial.key(), trial.adapter, await trial.other()
        inbox, cancelling = Inbox(trial), list[asyncio.Task[None]]()
        subscriptions: list[Subscription] = []

        def callback(name: str, payload: bytes) -> None:
            inbox(name, payload)
            if not cancelling:
                cancelling.append(asyncio.create_task(subscriptions[0].cancel()))

        subscriptions.append(await adapter.subscribe(channel, callback))
        await other.publish(channel, b"1")
        await other.publish(channel, b"2")
        await inbox.hears(b"1")
        await trial.done(cancelling[0], "a cancel that was started from the callback")
        heard = len(inbox.messages)

        await other.publish(channel, b"3")
        await _until_quiet(trial, channel)
        assert len(inbox.messages) == heard

    @clause("PUB-5")
    async def test_a_cancelled_subscribe_leaves_no_subscription(self, trial: Trial) -> None:
        """If a `subscribe` or `psubscribe` call is cancelled, its callback is never called.

        The test cancels the calls after different numbers of event-loop iterations.

        If this fails, look for a callback that is put into the table before the backend confirms
        the subscription, and isn't removed after the cancellation.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(6):
            channel, inbox = trial.key(f"channel-{turn}"), Inbox(trial)
            subscribing = asyncio.create_task(
                adapter.subscribe(channel, inbox)
                if turn % 2
                else adapter.psubscribe(escape(channel), inbox)
            )
            for _ in range(turn // 2):
                await asyncio.sleep(0)
            subscribing.cancel()
            await asyncio.wait({subscribing})

            await other.publish(channel, b"1")
            await _until_quiet(trial, channel)
            if subscribing.cancelled():
                assert inbox.messages == []
            else:
                await subscribing.result().cancel()

    @clause("PUB-7", limit=60)
    async def test_patterns_are_rediss_globs(self, trial: Trial) -> None:
        """Every pattern of the table matches the channels that it should, and no others.

        If this fails, look at `contract.patterns.Pattern`. Python's `fnmatch` treats `[!a]` as a
        negation and doesn't support escapes.
        """
        adapter, other = trial.adapter, await trial.other()
        inboxes = {pattern: Inbox(trial) for pattern, _, _ in GLOBS}
        subjects = sorted(
            {subject for _, matching, others in GLOBS for subject in (*matching, *others)}
        )
        names = {trial.key(subject): subject for subject in subjects}
        witness = Inbox(trial)
        await asyncio.gather(*(adapter.subscribe(channel, witness) for channel in names))
        await asyncio.gather(
            *(
                adapter.psubscribe(escape(trial.prefix) + pattern, inbox)
                for pattern, inbox in inboxes.items()
            )
        )

        for payload in (b"1", END):
            await asyncio.gather(*(other.publish(channel, payload) for channel in names))
        await witness.holds(2 * len(names))
        await trial.settle()

        for pattern, matching, others in GLOBS:
            await inboxes[pattern].ends_on(
                [channel for channel, subject in names.items() if subject in matching],
                f"pattern {pattern!r}",
            )
            heard = [
                names[channel] for channel, payload in inboxes[pattern].messages if payload == b"1"
            ]
            assert len(heard) == len(set(heard)), f"pattern {pattern!r} heard something twice"
            assert set(heard) >= set(matching), f"pattern {pattern!r} missed something"
            assert not set(heard) & set(others), f"pattern {pattern!r} heard something else"

    @clause("PUB-7")
    async def test_a_pattern_matches_whole_channels_of_any_text(self, trial: Trial) -> None:
        r"""An escaped name is a pattern that matches only this name, for any characters.

        If this fails, look at how `\` is parsed, in choices too, and for a match that may begin or
        end in the middle of the name.
        """
        channels, adapter, other = trial.keys(NAMES), trial.adapter, await trial.other()
        inboxes = [Inbox(trial) for _ in channels]
        await asyncio.gather(
            *(
                adapter.psubscribe(escape(channel), inbox)
                for channel, inbox in zip(channels, inboxes, strict=True)
            )
        )

        for last in (False, True):
            await asyncio.gather(
                *(other.publish(channel, END if last else b"1") for channel in channels)
            )

        for name, channel, inbox in zip(NAMES, channels, inboxes, strict=True):
            assert await inbox.ends() == [b"1"], f"channel {name!r}"
            assert inbox.messages == [(channel, b"1"), (channel, END)]

    @clause("PUB-8")
    async def test_a_channel_and_patterns_each_get_the_message(self, trial: Trial) -> None:
        """One message calls each matching subscription once: one by name, two by pattern.

        If this fails, look for an adapter that merges the three messages that the server sends, or
        that calls all three callbacks for each of them.
        """
        channel, elsewhere, prefix = trial.key("news.a"), trial.key("news.b"), escape(trial.prefix)
        exact, narrow, wide = (Inbox(trial) for _ in range(3))
        await trial.adapter.subscribe(channel, exact)
        await trial.adapter.psubscribe(prefix + "news.*", narrow)
        await trial.adapter.psubscribe(prefix + "n*", wide)

        messages = [(elsewhere, b"b"), (elsewhere, END), (channel, b"a"), (channel, END)]
        for name, payload in messages:
            await (await trial.other()).publish(name, payload)

        assert await exact.ends() == [b"a"]
        for inbox in (narrow, wide):
            await inbox.ends_on([channel, elsewhere], "a pattern")
            assert sorted(inbox.messages) == sorted(messages)

    @clause("PUB-8")
    async def test_callback_is_called_once_per_matching_subscription(self, trial: Trial) -> None:
        """A callback with three matching subscriptions is called three times per message.

        It is subscribed by name, by a pattern, and by the same pattern again.

        If this fails, look for callbacks or patterns that are stored in a set.
        """
        channel, inbox, adapter = trial.key(), Inbox(trial), trial.adapter
        await adapter.subscribe(channel, inbox)
        await adapter.psubscribe(escape(channel) + "*", inbox)
        await adapter.psubscribe(escape(channel) + "*", inbox)

        await adapter.publish(channel, b"1")
        assert await inbox.holds(3) == [b"1"] * 3
        await adapter.publish(channel, b"2")

        assert await inbox.holds(6) == [b"1"] * 3 + [b"2"] * 3

    @clause("PUB-13")
    async def test_subscribers_stay_when_the_clock_steps_ahead(self, trial: Trial) -> None:
        """After the clock jumps ahead, messages still reach every subscriber.

        The clock jumps by a minute, an hour and a year.

        If this fails, look for code that uses the wall clock to decide that a subscriber is gone.
        Compare two checks by the monotonic clock of the process that makes them.
        """
        if not trial.time.is_moved:
            raise NotExercised("Harness(advance=...): a way to let the backend's clock step ahead")
        await _are_reached_after_each_step(
            trial, trial.time.passes, [61.0, 3_600.0, 365 * 86_400.0]
        )

    @clause("PUB-13")
    async def test_subscribers_stay_when_the_clock_goes_back(self, trial: Trial) -> None:
        """After the clock is set back, messages still reach every subscriber.

        The clock is set back by a minute, an hour and a day.

        If this fails, look for an age that is computed as the difference of two wall-clock times.
        It may be negative.
        """
        await _are_reached_after_each_step(trial, trial.time.goes_back, [61.0, 3_600.0, 86_400.0])


async def _are_reached_after_each_step(
    trial: Trial, move: Callable[[float], Awaitable[None]], steps: Sequence[float]
) -> None:
    by_channel, by_pattern, channel, other = (
        Inbox(trial),
        Inbox(trial),
        trial.key(),
        await trial.other(),
    )
    await trial.adapter.subscribe(channel, by_channel)
    await other.psubscribe(escape(channel) + "*", by_pattern)

    for seconds in steps:
        await move(seconds)
        for turn in range(3):  # the adapter may drop subscribers a little later
            await trial.settle()
            payload = b"%d seconds, %d" % (seconds, turn)
            await (other if turn % 2 else trial.adapter).publish(channel, payload)
            await by_channel.hears(payload)
            await by_pattern.hears(payload)


async def _until_quiet(trial: Trial, channel: str) -> None:
    """Wait until every message published on the channel so far has been delivered.

    This covers the messages of all clients.
    """

    async def quiet(publisher: FullAdapter, listener: FullAdapter) -> None:
        witness, mark = Inbox(trial), trial.payload(8)
        subscription = await listener.subscribe(channel, witness)
        await publisher.publish(channel, mark)
        await witness.hears(mark)
        await subscription.cancel()

    clients = await trial.clients(2)
    await asyncio.gather(
        *(quiet(publisher, listener) for publisher in clients for listener in clients)
    )
    await trial.settle()
