"""Messages, by `subscribe` and by `psubscribe` alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import escape
from msgspec import Struct

from igniter_store_conformance.crossing.names import LENGTHS, SIMILAR_NAMES
from igniter_store_conformance.crossing.payloads import payloads
from igniter_store_conformance.tools.inbox import END, Inbox, Reports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import Subscription

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_BURST: Final = 5_000
_AT_ONCE: Final = 100
_MEBIBYTE: Final = 1024 * 1024

WAYS: Final = ("subscribe", "psubscribe")
"""The methods that subscribe."""


class MessageQuestion(Struct, frozen=True):
    """A question that is asked of both ways to subscribe.

    Attributes:
        word: names the question in the names of tests.
        clause: the clause that it tests.
        title: names it in reports.
        promise: what the test checks; `{operation}` is replaced.
        hint: where to look if the test fails.
        ask: asks the question.
    """

    word: str
    clause: str
    title: str
    promise: str
    hint: str
    ask: Callable[[Trial, str], Awaitable[None]]


async def _listening(
    way: str, adapter: FullAdapter, channel: str, callback: Any, **options: Any
) -> Subscription:
    if way == "subscribe":
        return await adapter.subscribe(channel, callback, **options)
    return await adapter.psubscribe(escape(channel), callback, **options)


async def _each_hears_its_own(trial: Trial, way: str, names: list[str]) -> None:
    other, channels = await trial.other(), [trial.key(name) for name in names]
    inboxes = [Inbox(trial) for _ in channels]
    for begin in range(0, len(channels), _AT_ONCE):
        await asyncio.gather(
            *(
                _listening(way, trial.adapter, channels[place], inboxes[place])
                for place in range(begin, min(begin + _AT_ONCE, len(channels)))
            )
        )
    for place, channel in enumerate(channels):
        await other.publish(channel, b"%d" % place)
        await other.publish(channel, END)
    for place, (channel, inbox) in enumerate(zip(channels, inboxes, strict=True)):
        heard = await inbox.ends()
        assert heard == [b"%d" % place], f"channel {names[place]!r} got {heard!r}"
        assert {name for name, _ in inbox.messages} == {channel}


async def _similar(trial: Trial, way: str) -> None:
    await _each_hears_its_own(trial, way, list(SIMILAR_NAMES))


async def _long(trial: Trial, way: str) -> None:
    begin = len(trial.key("").encode())
    names: list[str] = []
    for length in LENGTHS:
        if (rest := length - begin - 1) > 0:
            same = "x" * rest
            names += [same + "a", same + "b", "c" + same, "d" + same]
    await _each_hears_its_own(trial, way, names)


async def _bytes(trial: Trial, way: str) -> None:
    channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
    await _listening(way, trial.adapter, channel, inbox)
    sent = [each for each in payloads(trial) if each != END]
    for payload in sent:
        await other.publish(channel, payload)
    await other.publish(channel, END)
    heard = await inbox.ends()
    assert len(heard) == len(sent)
    for place, (got, wanted) in enumerate(zip(heard, sent, strict=True)):
        assert type(got) is bytes
        assert got == wanted, f"payload {place}, of {len(wanted):,} bytes, came as {len(got):,}"


async def _burst(trial: Trial, way: str) -> None:
    channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
    gaps: list[None] = []
    await _listening(way, trial.adapter, channel, inbox, on_gap=lambda: gaps.append(None))
    for begin in range(0, _BURST, _AT_ONCE):
        await asyncio.gather(
            *(other.publish(channel, b"%d" % number) for number in range(begin, begin + _AT_ONCE))
        )
        trial.watch.beat()
    await other.publish(channel, END)
    heard = await inbox.ends()
    assert len(heard) == _BURST
    assert set(heard) == {b"%d" % number for number in range(_BURST)}
    assert gaps == [], "a gap was reported, but no connection was lost"


async def _order(trial: Trial, way: str) -> None:
    channel, inbox, other = trial.key(), Inbox(trial), await trial.other()
    await _listening(way, trial.adapter, channel, inbox)
    for number in range(300):
        await other.publish(channel, b"%d" % number)
    await other.publish(channel, END)
    assert await inbox.ends() == [b"%d" % number for number in range(300)]


async def _cancelling(trial: Trial, way: str) -> None:
    channel, other = trial.key(), await trial.other()
    first, second, third = Inbox(trial), Inbox(trial), Inbox(trial)
    one = await _listening(way, trial.adapter, channel, first)
    await _listening(way, trial.adapter, channel, second)
    await _listening("subscribe", trial.adapter, channel, third)
    await other.publish(channel, b"1")
    for inbox in (first, second, third):
        await inbox.holds(1)
    await one.cancel()
    await one.cancel()
    await other.publish(channel, b"2")
    await other.publish(channel, END)
    assert await second.ends() == [b"1", b"2"]
    assert await third.ends() == [b"1", b"2"]
    assert first.payloads == [b"1"]
    again = Inbox(trial)
    await _listening(way, trial.adapter, channel, again)
    await other.publish(channel, b"3")
    await again.hears(b"3")
    assert first.payloads == [b"1"]


async def _cancelled_inside(trial: Trial, way: str) -> None:
    channel, other = trial.key(), await trial.other()
    heard, after = Inbox(trial), Inbox(trial)
    ending: list[asyncio.Task[None]] = []
    subscriptions: list[Subscription] = []

    def once(name: str, payload: bytes) -> None:
        heard(name, payload)
        ending.append(asyncio.ensure_future(subscriptions[0].cancel()))

    subscriptions.append(await _listening(way, trial.adapter, channel, once))
    await _listening(way, trial.adapter, channel, after)
    await other.publish(channel, b"1")
    await heard.holds(1)
    await trial.done(ending[0], "a cancel from within the callback")
    await other.publish(channel, b"2")
    await other.publish(channel, END)
    assert await after.ends() == [b"1", b"2"]
    assert heard.payloads == [b"1"]


async def _raising(trial: Trial, way: str) -> None:
    channel, other = trial.key(), await trial.other()
    errors = [RuntimeError("broken"), asyncio.CancelledError(), KeyError("x"), TimeoutError()]
    raised, after = Inbox(trial), Inbox(trial)

    def broken(name: str, payload: bytes) -> None:
        raised(name, payload)
        raise errors[len(raised.messages) % len(errors)]

    with Reports():
        await _listening(way, trial.adapter, channel, broken)
        await _listening(way, trial.adapter, channel, after)
        for number in range(8):
            await other.publish(channel, b"%d" % number)
        await other.publish(channel, END)
        assert await after.ends() == [b"%d" % number for number in range(8)]
        assert len(await raised.holds(9)) == 9


async def _reentrant(trial: Trial, way: str) -> None:
    channel, adapter, other = trial.key(), trial.adapter, await trial.other()
    inner, inbox = Inbox(trial), Inbox(trial)
    working: list[asyncio.Task[Any]] = []

    async def more() -> None:
        subscription = await _listening(way, adapter, channel, inner)
        await adapter.publish(channel, b"from within")
        await inner.hears(b"from within")
        await subscription.cancel()

    def callback(name: str, payload: bytes) -> None:
        inbox(name, payload)
        if payload == b"go":
            working.append(asyncio.ensure_future(more()))

    await _listening(way, adapter, channel, callback)
    await other.publish(channel, b"go")
    await inbox.hears(b"go")
    await trial.done(working[0], "what the callback has started")
    await inbox.hears(b"from within")


async def _receivers(trial: Trial, way: str) -> None:
    channel, other = trial.key(), await trial.other()
    assert await other.publish(channel, b"nobody") == 0
    inboxes = [Inbox(trial) for _ in range(3)]
    for inbox in inboxes:
        await _listening(way, trial.adapter, channel, inbox)
    counted = await other.publish(channel, END)
    for inbox in inboxes:
        await inbox.ends()
    assert counted in {0, 1, 3}, "neither the subscriptions, nor their connections, nor unknown"


MESSAGES: Final = (
    MessageQuestion(
        "similar",
        "PUB-3",
        "channels that differ in case, blanks, accents or special characters",
        "{operation} tells similar channels apart: each hears only its own messages.",
        "look for channels that are folded, trimmed, normalized or used as patterns.",
        _similar,
    ),
    MessageQuestion(
        "long",
        "PUB-3",
        "channels of up to 1 KiB with equal beginnings or ends",
        "{operation} tells long channels apart that differ only in their last or first character.",
        "look for a name of limited length.",
        _long,
    ),
    MessageQuestion(
        "bytes",
        "PUB-3",
        "payloads of 0 bytes to 1 MiB, with every byte",
        "{operation} delivers every payload exactly: from 0 bytes to 1 MiB, and with every byte.",
        "look for a size limit, and for decoding or trimming of payloads.",
        _bytes,
    ),
    MessageQuestion(
        "burst",
        "PUB-1",
        "bursts of 5,000 messages",
        "{operation} delivers each of 5,000 messages that are published at once, and reports no "
        "gap.",
        "look for a queue or a table of limited length, and for a gap that is taken from a delay.",
        _burst,
    ),
    MessageQuestion(
        "order",
        "PUB-2",
        "hundreds of messages in order",
        "{operation} delivers the messages of one publisher in order.",
        "look for callbacks that run in tasks of their own, or for a table without an order.",
        _order,
    ),
    MessageQuestion(
        "cancelling",
        "PUB-5",
        "one subscription of several ends",
        "`cancel` of what {operation} returned ends this subscription only, and a second `cancel` "
        "raises no error.",
        "look for a table by channel in which a subscription ends all others.",
        _cancelling,
    ),
    MessageQuestion(
        "cancelled_inside",
        "PUB-5",
        "a callback ends its own subscription",
        "`cancel` works from within a callback of {operation}, and the others still hear.",
        "look for a list of subscriptions that changes while it is walked.",
        _cancelled_inside,
    ),
    MessageQuestion(
        "raising",
        "PUB-6",
        "callbacks that raise, also CancelledError",
        "A callback of {operation} that raises, even `asyncio.CancelledError`, stops nothing.",
        "look for `except Exception` around the callback: CancelledError isn't an Exception.",
        _raising,
    ),
    MessageQuestion(
        "reentrant",
        "PUB-12",
        "callbacks that subscribe and publish",
        "A callback of {operation} may start calls that subscribe, publish and cancel.",
        "look for a lock that is held while callbacks run.",
        _reentrant,
    ),
    MessageQuestion(
        "receivers",
        "PUB-3",
        "the number of receivers",
        "`publish` to subscribers of {operation} returns their number, that of their connections, "
        "or 0, and 0 without subscribers.",
        "look for a number that counts something else.",
        _receivers,
    ),
)
"""The questions about messages."""
