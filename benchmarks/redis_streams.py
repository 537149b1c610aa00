"""How long do 100,000 messages take through a stream: appended, read by a group, acknowledged?

P11. Fifty producers append, and each awaits its own appends. Then one consumer reads a hundred
messages at a time and acknowledges each batch. A bare client sends the same commands. Every message
has to arrive once, and none may be pending at the end.
"""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import redis.asyncio
from igniter_store import Store
from igniter_store_conformance import servers

from benchmarks.measuring import Pace, WrongAnswerError
from benchmarks.payload import SERVICE, key_of, value_of
from benchmarks.question import Answer, ask
from benchmarks.redis_peers import BARE, OURS, OURS_ON_GLIDE, on_glide
from benchmarks.results import Comparison, Figure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MESSAGES: Final = 100_000
_PRODUCERS: Final = 50
_PAGE: Final = 100

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


async def answer(pace: Pace) -> Answer:
    """Measure all contestants in turn, on one server."""
    messages = max(_PRODUCERS, int(_MESSAGES * pace.scale))
    rounds: dict[str, list[float]] = {OURS: [], OURS_ON_GLIDE: [], BARE: []}
    checked = 0
    with servers.start("redis") as server:
        untyped: Any = redis.asyncio.Redis
        client = untyped.from_url(server.url)
        other = Store.from_url(on_glide(server.url), service=SERVICE)
        async with Store.from_url(server.url, service=SERVICE) as store, other as store_on_glide:
            ways: dict[str, Callable[[str, int], Awaitable[tuple[float, list[Any]]]]] = {
                OURS: lambda stream, number: _through_the_store(store, stream, number),
                OURS_ON_GLIDE: lambda stream, number: _through_the_store(
                    store_on_glide, stream, number
                ),
                BARE: lambda stream, number: _through_the_client(client, stream, number),
            }
            for turn in range(pace.rounds + 1):  # the first one warms up
                for name, way in ways.items():
                    await client.flushall()
                    gc.collect()
                    seconds, found = await way(f"stream-{turn}", messages)
                    if sorted(value["id"] for value in found) != [
                        10_000_000 + number for number in range(messages)
                    ]:
                        message = f"{name}: not every message arrived exactly once."
                        raise WrongAnswerError(message)
                    if turn:
                        rounds[name].append(messages / seconds)
                        checked += messages
        await client.aclose()
    title = f"Redis, {messages:,} messages: append, group read, ack"
    comparison = Comparison(
        title=title, unit="messages/s", callers=_PRODUCERS, answers_checked=checked, rounds=rounds
    )
    figures = [
        Figure("P11", f"{title}: ours ÷ {BARE}", comparison.ratios(OURS, BARE), asked=3.0),
        Figure(
            "P11", f"{title}: ours on valkey-glide ÷ {BARE}", comparison.ratios(OURS_ON_GLIDE, BARE)
        ),
    ]
    return Answer([comparison], figures)


def _shares(messages: int) -> list[range]:
    return [range(first, messages, _PRODUCERS) for first in range(_PRODUCERS)]


async def _through_the_store(
    store: Store[str], stream: str, messages: int
) -> tuple[float, list[Any]]:
    group = store.streams.group("group", "consumer")
    await group.ensure(stream)
    found: list[Any] = []

    async def produce(numbers: range) -> None:
        for number in numbers:
            await store.streams.append(stream, value_of(key_of(number)))

    began = perf_counter()
    await asyncio.gather(*map(produce, _shares(messages)))
    while len(found) < messages:
        page = await group.read(stream, count=_PAGE)
        found += [message.message for message in page]
        await group.ack(stream, [message.id for message in page])
    seconds = perf_counter() - began
    if await group.pending(stream):
        message = "acknowledged messages are still pending"
        raise WrongAnswerError(message)
    return seconds, found


async def _through_the_client(client: Any, stream: str, messages: int) -> tuple[float, list[Any]]:
    await client.xgroup_create(stream, "group", "0", mkstream=True)
    found: list[Any] = []

    async def produce(numbers: range) -> None:
        for number in numbers:
            await client.xadd(stream, {"data": _encode(value_of(key_of(number)))})

    began = perf_counter()
    await asyncio.gather(*map(produce, _shares(messages)))
    while len(found) < messages:
        answer = await client.xreadgroup("group", "consumer", {stream: ">"}, count=_PAGE)
        page: list[tuple[bytes, dict[bytes, bytes]]] = answer[0][1]
        found += [_decode(fields[b"data"]) for _, fields in page]
        await client.xack(stream, "group", *[added for added, _ in page])
    seconds = perf_counter() - began
    if (await client.xpending(stream, "group"))["pending"]:
        message = "acknowledged messages are still pending"
        raise WrongAnswerError(message)
    return seconds, found


if __name__ == "__main__":
    ask(
        __file__,
        __doc__,
        answer,
        packages=(
            "igniter-store-redis",
            "igniter-store-valkey",
            "redis",
            "hiredis",
            "valkey-glide",
        ),
    )
