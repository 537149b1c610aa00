"""Messages and whom they reach: clauses PUB-1 to PUB-3 and PUB-11.

Several subscriptions, patterns and cancelling are in `subscriptions`, what callbacks do in
`callbacks`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.inbox import END, Inbox
from igniter_store_conformance.tools.samples import NAMES, PAYLOADS

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MESSAGES: Final = 500  # published one after the other, when that doesn't take too long
_LONG_ENOUGH: Final = 3.0  # seconds after which fewer messages do, too


class PubSubClauses(Suite):
    """Messages to whoever listens now."""

    @clause("PUB-1")
    async def test_a_message_is_delivered_once(self, trial: Trial) -> None:
        """What is published once `subscribe` has returned reaches the callback, one call a message,
        from either client.

        If this fails, look at whether the backend has confirmed the subscription before `subscribe`
        returns.
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
        """Many subscribe to one channel at the same moment, and each publishes as soon as it may:
        it hears itself.

        If this fails, look at the second subscriber of a channel: it has to wait for the first
        one's confirmation, too.
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
            assert b"%d" % number in heard, (
                f"subscriber {number} missed what was published after it had subscribed"
            )
            assert len(heard) == len(set(heard)), "each message once"

    @clause("PUB-1")
    async def test_a_thousand_may_subscribe_together(self, trial: Trial) -> None:
        """A thousand subscribe at the same moment, to as many channels, and each hears its own
        message once.

        If this fails, look for confirmations that are waited for one by one: the last of a thousand
        is waited for a thousand trips.
        """
        inboxes = {trial.key(f"{number}"): Inbox(trial) for number in range(1_000)}

        await asyncio.gather(
            *(trial.adapter.subscribe(channel, inbox) for channel, inbox in inboxes.items())
        )
        await asyncio.gather(
            *(trial.adapter.publish(channel, channel.encode()) for channel in inboxes)
        )

        for channel, inbox in inboxes.items():
            assert await inbox.holds(1) == [channel.encode()]

    @clause("PUB-1")
    async def test_callbacks_run_on_the_event_loop(self, trial: Trial) -> None:
        """A callback is called in the loop that subscribed, with a `str` and `bytes`, so it may
        start tasks.

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
        """Hundreds of messages, one after the other: every subscriber, by channel or by pattern,
        gets them in this order.

        If this fails, look for publishing over several connections, or callbacks that are called
        from several tasks.
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
        """Two clients publish on one channel at the same time: the messages of each come in its
        order.

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

        If this fails, look for decoding, for a protocol's own marks, and for an empty message that
        is taken for none.
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

        If this fails, look for a limit of your backend (PostgreSQL's NOTIFY has one of 8,000
        bytes), or a buffer that is cut.
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
        """Case, spaces, accents, newlines, NUL and glob characters all tell channels apart; a name
        with a `*` is no pattern.

        If this fails, look for folded, trimmed or cut names, and for a channel that is subscribed
        to as a pattern.
        """
        channels, other = trial.keys(NAMES), await trial.other()
        inboxes = [Inbox(trial) for _ in channels]
        await asyncio.gather(
            *(
                trial.adapter.subscribe(channel, inbox)
                for channel, inbox in zip(channels, inboxes, strict=True)
            )
        )

        for last in (False, True):
            await asyncio.gather(
                *(other.publish(channel, END if last else channel.encode()) for channel in channels)
            )

        for name, channel, inbox in zip(NAMES, channels, inboxes, strict=True):
            assert await inbox.ends() == [channel.encode()], f"channel {name!r}"
            assert {told for told, _ in inbox.messages} == {channel}

    @clause("PUB-11")
    async def test_publishing_to_nobody_is_no_error(self, trial: Trial) -> None:
        """It returns a number, 0 where the backend knows it: on a channel that nobody ever had, and
        on one that all have left.

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
        """What was published before a subscription began, by name or by pattern, is not delivered
        to it.

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
