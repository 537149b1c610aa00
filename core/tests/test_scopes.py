"""Tenants: each sees only its own data, whatever characters its identifier has."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igniter_store import ErrorCode, RecordingAdapter, Scope, Store, StoreError
from igniter_store.scopes import prefix_of

if TYPE_CHECKING:
    from igniter_store import EventContext

AWKWARD = [
    "1",
    "10",
    "*",
    "?",
    "[1]",
    "1*",
    "\\",
    "1\\",
    " ",
    "é",
    "kv",
    "workspace",
    "a b",
    "{1}",
    "%31",
    "-",
    "0",
]


async def seen(store: Store[str]) -> dict[str, Any]:
    """Return everything that a store finds under one name, through every namespace."""
    return {
        "kv": await store.kv.get("x"),
        "counter": await store.counter.get("x"),
        "claim": await store.claim.owner("x"),
        "stream": [message.message for message in await store.streams.range("x")],
        "scan": [key async for key in store.dev.iterate("*")],
        "counters": [key async for key in store.dev.iterate("*", namespace="counter")],
    }


async def put(store: Store[str], mark: int) -> None:
    await store.kv.set("x", mark)
    await store.counter.increment("x", mark)
    await store.claim.once("x", mark)
    await store.streams.append("x", mark)


@pytest.mark.parametrize("mine", AWKWARD)
async def test_a_tenant_sees_its_own_and_nothing_else(mine: str, igniter_store: Store[str]) -> None:
    for mark, theirs in enumerate(AWKWARD, start=1):
        await put(igniter_store.scope("org", theirs), mark)
    mark = AWKWARD.index(mine) + 1

    assert await seen(igniter_store.scope("org", mine)) == {
        "kv": mark,
        "counter": mark,
        "claim": mark,
        "stream": [mark],
        "scan": ["x"],
        "counters": ["x"],
    }


@pytest.mark.parametrize("identifier", AWKWARD)
async def test_tenant_receives_only_its_own_events(
    identifier: str, igniter_store: Store[str]
) -> None:
    got: list[EventContext[Any]] = []
    mine = igniter_store.scope("org", identifier)
    await mine.events.subscribe("*", got.append)
    await mine.events.subscribe("e", got.append)

    for theirs in (identifier for identifier in AWKWARD if identifier != mine.scopes[0].identifier):
        await igniter_store.scope("org", theirs).events.publish("e", theirs)
    await igniter_store.events.publish("e", "unscoped")
    await mine.scope("workspace", 1).events.publish("e", "below")
    reached = await mine.events.publish("e", "mine")
    for _ in range(20):
        await asyncio.sleep(0)

    assert reached == 2
    assert [context.data for context in got] == ["mine", "mine"]


async def test_scope_is_separate_from_store_and_nested_scopes(
    igniter_store: Store[str],
) -> None:
    org = igniter_store.scope("org", 1)
    for mark, store in enumerate(
        [igniter_store, org, org.scope("team", 1), igniter_store.scope("team", 1)], start=1
    ):
        await put(store, mark)

    assert [
        (await seen(store))["kv"]
        for store in (igniter_store, org, org.scope("team", 1), igniter_store.scope("team", 1))
    ] == [
        1,
        2,
        3,
        4,
    ]
    assert (await seen(org))["scan"] == ["x"]


async def test_number_and_its_text_identify_same_tenant(igniter_store: Store[str]) -> None:
    await igniter_store.scope("org", 7).kv.set("x", 1)

    assert await igniter_store.scope("org", "7").kv.get("x") == 1


def test_an_enum_identifies_by_its_value(igniter_store: Store[str]) -> None:
    class Tenant(enum.StrEnum):
        ACME = "acme"

    class Number(enum.IntEnum):
        SEVEN = 7

    assert igniter_store.scope("org", Tenant.ACME).scopes == (Scope("org", "acme"),)
    assert igniter_store.scope("org", Number.SEVEN).scopes == (Scope("org", "7"),)


def test_scope_returns_new_store_over_same_adapter(igniter_store: Store[str]) -> None:
    org = igniter_store.scope("org", 1)

    assert igniter_store.scopes == ()
    assert org.scopes == (Scope("org", "1"),)
    assert org.scope("team", 2).scopes == (Scope("org", "1"), Scope("team", "2"))
    assert (org.adapter, org.service, org.logger) == (
        igniter_store.adapter,
        igniter_store.service,
        igniter_store.logger,
    )


async def test_scoped_store_opens_and_closes_whole_store(igniter_store: Store[str]) -> None:
    org = igniter_store.scope("org", 1)
    await org.kv.set("x", 1)
    opened = igniter_store.is_open

    await org.close()

    assert (opened, igniter_store.is_open, org.is_open) == (True, False, False)


@pytest.fixture
def strict(igniter_recorder: RecordingAdapter) -> Store[Any]:
    return (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_scope("org", required=True)
        .add_scope("region", required=True)
        .add_scope("team", description="people on one project")
        .build()
    )


@pytest.mark.parametrize(
    ("chain", "missing"),
    [([], ["org", "region"]), (["org"], ["region"]), (["team", "region"], ["org"])],
)
async def test_error_names_missing_required_scopes(
    chain: list[str], missing: list[str], strict: Store[Any]
) -> None:
    store = strict
    for key in chain:
        store = store.scope(key, 1)

    with pytest.raises(StoreError) as caught:
        await store.kv.get("x")

    assert (caught.value.code, caught.value.details) == (
        ErrorCode.STORE_SCOPE_REQUIRED,
        {"missing": missing},
    )
    assert missing[0] in caught.value.message


@pytest.mark.parametrize("chain", [["org", "region"], ["region", "org"], ["team", "region", "org"]])
async def test_required_scopes_can_be_entered_in_any_order(
    chain: list[str], strict: Store[Any]
) -> None:
    store = strict
    for key in chain:
        store = store.scope(key, 1)

    assert await store.kv.set("x", 1) is True


async def test_ping_works_without_required_scopes(
    strict: Store[Any],
) -> None:
    assert await strict.ping() >= 0


def test_without_declared_scopes_any_is_taken(igniter_store: Store[str]) -> None:
    assert igniter_store.scope("anything", "x").scopes == (Scope("anything", "x"),)


PARTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=":"),
    min_size=1,
    max_size=4,
)
CHAINS = st.lists(st.tuples(PARTS, PARTS), max_size=3)


@settings(deadline=None)
@given(one=CHAINS, another=CHAINS)
def test_two_different_places_never_make_one_key(
    one: list[tuple[str, str]], another: list[tuple[str, str]]
) -> None:
    words = {"kv", "counter", "claim", "events", "streams", "fence", "dead"}
    chains = [
        tuple(Scope(key, identifier) for key, identifier in chain if key not in words)
        for chain in (one, another)
    ]

    prefixes = [f"{prefix_of('service', chain)}kv:" for chain in chains]

    assert (prefixes[0] == prefixes[1]) is (chains[0] == chains[1])
    # Neither is a prefix of the other, so no key of one tenant is a key of the other.
    assert chains[0] == chains[1] or not prefixes[0].startswith(prefixes[1])
