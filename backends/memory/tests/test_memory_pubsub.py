"""Publish and subscribe: clauses PUB-1 to PUB-8, PUB-11."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from igniter_store.contract import MessageCallback, Subscription
    from igniter_store_memory import MemoryAdapter

NAMES = [
    "news",
    "News",
    "news ",
    " news",
    "new",
    "news:a",
    "news*",
    "n?ws",
    "[news]",
    "ne\\ws",
    "ne\nws",
    "ne\0ws",
    "\u00e9",
    "e\u0301",
    "x" * 1024,
]


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def __call__(self, channel: str, payload: bytes) -> None:
        self.heard.append((channel, payload))


@pytest.mark.clause("PUB-1")
async def test_what_is_published_after_subscribing_is_delivered_once(adapter: MemoryAdapter) -> None:
    await adapter.publish("channel", b"before")
    ear = Ear()
    await adapter.subscribe("channel", ear)

    await adapter.publish("channel", b"after")

    assert ear.heard == [("channel", b"after")]


@pytest.mark.clause("PUB-2")
async def test_messages_arrive_in_their_order(adapter: MemoryAdapter) -> None:
    ear = Ear()
    await adapter.subscribe("channel", ear)

    for number in range(1_000):
        await adapter.publish("channel", b"%d" % number)

    assert [payload for _, payload in ear.heard] == [b"%d" % number for number in range(1_000)]


@pytest.mark.clause("PUB-3")
@pytest.mark.parametrize("payload", [b"", bytes(range(256)), bytes(range(256)) * 4096], ids=["empty", "every byte", "1 MiB"])
async def test_payloads_are_exact(adapter: MemoryAdapter, payload: bytes) -> None:
    ear = Ear()
    await adapter.subscribe("channel", ear)

    await adapter.publish("channel", payload)

    assert ear.heard == [("channel", payload)]


@pytest.mark.clause("PUB-3")
async def test_channel_names_are_exact(adapter: MemoryAdapter) -> None:
    ears = {name: Ear() for name in NAMES}
    for name, ear in ears.items():
        await adapter.subscribe(name, ear)

    for name in NAMES:
        assert await adapter.publish(name, name.encode()) == 1

    assert {name: ear.heard for name, ear in ears.items()} == {name: [(name, name.encode())] for name in NAMES}


@pytest.mark.clause("PUB-4")
async def test_every_subscription_of_a_channel_gets_every_message(adapter: MemoryAdapter) -> None:
    ears = [Ear(), Ear(), Ear()]
    for ear in ears:
        await adapter.subscribe("channel", ear)

    assert await adapter.publish("channel", b"1") == 3

    assert [ear.heard for ear in ears] == [[("channel", b"1")]] * 3


@pytest.mark.clause("PUB-4")
async def test_one_callback_subscribed_twice_is_called_twice(adapter: MemoryAdapter) -> None:
    ear = Ear()
    first = await adapter.subscribe("channel", ear)
    await adapter.subscribe("channel", ear)

    await adapter.publish("channel", b"1")
    await first.cancel()
    await adapter.publish("channel", b"2")

    assert ear.heard == [("channel", b"1"), ("channel", b"1"), ("channel", b"2")]


@pytest.mark.clause("PUB-4", "PUB-5")
async def test_cancelling_one_leaves_the_others_and_the_last_ends_it_all(adapter: MemoryAdapter) -> None:
    ears = [Ear(), Ear(), Ear()]
    subscriptions = [
        await adapter.subscribe("channel", ears[0]),
        await adapter.subscribe("channel", ears[1]),
        await adapter.psubscribe("chan*", ears[2]),
    ]

    reached: list[int] = []
    for subscription in subscriptions:
        reached.append(await adapter.publish("channel", b"1"))
        await subscription.cancel()
    reached.append(await adapter.publish("channel", b"1"))

    assert reached == [3, 2, 1, 0]
    assert [len(ear.heard) for ear in ears] == [1, 2, 3]


@pytest.mark.clause("PUB-5")
async def test_cancelling_twice_is_fine(adapter: MemoryAdapter) -> None:
    ear = Ear()
    subscription = await adapter.subscribe("channel", ear)
    await subscription.cancel()
    await subscription.cancel()

    assert await adapter.publish("channel", b"1") == 0
    assert ear.heard == []


@pytest.mark.clause("PUB-5")
async def test_a_subscription_that_is_cancelled_while_its_message_is_delivered_to_others_is_not_called(adapter: MemoryAdapter) -> None:
    later = Ear()
    subscriptions: list[Subscription] = []

    def cancel_the_other(_channel: str, _payload: bytes) -> None:
        with pytest.raises(StopIteration):
            subscriptions[0].cancel().__await__().send(None)

    await adapter.subscribe("channel", cancel_the_other)
    subscriptions.append(await adapter.subscribe("channel", later))

    await adapter.publish("channel", b"1")

    assert later.heard == []


@pytest.mark.clause("PUB-6")
async def test_a_raising_callback_is_reported_and_stops_nothing(adapter: MemoryAdapter, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_channel: str, _payload: bytes) -> None:
        raise RuntimeError("the callback is broken")

    ear = Ear()
    callbacks: list[MessageCallback] = [fail, ear, fail]
    for callback in callbacks:
        await adapter.subscribe("channel", callback)

    with caplog.at_level(logging.ERROR):
        await adapter.publish("channel", b"hush-hush")
        await adapter.publish("channel", b"2")

    assert [payload for _, payload in ear.heard] == [b"hush-hush", b"2"]
    assert caplog.text.count("the callback is broken") >= 4
    assert "hush-hush" not in caplog.text


@pytest.mark.clause("PUB-7")
@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("news.*", ["news.", "news.a", "news.a.b", "news.\n"], ["news", "News.a", "xnews.a"]),
        ("n?ws", ["news", "n?ws", "n\nws"], ["nws", "neews"]),
        ("n[ae]ws", ["news", "naws"], ["nbws", "nws"]),
        ("n[^e]ws", ["naws", "n^ws"], ["news"]),
        ("n[a-c]ws", ["naws", "nbws", "ncws"], ["ndws", "n-ws"]),
        ("n[!e]ws", ["n!ws", "news"], ["naws"]),
        ("n\\*ws", ["n*ws"], ["news", "n\\*ws"]),
        ("*", ["", "anything at all"], []),
    ],
)
async def test_patterns_are_rediss_and_the_callback_is_told_the_channel(
    adapter: MemoryAdapter, pattern: str, matching: list[str], others: list[str]
) -> None:
    ear = Ear()
    await adapter.psubscribe(pattern, ear)

    for channel in [*matching, *others]:
        await adapter.publish(channel, b"1")

    assert [channel for channel, _ in ear.heard] == matching


@pytest.mark.clause("PUB-8")
async def test_a_channel_and_two_patterns_each_get_the_message(adapter: MemoryAdapter) -> None:
    ears = [Ear(), Ear(), Ear()]
    await adapter.subscribe("news.a", ears[0])
    await adapter.psubscribe("news.*", ears[1])
    await adapter.psubscribe("n*", ears[2])

    assert await adapter.publish("news.a", b"1") == 3

    assert [ear.heard for ear in ears] == [[("news.a", b"1")]] * 3


@pytest.mark.clause("PUB-3")
async def test_a_name_is_no_pattern_when_it_is_subscribed_to_exactly(adapter: MemoryAdapter) -> None:
    ear = Ear()
    await adapter.subscribe("news.*", ear)

    await adapter.publish("news.a", b"1")
    await adapter.publish("news.*", b"2")

    assert ear.heard == [("news.*", b"2")]


@pytest.mark.clause("PUB-11")
async def test_publishing_to_nobody_is_no_error_and_nothing_is_kept(adapter: MemoryAdapter) -> None:
    assert await adapter.publish("channel", b"1") == 0
    ear = Ear()

    await adapter.subscribe("channel", ear)
    await adapter.psubscribe("*", ear)

    assert ear.heard == []
