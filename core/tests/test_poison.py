"""An entry that can't be decoded hides none of its neighbours: streams, groups and batches."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pytest
from igniter_store import MSGPACK, ErrorCode, SerializationError, Store, StoreError, StreamMessage
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter
    from igniter_store.contract import ManualClock

pytestmark = pytest.mark.clause("STR-24")

PREFIX = "igniter:store:test"
QUOTED = "hidden-in-the-payload"


class Job(msgspec.Struct):
    id: int


Read: TypeAlias = Callable[[Store[str], Any], Awaitable[list[StreamMessage[Any]]]]


async def by_range(store: Store[str], wanted: Any) -> list[StreamMessage[Any]]:
    return await store.streams.range("s", type=wanted)


async def by_reverse_range(store: Store[str], wanted: Any) -> list[StreamMessage[Any]]:
    return (await store.streams.range("s", type=wanted, reverse=True))[::-1]


async def by_read(store: Store[str], wanted: Any) -> list[StreamMessage[Any]]:
    return await store.streams.group("g", "c").read("s", type=wanted)


async def by_history(store: Store[str], wanted: Any) -> list[StreamMessage[Any]]:
    group = store.streams.group("g", "c")
    await group.read("s")
    return await group.read("s", history=True, type=wanted)


async def by_claim(store: Store[str], wanted: Any) -> list[StreamMessage[Any]]:
    await store.streams.group("g", "dead").read("s")
    return await store.streams.group("g", "c").claim("s", min_idle=0, type=wanted)


READS: dict[str, Read] = {
    "range": by_range,
    "reverse": by_reverse_range,
    "read": by_read,
    "history": by_history,
    "claim": by_claim,
}

BAD: dict[str, tuple[dict[str, bytes], Any]] = {
    "another type": ({"data": b'{"bad":"' + QUOTED.encode() + b'"}'}, Job),
    "not json": ({"data": QUOTED.encode()}, None),
    "not json with a type": ({"data": b"{" + QUOTED.encode()}, Job),
    "empty": ({"data": b""}, Job),
    "not utf-8": ({"data": b"\xff\xfe" + QUOTED.encode()}, None),
    "half a document": ({"data": b'{"id":'}, None),
    "too deep": ({"data": b"[" * 100_000}, None),
    "foreign fields": ({"kind": QUOTED.encode()}, Job),
    "foreign bytes": ({"id": b"\xff"}, Job),
    "foreign name": ({"\udcff": b"1"}, Job),
}


async def poisoned(store: Store[str], fields: dict[str, bytes]) -> tuple[str, str, str]:
    """Append a good message, a bad entry and a good message; return their ids."""
    await store.streams.group("g", "c").ensure("s")
    adapter: Any = store.adapter
    first = await store.streams.append("s", {"id": 1})
    bad = await adapter.xadd(f"{PREFIX}:streams:s", fields)
    return first, bad, await store.streams.append("s", {"id": 3})


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("reading", READS)
async def test_bad_entry_hides_no_neighbour(
    reading: str, kind: str, igniter_store: Store[str]
) -> None:
    fields, wanted = BAD[kind]
    ids = await poisoned(igniter_store, fields)

    one, bad, three = await READS[reading](igniter_store, wanted)

    assert (one.id, bad.id, three.id) == ids
    assert [message.error for message in (one, three)] == [None, None]
    assert [message.raw for message in (one, three)] == [None, None]
    assert [message.message for message in (one, three)] == (
        [Job(1), Job(3)] if wanted else [{"id": 1}, {"id": 3}]
    )
    assert isinstance(bad, StreamMessage)
    assert isinstance(bad.error, SerializationError)
    assert bad.error.code == ErrorCode.STORE_DESERIALIZATION_FAILED
    assert bad.error.details["id"] == bad.id
    assert bad.id in bad.error.message
    assert bad.raw == fields
    assert (bad.error.operation or "").startswith("streams.")
    assert bad.error.backend == "memory"


@pytest.mark.parametrize("kind", BAD)
async def test_bad_message_raises_its_error_each_time(kind: str, igniter_store: Store[str]) -> None:
    fields, wanted = BAD[kind]
    await poisoned(igniter_store, fields)
    bad = (await by_range(igniter_store, wanted))[1]

    for _ in range(3):
        with pytest.raises(StoreError) as caught:
            _ = bad.message
        assert caught.value is bad.error
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert len(caught.traceback) == 2


@pytest.mark.parametrize("kind", BAD)
async def test_bad_message_never_shows_content(
    kind: str, igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fields, wanted = BAD[kind]
    await poisoned(igniter_store, fields)

    bad = (await by_range(igniter_store, wanted))[1]

    assert bad.id in repr(bad)
    shown = [
        repr(bad),
        str(bad),
        f"{[bad]}",
        repr(bad.error),
        str(bad.error),
        repr(bad.error and bad.error.to_dict()),
        caplog.text,
    ]
    assert not any(QUOTED in text for text in shown)


async def test_bad_message_can_be_acknowledged_and_removed(igniter_store: Store[str]) -> None:
    await poisoned(igniter_store, {"data": b"{"})
    group = igniter_store.streams.group("g", "c")
    bad = (await group.read("s"))[1]

    assert [pending.id for pending in await group.pending("s")][1] == bad.id
    assert await group.ack("s", [bad.id]) == 1
    assert await igniter_store.streams.remove("s", [bad.id]) == 1
    assert [message.error for message in await igniter_store.streams.range("s")] == [None, None]


async def test_bad_message_is_copied_and_pickled(igniter_store: Store[str]) -> None:
    await poisoned(igniter_store, {"data": b"{"})
    bad = (await igniter_store.streams.range("s"))[1]

    # our own bytes
    for twin in (copy.copy(bad), copy.deepcopy(bad), pickle.loads(pickle.dumps(bad))):  # noqa: S301
        assert (twin.id, twin.raw) == (bad.id, bad.raw)
        with pytest.raises(SerializationError):
            _ = twin.message


async def test_bad_message_is_made_by_any_serializer() -> None:
    class Fussy:
        def encode(self, value: Any) -> bytes:
            return repr(value).encode()

        def decode(self, data: bytes, type: Any) -> Any:
            if QUOTED.encode() in data:
                raise LookupError(data)
            return data

    for serializer in (MSGPACK, Fussy()):
        async with (
            Store.create()
            .with_adapter(MemoryAdapter())
            .with_service("test")
            .with_serializer(serializer)
            .build() as store
        ):
            adapter: Any = store.adapter
            await store.streams.append("s", 1)
            await adapter.xadd(f"{PREFIX}:streams:s", {"data": b"\xc1" + QUOTED.encode()})
            await store.streams.append("s", 2)

            one, bad, two = await store.streams.range("s")

            assert one.error is two.error is None
            assert bad.error is not None
            assert QUOTED not in f"{bad!r} {bad.error.__cause__}"


async def test_blocked_read_delivers_bad_entry(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    group = igniter_store.streams.group("g", "c")
    await group.ensure("s")
    reading = asyncio.create_task(group.read("s", block=60, type=Job))
    await asyncio.sleep(0)
    adapter: Any = igniter_recorder
    await adapter.xadd(f"{PREFIX}:streams:s", {"data": b"nonsense"})

    (bad,) = await reading

    assert bad.error is not None


async def test_reclaimed_bad_entry_counts_a_delivery(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await poisoned(igniter_store, {"data": b"{"})
    await igniter_store.streams.group("g", "dead").read("s")
    igniter_clock.advance(60)

    claimed = await igniter_store.streams.group("g", "c").claim("s", min_idle=60)

    assert [message.error is None for message in claimed] == [True, False, True]
    assert [
        pending.deliveries for pending in await igniter_store.streams.group("g", "c").pending("s")
    ] == [2, 2, 2]


BATCHES: dict[str, tuple[list[bytes | None], Any, list[int]]] = {
    "one of another type": ([b'{"id":1}', b'{"bad":1}', b'{"id":3}'], Job, [1]),
    "not text": ([b'{"id":1}', b"\xff", None], None, [1]),
    "several": ([b"", b'{"id":1}', None, b"\xff", b"x"], Job, [0, 3, 4]),
    "the last": ([None, b'{"id":1}', b"["], Job, [2]),
}


@pytest.mark.parametrize("kind", BATCHES)
async def test_batch_error_names_each_bad_index(kind: str, igniter_store: Store[str]) -> None:
    stored, wanted, bad = BATCHES[kind]
    adapter: Any = igniter_store.adapter
    keys = [f"secret-key-{place}" for place in range(len(stored))]
    for key, data in zip(keys, stored, strict=True):
        if data is not None:
            await adapter.set(f"{PREFIX}:kv:{key}", data)

    with pytest.raises(SerializationError) as caught:
        await igniter_store.batch.get(keys, wanted)

    assert caught.value.details["index"] == bad[0]
    assert caught.value.details["indices"] == bad
    assert f"index {bad[0]} " in caught.value.message
    assert "secret-key" not in f"{caught.value} {caught.value.details}"
    assert caught.value.__cause__ is caught.value.__context__ is None
    good = [key for place, key in enumerate(keys) if place not in bad]
    assert len(await igniter_store.batch.get(good, wanted)) == len(good)


async def test_batch_names_both_places_of_a_key(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("a", "text")

    with pytest.raises(SerializationError) as caught:
        await igniter_store.batch.get(["a", "missing", "a"], int)

    assert caught.value.details["indices"] == [0, 2]
