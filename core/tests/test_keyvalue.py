"""`store.kv`, above the contract: arguments, results, types.

The conformance suite tests the promises of backends.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store
    from igniter_store.contract import ManualClock


class User(msgspec.Struct):
    name: str


@pytest.mark.clause("KV-1")
async def test_a_missing_key_is_none(igniter_store: Store[str]) -> None:
    assert await igniter_store.kv.get("k") is None
    assert await igniter_store.kv.get("k", User) is None
    assert await igniter_store.kv.pop("k") is None


async def test_get_returns_default_only_when_key_is_missing(
    igniter_store: Store[str],
) -> None:
    await igniter_store.kv.set("none", None)

    assert await igniter_store.kv.get("k", User, default="fallback") == "fallback"
    assert await igniter_store.kv.get("k", default=0) == 0
    assert await igniter_store.kv.get("none", default="fallback") is None
    assert await igniter_store.kv.exists("none") is True


async def test_a_default_is_given_as_it_is(igniter_store: Store[str]) -> None:
    default = object()

    assert await igniter_store.kv.get("k", default=default) is default


@pytest.mark.clause("KV-4")
async def test_a_plain_set_clears_an_old_ttl(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", 1, ttl=60)

    await igniter_store.kv.set("k", 2)

    assert await igniter_store.kv.ttl("k") is None


@pytest.mark.clause("KV-5")
async def test_a_conditional_set_says_whether_it_wrote(igniter_store: Store[str]) -> None:
    answers = [
        await igniter_store.kv.set("k", 1, only_if="present"),
        await igniter_store.kv.set("k", 2, only_if="absent"),
        await igniter_store.kv.set("k", 3, only_if="absent"),
        await igniter_store.kv.set("k", 4, only_if="present"),
    ]

    assert answers == [False, True, False, True]
    assert await igniter_store.kv.get("k") == 4


@pytest.mark.clause("KV-6")
async def test_an_expired_key_is_gone_for_everything(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.kv.set("k", 1, ttl=60)

    igniter_clock.advance(60)

    assert await igniter_store.kv.get("k") is None
    assert await igniter_store.kv.exists("k") is False
    assert await igniter_store.kv.ttl("k") is None
    assert await igniter_store.kv.expire("k", 60) is False
    assert await igniter_store.kv.remove("k") is False


@pytest.mark.parametrize(
    "ttl", [90, 90.0, timedelta(seconds=90)], ids=lambda ttl: type(ttl).__name__
)
async def test_a_ttl_is_seconds_or_a_timedelta(
    ttl: Any, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.set("k", 1, ttl=ttl)

    [call] = igniter_recorder.named("set")
    assert type(call.kwargs["ttl"]) is float
    assert await igniter_store.kv.ttl("k") == 90.0


@pytest.mark.parametrize("ttl", [0.001, 10_000_000_000, timedelta(microseconds=1)], ids=str)
async def test_the_shortest_and_the_longest_ttl_are_taken(
    ttl: Any, igniter_store: Store[str]
) -> None:
    assert await igniter_store.kv.set("k", 1, ttl=ttl) is True


@pytest.mark.clause("KV-8")
@pytest.mark.parametrize("method", ["expire", "touch"])
async def test_expire_sets_ttl_only_on_existing_key(method: str, igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", 1)

    answers = [
        await getattr(igniter_store.kv, method)("k", 60),
        await getattr(igniter_store.kv, method)("missing", 60),
    ]

    assert answers == [True, False]
    assert await igniter_store.kv.ttl("k") == 60
    assert await igniter_store.kv.exists("missing") is False


@pytest.mark.clause("KV-9")
async def test_persist_returns_whether_it_removed_ttl(
    igniter_store: Store[str],
) -> None:
    await igniter_store.kv.set("k", 1, ttl=60)

    answers = [
        await igniter_store.kv.persist("k"),
        await igniter_store.kv.persist("k"),
        await igniter_store.kv.persist("missing"),
    ]

    assert answers == [True, False, False]


@pytest.mark.clause("KV-10")
async def test_of_concurrent_poppers_one_gets_the_value(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", {"name": "Avery"})

    answers = await asyncio.gather(*(igniter_store.kv.pop("k", User) for _ in range(5)))

    assert [answer for answer in answers if answer is not None] == [User("Avery")]


async def test_removing_says_whether_the_key_was_there(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", 1)

    assert await igniter_store.kv.remove("k") is True
    assert await igniter_store.kv.remove("k") is False


@pytest.mark.clause("KV-3")
@pytest.mark.parametrize(
    "key",
    [" ", "a b", "A", "*", "[a]", "\\", "a:b:c", "\n", "\0", "é", "e\u0301", "💾", "k" * 1024],
    ids=ascii,
)
async def test_a_key_is_exact(key: str, igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("a", "another")
    await igniter_store.kv.set("é" if key != "é" else "e\u0301", "another")

    await igniter_store.kv.set(key, "this")

    assert await igniter_store.kv.get(key) == "this"
    assert await igniter_store.kv.get("a") == "another"


async def test_each_operation_is_one_call_of_the_adapter(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.open()
    igniter_recorder.calls.clear()

    await igniter_store.kv.set("k", 1, ttl=60)
    await igniter_store.kv.get("k")
    await igniter_store.kv.exists("k")
    await igniter_store.kv.expire("k", 1)
    await igniter_store.kv.touch("k", 1)
    await igniter_store.kv.ttl("k")
    await igniter_store.kv.persist("k")
    await igniter_store.kv.pop("k")
    await igniter_store.kv.remove("k")

    assert [call.method for call in igniter_recorder.calls] == [
        "set",
        "get",
        "exists",
        "expire",
        "expire",
        "ttl",
        "persist",
        "getdel",
        "delete",
    ]
