"""Delivery of messages: clauses PUB-1 to PUB-3 and PUB-11.

Multiple subscriptions, patterns and cancellation are tested in `subscriptions`, and callbacks in
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

_MESSAGES: Final = 500  # published one by one, fewer if that exceeds `_LONG_ENOUGH`
_LONG_ENOUGH: Final = 3.0  # seconds after which fewer messages are enough


class PubSubClauses(Suite):
    """Messages to the current subscribers."""

    @clause("PUB-1")
    async def test_a_message_is_delivered_once(self, trial: Trial) -> None:
        """After `subscribe` returns, each message calls the callback exactly once.

        The messages come from the subscribing client and from another one.

        If this fails, check whether the backend has confirmed the subscription before `subscribe`
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
        """Each concurrent subscriber of a channel receives the message that it publishes itself.

        Each subscriber publishes as soon as its own `subscribe` or `psubscribe` returns.

        If this fails, look at the second subscriber of a channel. It has to wait for the first
        one's confirmation too.
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
        """A thousand concurrent subscriptions to as many channels each receive their message once.

        If this fails, look for confirmations that are awaited one by one: the last subscription
        then waits for a thousand round trips.
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
        """Callbacks run in the event loop that subscribed, with a `str` and `bytes`.

        So a callback may start tasks.

        If this fails, look for a thread that calls callbacks directly. Schedule them on the event
        loop instead.
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
        """Every subscriber receives the messages of one publisher in the order of publishing.

        The test publishes hundreds of messages one by one, and subscribes by channel and by
        pattern.

        If this fails, look for publishing over several connections, or for callbacks that are
        called from several tasks.
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
        """When two clients publish concurrently on a channel, each client's messages stay in order.

        If this fails, look for messages that overtake each other when two of them arrive at once.
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
        """Payloads of any bytes arrive unchanged, and so does an empty payload.

        If this fails, look for decoding, for bytes that are parsed as protocol markers, and for an
        empty payload that is treated as no message.
        """
        channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
        await trial.adapter.subscribe(channel, inbox)

        for payload in PAYLOADS:
            await other.publish(channel, payload)
        await other.publish(channel, END)

        assert await inbox.ends() == list(PAYLOADS)

    @clause("PUB-3", limit=60)
    async def test_a_message_may_hold_a_mebibyte(self, trial: Trial) -> None:
        """A payload of 1 MiB arrives complete, by channel and by pattern.

        If this fails, look for a limit of your backend (PostgreSQL's NOTIFY has one of 8,000
        bytes), or for a buffer that truncates.
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
        """Channels whose names differ only slightly are different channels.

        The names differ in case, spaces, accents, newlines, NUL or glob characters. A channel name
        with a `*` isn't a pattern.

        If this fails, look for names that are case-folded, trimmed or truncated, and for a channel
        that is subscribed to as a pattern.
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
    async def test_publish_succeeds_without_subscribers(self, trial: Trial) -> None:
        """`publish` on a channel without subscribers doesn't raise.

        On a channel that never had a subscriber, it returns 0. On one that has a subscriber, or
        that all subscribers have left, it returns an `int` that isn't negative.

        If this fails, look for a channel that has to exist before a client can publish on it.
        """
        channel, adapter = trial.key(), trial.adapter
        assert await adapter.publish(channel, b"1") == 0
        subscription = await adapter.subscribe(channel, Inbox(trial))
        reached = [await adapter.publish(channel, b"2")]
        await subscription.cancel()

        reached.append(await adapter.publish(channel, b"3"))
        assert [type(number) for number in reached] == [int, int]
        assert min(reached) >= 0

    @clause("PUB-11")
    async def test_nothing_is_kept_for_later_subscribers(self, trial: Trial) -> None:
        """A subscription doesn't receive messages that were published before it began.

        This holds by name and by pattern.

        If this fails, look for a backend that stores messages, and at where reading starts.
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
