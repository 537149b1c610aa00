"""`store.batch`, above the contract."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from igniter_store import BatchEntry, ErrorCode, StoreClosed, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store import RecordingAdapter, Store
    from igniter_store.contract import ManualClock


class User(msgspec.Struct):
    name: str


@pytest.mark.clause("KV-11")
async def test_batch_get_keeps_order_duplicates_and_gaps(
    igniter_store: Store[str],
) -> None:
    await igniter_store.batch.set({"a": 1, "b": 2})

    assert await igniter_store.batch.get(["b", "missing", "a", "b"]) == [2, None, 1, 2]


async def test_values_come_as_their_type(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set({"a": {"name": "Avery"}})

    assert await igniter_store.batch.get(["a", "missing"], User) == [User("Avery"), None]


async def test_one_value_of_another_type_refuses_all(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set({"a": {"name": "Avery"}, "b": 7})

    with pytest.raises(StoreError) as caught:
        await igniter_store.batch.get(["a", "b"], User)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED


ENTRIES: dict[str, Any] = {
    "mapping": {"a": 1, "b": 2},
    "entries": [BatchEntry("a", 1), BatchEntry("b", 2)],
    "dicts": [{"key": "a", "value": 1}, {"key": "b", "value": 2, "ttl": None}],
    "both": (BatchEntry("a", 1), {"key": "b", "value": 2}),
}


@pytest.mark.parametrize("form", ENTRIES)
async def test_every_form_of_entries_is_written(form: str, igniter_store: Store[str]) -> None:
    await igniter_store.batch.set(ENTRIES[form])

    assert await igniter_store.batch.get(["a", "b"]) == [1, 2]


async def test_a_generator_of_entries_is_written(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set(BatchEntry(f"k{number}", number) for number in range(3))

    assert await igniter_store.batch.get(f"k{number}" for number in range(3)) == [0, 1, 2]


async def test_mapping_with_field_names_is_stored_as_keys(
    igniter_store: Store[str],
) -> None:
    await igniter_store.batch.set({"key": "k", "value": 1})

    assert await igniter_store.batch.get(["key", "value", "k"]) == ["k", 1, None]


@pytest.mark.clause("KV-11")
async def test_each_entry_has_its_own_ttl(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.kv.set("old", 0, ttl=1)

    await igniter_store.batch.set(
        [
            BatchEntry("a", 1, ttl=5),
            BatchEntry("b", 2, ttl=timedelta(seconds=10)),
            BatchEntry("c", 3),
            BatchEntry("old", 4),
        ]
    )
    igniter_clock.advance(5)

    assert await igniter_store.batch.get(["a", "b", "c", "old"]) == [None, 2, 3, 4]


async def test_last_entry_wins_for_duplicate_key(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set([BatchEntry("a", 1, ttl=5), BatchEntry("a", 2)])

    assert await igniter_store.kv.get("a") == 2
    assert await igniter_store.kv.ttl("a") is None


@pytest.mark.clause("KV-10")
async def test_remove_counts_each_existing_key_once(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set({"a": 1, "b": 2})

    assert await igniter_store.batch.remove(["a", "a", "b", "missing"]) == 2


@pytest.mark.clause("KV-12")
async def test_ten_thousand_keys_are_one_call(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    keys = [f"k{number}" for number in range(10_000)]

    await igniter_store.batch.set(dict.fromkeys(keys, 1))
    found = await igniter_store.batch.get(keys)

    assert found == [1] * 10_000
    assert [call.method for call in igniter_recorder.calls] == ["open", "mset", "mget"]


async def test_batch_and_kv_share_keys(
    igniter_store: Store[str],
) -> None:
    await igniter_store.kv.set("a", 1)
    await igniter_store.batch.set({"b": 2})

    assert await igniter_store.batch.get(["a"]) == [1]
    assert await igniter_store.kv.get("b") == 2


def test_an_entry_is_immutable() -> None:
    entry: Any = BatchEntry("a", 1)

    with pytest.raises(AttributeError):
        entry.key = "b"


@pytest.mark.parametrize(
    "empty",
    [
        "batch.get",
        "batch.set",
        "batch.remove",
        "streams.remove",
        "streams.range",
        "group.read",
        "group.ack",
        "group.claim",
    ],
)
async def test_closed_store_raises_even_for_empty_call(
    igniter_store: Store[str], empty: str
) -> None:
    group = igniter_store.streams.group("g", "c")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "batch.get": lambda: igniter_store.batch.get([]),
        "batch.set": lambda: igniter_store.batch.set([]),
        "batch.remove": lambda: igniter_store.batch.remove([]),
        "streams.remove": lambda: igniter_store.streams.remove("s", []),
        "streams.range": lambda: igniter_store.streams.range("s", count=0),
        "group.read": lambda: group.read("s", count=0),
        "group.ack": lambda: group.ack("s", []),
        "group.claim": lambda: group.claim("s", min_idle=0, count=0),
    }
    await igniter_store.close()

    with pytest.raises(StoreClosed):
        await calls[empty]()
