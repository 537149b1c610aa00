"""Publish and subscribe: clauses PUB-1 to PUB-8, PUB-11 and PUB-12. Other processes and lost connections are in modules of their own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from igniter_store.contract import escape

from igniter_store_conformance.inbox import END, Inbox, Reports
from igniter_store_conformance.running import clause
from igniter_store_conformance.samples import GLOBS, NAMES, PAYLOADS
from igniter_store_conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract import Subscription

    from igniter_store_conformance.trial import FullAdapter, Trial

_MESSAGES: Final = 500  # published one after the other, when that doesn't take too long
_LONG_ENOUGH: Final = 3.0  # seconds after which fewer messages do, too


class PubSubClauses(Suite):
    """Messages to whoever listens now."""

    @clause("PUB-1")
    async def test_a_message_is_delivered_once(self, trial: Trial) -> None:
        """What is published once `subscribe` has returned reaches the callback, one call a message, from either client.

        If this fails, look at whether the backend has confirmed the subscription before `subscribe` returns.
        """
        channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
        await trial.adapter.subscribe(channel, inbox)

        await other.publish(channel, b"from another client")
        await inbox.holds(1)
        await trial.adapter.publish(channel, b"from the same")
        await inbox.holds(2)
        await trial.adapter.publish(channel, END)

        assert await inbox.ends() == [b"from another client", b"from the same"]
        assert {name for name, _ in inbox.messages} == {channel}

    @clause("PUB-1")
    async def test_every_subscriber_is_confirmed(self, trial: Trial) -> None:
        """Many subscribe to one channel at the same moment, and each publishes as soon as it may: it hears itself.

        If this fails, look at the second subscriber of a channel: it has to wait for the first one's confirmation, too.
        """
        channel, pattern, other = trial.key(), escape(trial.key("k")) + "*", await trial.other()
        inboxes = [Inbox(trial) for _ in range(12)]

        async def listen(number: int) -> None:
            if number % 3:
                await trial.adapter.subscribe(channel, inboxes[number])
            else:
                await trial.adapter.psubscribe(pattern, inboxes[number])
            await other.publish(channel, b"%d" % number)

        await asyncio.gather(*(listen(number) for number in range(12)))
        await other.publish(channel, END)

        for number, inbox in enumerate(inboxes):
            heard = await inbox.ends()
            assert b"%d" % number in heard, f"subscriber {number} missed what was published after it had subscribed"
            assert len(heard) == len(set(heard)), "each message once"

    @clause("PUB-1")
    async def test_callbacks_run_on_the_event_loop(self, trial: Trial) -> None:
        """A callback is called in the loop that subscribed, with a `str` and `bytes`, so it may start tasks.

        If this fails, look for a thread that calls callbacks by itself: hand them to the loop.
        """
        channel, calls = trial.key(), list[tuple[type, type, bool]]()
        loop, inbox = asyncio.get_running_loop(), Inbox(trial)

        def callback(name: str, payload: bytes) -> None:
            try:
                is_ours = asyncio.get_running_loop() is loop
            except RuntimeError:
                is_ours = False
            calls.append((type(name), type(payload), is_ours))
            loop.call_soon_threadsafe(inbox, name, payload)

        await trial.adapter.subscribe(channel, callback)
        await trial.adapter.psubscribe(escape(channel), callback)
        await trial.adapter.publish(channel, b"1")

        await inbox.holds(2)
        assert calls == [(str, bytes, True)] * 2

    @clause("PUB-2", limit=60)
    async def test_one_publishers_messages_come_in_order(self, trial: Trial) -> None:
        """Hundreds of messages, one after the other: every subscriber, by channel or by pattern, gets them in this order.

        If this fails, look for publishing over several connections, or callbacks that are called from several tasks.
        """
        channel, publisher = trial.key(), await trial.other()
        inboxes = [Inbox(trial) for _ in range(3)]
        await trial.adapter.subscribe(channel, inboxes[0])
        await publisher.subscribe(channel, inboxes[1])
        await trial.adapter.psubscribe(escape(channel), inboxes[2])

        began, sent = trial.time.now(), list[bytes]()
        while len(sent) < _MESSAGES and trial.time.now() - began < _LONG_ENOUGH:
            sent.append(b"%d" % len(sent))
            await publisher.publish(channel, sent[-1])
        await publisher.publish(channel, END)

        for inbox in inboxes:
            assert await inbox.ends() == sent

    @clause("PUB-2")
    async def test_publishers_do_not_disturb_each_others_order(self, trial: Trial) -> None:
        """Two clients publish on one channel at the same time: the messages of each come in its order.

        If this fails, look for messages that overtake each other when two come at once.
        """
        channel, inbox = trial.key(), Inbox(trial)
        publishers = (trial.adapter, await trial.other())
        await trial.adapter.subscribe(channel, inbox)

        async def publish(number: int) -> None:
            for turn in range(20):
                await publishers[number].publish(channel, b"%d:%d" % (number, turn))

        await asyncio.gather(publish(0), publish(1))
        heard = await inbox.holds(40)

        for number in range(2):
            own = [payload for payload in heard if payload.startswith(b"%d:" % number)]
            assert own == [b"%d:%d" % (number, turn) for turn in range(20)]

    @clause("PUB-3")
    async def test_messages_are_exact_bytes(self, trial: Trial) -> None:
        """Whatever the bytes spell, none at all too, they arrive as they were sent.

        If this fails, look for decoding, for a protocol's own marks, and for an empty message that is taken for none.
        """
        channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
        await trial.adapter.subscribe(channel, inbox)

        for payload in PAYLOADS:
            await other.publish(channel, payload)
        await other.publish(channel, END)

        assert await inbox.ends() == list(PAYLOADS)

    @clause("PUB-3", limit=60)
    async def test_a_message_may_hold_a_mebibyte(self, trial: Trial) -> None:
        """1 MiB arrives whole, by channel and by pattern.

        If this fails, look for a limit of your backend (PostgreSQL's NOTIFY has one of 8,000 bytes), or a buffer that is cut.
        """
        channel, payload = trial.key(), trial.payload(1024 * 1024)
        inboxes = (Inbox(trial), Inbox(trial))
        await trial.adapter.subscribe(channel, inboxes[0])
        await trial.adapter.psubscribe(escape(channel) + "*", inboxes[1])

        await (await trial.other()).publish(channel, payload)

        for inbox in inboxes:
            heard = await inbox.holds(1)
            assert len(heard[0]) == len(payload)
            assert heard[0] == payload, "as long as it was, and not the same"

    @clause("PUB-3")
    async def test_channels_that_nearly_agree_are_different(self, trial: Trial) -> None:
        """Case, spaces, accents, newlines, NUL and glob characters all tell channels apart; a name with a `*` is no pattern.

        If this fails, look for folded, trimmed or cut names, and for a channel that is subscribed to as a pattern.
        """
        channels, other = trial.keys(NAMES), await trial.other()
        inboxes = [Inbox(trial) for _ in channels]
        await asyncio.gather(*(trial.adapter.subscribe(channel, inbox) for channel, inbox in zip(channels, inboxes, strict=True)))

        for last in (False, True):
            await asyncio.gather(*(other.publish(channel, END if last else channel.encode()) for channel in channels))

        for name, channel, inbox in zip(NAMES, channels, inboxes, strict=True):
            assert await inbox.ends() == [channel.encode()], f"channel {name!r}"
            assert {told for told, _ in inbox.messages} == {channel}

    @clause("PUB-4")
    async def test_every_subscription_gets_every_message(self, trial: Trial) -> None:
        """Several subscriptions on one channel, on one client and on another, get each message once each.

        If this fails, look for one subscription that replaces another, or a message that goes to one of several.
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
        """Two subscriptions with the same callback are two calls a message; one of them cancelled, it is one call.

        If this fails, look for subscriptions that are kept by their callback.
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
        """One of several subscriptions ends, the first, one between, or the last: those that are left get every message.

        If this fails, look for the backend's subscription being ended with the first one that is cancelled.
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
        """Another channel, a pattern of the same text, and the same channel on another client are left.

        If this fails, look for channels and patterns in one table.
        """
        channel, elsewhere, adapter, other = trial.key(), trial.key("elsewhere"), trial.adapter, await trial.other()
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
        """Where the backend tells how many a message has reached, that is none once all have cancelled; then one can begin anew.

        If this fails, look at what is left at the backend: it goes on sending what nobody hears.
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

        await trial.eventually(reaches_nobody, "a message that reaches nobody, after the last subscription was cancelled")

        inbox = Inbox(trial)
        await trial.adapter.subscribe(channel, inbox)
        await other.publish(channel, END)
        assert await inbox.ends() == []

    @clause("PUB-5")
    async def test_nothing_is_delivered_after_cancel_has_returned(self, trial: Trial) -> None:
        """Messages that are under way when a subscription is cancelled, and all later ones, don't reach its callback.

        If this fails, look for a queue between the connection and the callback that is worked off after the end.
        """
        channel, other = trial.key(), await trial.other()
        inboxes = (Inbox(trial), Inbox(trial))
        subscriptions = (
            await trial.adapter.subscribe(channel, inboxes[0]),
            await trial.adapter.psubscribe(escape(channel) + "*", inboxes[1]),
        )
        publishing = [asyncio.create_task(other.publish(channel, b"%d" % number)) for number in range(50)]
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
        """Again, several at once, and after the adapter was closed: no error, and no other subscription ends.

        If this fails, look for a second cancel that takes away whoever subscribed to this channel in between.
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
        """A task that the callback starts cancels the subscription while messages come: it returns, and then nothing comes.

        If this fails, look for a cancel that waits for the very callback that it was started from.
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
        """When the call of `subscribe` or `psubscribe` is cancelled, after any number of steps, its callback is never called.

        If this fails, look for a callback that is put into the table before the backend has confirmed, and stays there.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(6):
            channel, inbox = trial.key(f"channel-{turn}"), Inbox(trial)
            subscribing = asyncio.create_task(adapter.subscribe(channel, inbox) if turn % 2 else adapter.psubscribe(escape(channel), inbox))
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

    @clause("PUB-6")
    async def test_a_raising_callback_stops_nothing(self, trial: Trial) -> None:
        """It is called again for the next message, and so are all others, those after it in the order too.

        If this fails, look for an exception that ends the task that reads messages, or the loop over the callbacks.
        """
        channel, other = trial.key(), await trial.other()
        raised, before, after, by_pattern = (Inbox(trial) for _ in range(4))

        def broken(name: str, payload: bytes) -> None:
            raised(name, payload)
            raise RuntimeError("the callback is broken")

        with Reports():
            await trial.adapter.subscribe(channel, before)
            await trial.adapter.subscribe(channel, broken)
            await trial.adapter.subscribe(channel, after)
            await trial.adapter.psubscribe(escape(channel), broken)
            await trial.adapter.psubscribe(escape(channel), by_pattern)
            for payload in (b"1", b"2", END):
                await other.publish(channel, payload)

            assert [await inbox.ends() for inbox in (before, after, by_pattern)] == [[b"1", b"2"]] * 3
            assert sorted(await raised.holds(6)) == sorted([b"1", b"2", END] * 2)

    @clause("PUB-6")
    async def test_a_raising_callback_is_reported(self, trial: Trial) -> None:
        """The log of `igniter_store` has an error with the exception, one a call, and never the payload.

        If this fails, look at `report_callback_error`, to be called where the exception was caught.
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

        of_ours = [record for record in reports.records if record.exc_info is not None and record.exc_info[1] is error]
        assert [record.levelno for record in of_ours] == [logging.ERROR] * 2
        assert not any("hush-hush" in record.getMessage() for record in reports.records)

    @clause("PUB-6")
    async def test_work_that_a_callback_starts_delays_nobody(self, trial: Trial) -> None:
        """A callback starts work that isn't done before others have heard.

        If this fails, look for what is waited for between one callback and the next.
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

    @clause("PUB-7", limit=60)
    async def test_patterns_are_rediss_globs(self, trial: Trial) -> None:
        """Every pattern of the table hears the channels that it should, and no others.

        If this fails, look at `contract.patterns.Pattern`; Python's `fnmatch` takes `[!a]` for a negation and knows no escapes.
        """
        adapter, other = trial.adapter, await trial.other()
        inboxes = {pattern: Inbox(trial) for pattern, _, _ in GLOBS}
        subjects = sorted({subject for _, matching, others in GLOBS for subject in (*matching, *others)})
        names = {trial.key(subject): subject for subject in subjects}
        witness = Inbox(trial)
        await asyncio.gather(*(adapter.subscribe(channel, witness) for channel in names))
        await asyncio.gather(*(adapter.psubscribe(escape(trial.prefix) + pattern, inbox) for pattern, inbox in inboxes.items()))

        for payload in (b"1", END):
            await asyncio.gather(*(other.publish(channel, payload) for channel in names))
        await witness.holds(2 * len(names))
        await trial.settle()

        for pattern, matching, others in GLOBS:
            heard = [names[channel] for channel, payload in inboxes[pattern].messages if payload == b"1"]
            assert len(heard) == len(set(heard)), f"pattern {pattern!r} heard something twice"
            assert set(heard) >= set(matching), f"pattern {pattern!r} missed something"
            assert not set(heard) & set(others), f"pattern {pattern!r} heard something else"

    @clause("PUB-7")
    async def test_a_pattern_matches_whole_channels_of_any_text(self, trial: Trial) -> None:
        r"""An escaped name is the pattern of this name alone, whatever is in it.

        If this fails, look at how `\` is read, in choices too, and at matching that begins or ends somewhere in the name.
        """
        channels, adapter, other = trial.keys(NAMES), trial.adapter, await trial.other()
        inboxes = [Inbox(trial) for _ in channels]
        await asyncio.gather(*(adapter.psubscribe(escape(channel), inbox) for channel, inbox in zip(channels, inboxes, strict=True)))

        for last in (False, True):
            await asyncio.gather(*(other.publish(channel, END if last else b"1") for channel in channels))

        for name, channel, inbox in zip(NAMES, channels, inboxes, strict=True):
            assert await inbox.ends() == [b"1"], f"channel {name!r}"
            assert inbox.messages == [(channel, b"1"), (channel, END)]

    @clause("PUB-8")
    async def test_a_channel_and_patterns_each_get_the_message(self, trial: Trial) -> None:
        """One message on a channel that is subscribed to by name and by two patterns calls each of the three once.

        If this fails, look for a client that folds what the server sends three times, or that calls all three for each of them.
        """
        channel, elsewhere, prefix = trial.key("news.a"), trial.key("news.b"), escape(trial.prefix)
        exact, narrow, wide = (Inbox(trial) for _ in range(3))
        await trial.adapter.subscribe(channel, exact)
        await trial.adapter.psubscribe(prefix + "news.*", narrow)
        await trial.adapter.psubscribe(prefix + "n*", wide)

        for name, payload in ((elsewhere, b"b"), (channel, b"a"), (channel, END)):
            await (await trial.other()).publish(name, payload)

        assert await exact.ends() == [b"a"]
        for inbox in (narrow, wide):
            assert sorted(await inbox.ends()) == [b"a", b"b"]
            assert sorted(inbox.messages) == sorted([(elsewhere, b"b"), (channel, b"a"), (channel, END)])

    @clause("PUB-8")
    async def test_one_callback_by_channel_and_by_pattern_is_called_for_each(self, trial: Trial) -> None:
        """One callback that is subscribed by name, by a pattern, and by the same pattern again is called three times a message.

        If this fails, look for callbacks or patterns that are kept in a set.
        """
        channel, inbox, adapter = trial.key(), Inbox(trial), trial.adapter
        await adapter.subscribe(channel, inbox)
        await adapter.psubscribe(escape(channel) + "*", inbox)
        await adapter.psubscribe(escape(channel) + "*", inbox)

        await adapter.publish(channel, b"1")
        assert await inbox.holds(3) == [b"1"] * 3
        await adapter.publish(channel, b"2")

        assert await inbox.holds(6) == [b"1"] * 3 + [b"2"] * 3

    @clause("PUB-11")
    async def test_publishing_to_nobody_is_no_error(self, trial: Trial) -> None:
        """It returns a number, 0 where the backend knows it: on a channel that nobody ever had, and on one that all have left.

        If this fails, look for a channel that has to be there before it can be published on.
        """
        channel, adapter = trial.key(), trial.adapter
        assert await adapter.publish(channel, b"1") == 0
        subscription = await adapter.subscribe(channel, Inbox(trial))
        reached = await adapter.publish(channel, b"2")
        assert type(reached) is int
        assert reached >= 0
        await subscription.cancel()

        assert type(await adapter.publish(channel, b"3")) is int

    @clause("PUB-11")
    async def test_nothing_is_kept_for_later_subscribers(self, trial: Trial) -> None:
        """What was published before a subscription began, by name or by pattern, is not delivered to it.

        If this fails, look for a backend that keeps messages, and where reading begins.
        """
        channel, adapter, other = trial.key(), trial.adapter, await trial.other()
        inboxes = [Inbox(trial) for _ in range(3)]
        await other.publish(channel, b"before the first")
        await adapter.subscribe(channel, inboxes[0])
        await other.publish(channel, b"before the others")
        await inboxes[0].holds(1)
        await adapter.subscribe(channel, inboxes[1])
        await adapter.psubscribe(escape(channel), inboxes[2])

        await other.publish(channel, END)

        assert [await inbox.ends() for inbox in inboxes] == [[b"before the others"], [], []]

    @clause("PUB-12")
    async def test_callbacks_may_publish(self, trial: Trial) -> None:
        """Two subscribers answer each other from their callbacks, a dozen times.

        If this fails, look for a lock that is held while callbacks run, or a connection that can't publish while it reads.
        """
        ping, pong, adapter, other = trial.key("ping"), trial.key("pong"), trial.adapter, await trial.other()
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
        """A task that a callback starts subscribes to a second channel, publishes there, cancels, and is never waited for in vain.

        If this fails, look for a reader that waits for the callback's tasks while these wait for the reader's confirmation.
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


async def _until_quiet(trial: Trial, channel: str) -> None:
    """Return when everything that was published on the channel by any client has been delivered to whom it will be."""

    async def quiet(publisher: FullAdapter, listener: FullAdapter) -> None:
        witness, mark = Inbox(trial), trial.payload(8)
        subscription = await listener.subscribe(channel, witness)
        await publisher.publish(channel, mark)
        await witness.hears(mark)
        await subscription.cancel()

    clients = await trial.clients(2)
    await asyncio.gather(*(quiet(publisher, listener) for publisher in clients for listener in clients))
    await trial.settle()
