"""No error of a store shows the data that its user keeps there.

This holds for its message, its cause, and its traceback.
"""

from __future__ import annotations

import enum
import logging
import secrets
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pydantic
import pytest
from igniter_store import EventGroup, Store, StoreError, event
from igniter_store.backends import adapter_from_url
from igniter_store_conformance import servers
from igniter_store_conformance.suite.lifecycle.error_causes import chain_of, texts_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

# Generated here, so that no line of this file shows it in a traceback
CANARY = f"secret{secrets.token_hex(4)}"


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int


class Person(pydantic.BaseModel):
    age: int
    name: Literal["avery"]


class Placed(msgspec.Struct):
    total: int


class OrderEvents(EventGroup, namespace="order"):
    placed = event(Placed)
    person = event(Person)


class Unencodable:
    def __repr__(self) -> str:
        return CANARY


class Raising:
    """A schema of the user's that quotes the value it refuses."""

    def validate(self, value: Any) -> Any:
        raise ValueError(f"{value!r} is wrong")


@pytest.fixture(params=["memory", "sqlite", "redis", "valkey"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store[str]]:
    """Open a store in the scope of a tenant; all its names are secret."""
    kind = request.param
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/state.db"}.get(
        kind
    ) or f"{kind}://{place(kind)}"
    whole = (
        Store.create()
        .with_adapter(adapter_from_url(url))
        .with_service(CANARY)
        .add_scope("organization")
        .add_events(OrderEvents)
        .build()
    )
    async with whole:
        scoped: Any = whole.scope("organization", CANARY)
        yield scoped
        # every backend of ours has it
        await whole.adapter.delete_prefix(f"igniter:store:{CANARY}:")  # type: ignore[attr-defined]


def place(kind: str) -> str:
    return servers.or_skip(kind).url.partition("://")[2]


async def shown_by(call: Callable[[], Awaitable[Any]]) -> StoreError:
    """Return the error of a call, after checking that it doesn't contain the canary."""
    with pytest.raises(StoreError) as caught:
        await call()
    error = caught.value
    for one in chain_of(error):
        for text in texts_of(one):
            assert CANARY not in text, (type(one), type(error), error.code)
    assert CANARY not in "".join(traceback.format_exception(error))
    return error


async def first_message(store: Store[str], stream: str) -> Point:
    """Read the message of a stream's first entry; raise if it isn't a point."""
    [entry, *_] = await store.streams.range(stream, type=Point)
    return entry.message


@pytest.mark.clause("LIF-22")
async def test_errors_never_show_stored_data(
    store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "igniter_store")
    group = store.streams.group(CANARY, CANARY)
    await store.kv.set(CANARY, CANARY)
    await store.kv.set("object", {CANARY: CANARY, "x": CANARY, "age": CANARY, "name": CANARY})
    await store.streams.append(CANARY, {"x": CANARY})
    adapter: Any = store.adapter
    await adapter.set(
        f"igniter:store:{CANARY}:organization:{CANARY}:kv:{CANARY}-bytes", b"\xff" + CANARY.encode()
    )
    await adapter.xadd(
        f"igniter:store:{CANARY}:organization:{CANARY}:kv:{CANARY}-stream", {CANARY: b"1"}
    )
    await adapter.set(
        f"igniter:store:{CANARY}:organization:{CANARY}:counter:{CANARY}", CANARY.encode()
    )
    await adapter.set(
        f"igniter:store:{CANARY}:organization:{CANARY}:streams:{CANARY}-value", CANARY.encode()
    )

    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "another type": partial(store.kv.get, CANARY, int),
        "an enumeration": partial(store.kv.get, CANARY, Colour),
        "a struct": partial(store.kv.get, "object", Point),
        "a model": partial(store.kv.get, "object", Person),
        "a list of them": partial(store.batch.get, ["object", CANARY], Person),
        "no text": partial(store.kv.get, f"{CANARY}-bytes"),
        "another kind": partial(store.kv.get, f"{CANARY}-stream"),
        "no counter": partial(store.counter.increment, CANARY),
        "a counter with a ttl": partial(store.counter.increment, CANARY, ttl=5),
        "an unencodable value": partial(store.kv.set, CANARY, Unencodable()),
        "a nested unencodable value": partial(store.kv.set, CANARY, {CANARY: [Unencodable()]}),
        "a batch with an unencodable value": partial(store.batch.set, {CANARY: Unencodable()}),
        "an invalid key": partial(store.kv.get, f"{CANARY}\ud800"),
        # refused at run time
        "an invalid ttl": partial(store.kv.set, CANARY, 1, ttl=CANARY),  # type: ignore[arg-type]
        "no group": partial(group.read, CANARY),
        "no group to wait in": partial(group.read, CANARY, block=0.05),
        "no group to look at": partial(group.pending, CANARY),
        "no group to claim from": partial(group.claim, CANARY, min_idle=0),
        "no stream": partial(group.read, f"{CANARY}-value"),
        "no stream to append to": partial(store.streams.append, f"{CANARY}-value", 1),
        "no id": partial(group.ack, CANARY, [CANARY]),
        "another type of message": partial(first_message, store, CANARY),
        "an invalid start": partial(store.streams.range, CANARY, start=CANARY),
        "a payload that doesn't fit": partial(
            store.events.publish, "order:placed", {"total": CANARY}
        ),
        "a model that doesn't fit": partial(
            store.events.publish, "order:person", {"age": CANARY, "name": CANARY}
        ),
        "an unknown event": partial(store.events.publish, "order:other", {"total": CANARY}),
        "an invalid cursor": partial(store.dev.scan, "*", cursor=CANARY),
    }
    for title, call in calls.items():
        error = await shown_by(call)
        assert error.message, title

    assert CANARY not in caplog.text


@pytest.mark.clause("LIF-22")
async def test_error_of_closed_store_shows_no_names(store: Store[str]) -> None:
    await store.close()
    try:
        for call in (
            partial(store.kv.get, CANARY),
            partial(store.counter.increment, CANARY),
            partial(store.claim.once, CANARY, CANARY),
            partial(store.events.publish, CANARY, CANARY),
            partial(store.streams.append, CANARY, CANARY),
        ):
            await shown_by(call)
    finally:
        await store.open()


@pytest.mark.clause("LIF-22")
@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_access_rule_error_shows_no_user_or_key(kind: str) -> None:
    server = servers.or_skip("valkey")
    with server.exchange() as exchange:
        exchange.ask(
            "ACL",
            "SETUSER",
            CANARY,
            "on",
            f">{CANARY}",
            "~other:*",
            "resetchannels",
            "+@all",
            "-incrby",
            "-evalsha",
            "-eval",
        )
    try:
        store = Store.from_url(f"{kind}://{CANARY}:{CANARY}@{place('valkey')}", service=CANARY)
        async with store:
            group = store.streams.group(CANARY, CANARY)
            for call in (
                partial(store.kv.get, CANARY),
                partial(store.kv.set, CANARY, CANARY),
                partial(store.counter.increment, CANARY),
                partial(store.counter.increment, CANARY, ttl=5),
                partial(store.claim.once, CANARY, CANARY),
                partial(store.claim.release, CANARY, CANARY),
                partial(store.batch.get, [CANARY]),
                partial(store.batch.set, {CANARY: CANARY}),
                partial(store.streams.append, CANARY, CANARY),
                partial(group.read, CANARY),
                partial(group.read, CANARY, block=0.05),
                partial(store.events.publish, CANARY, CANARY),
                partial(store.events.subscribe, CANARY, lambda _: None),
            ):
                assert (await shown_by(call)).details == {"word": "NOPERM"}
    finally:
        with server.exchange() as exchange:
            exchange.ask("ACL", "DELUSER", CANARY)


@pytest.mark.parametrize("kind", ["redis", "valkey", "redis+cluster", "valkey+cluster"])
async def test_no_error_while_connecting_shows_the_login(kind: str) -> None:
    for host in (place("valkey"), "127.0.0.1:1", "missing.invalid"):
        adapter = adapter_from_url(f"{kind}://{CANARY}:{CANARY}@{host}", connect_timeout=1.0)
        await shown_by(adapter.open)
        await adapter.close()


@pytest.mark.clause("LIF-22")
async def test_no_error_of_a_lost_connection_shows_names() -> None:
    for kind in ("redis", "valkey"):
        with servers.start("valkey") as server:
            store = Store.from_url(
                f"{kind}://{server.url.partition('://')[2]}",
                service=CANARY,
                timeout=1.0,
                connect_timeout=10.0,
            )
            await store.kv.set(CANARY, CANARY)
            server.close()
            for _ in range(2):
                await shown_by(partial(store.kv.set, CANARY, CANARY))
                await shown_by(partial(store.kv.get, CANARY))
                await shown_by(
                    partial(store.streams.group(CANARY, CANARY).read, CANARY, block=0.05)
                )
                await shown_by(partial(store.events.subscribe, CANARY, lambda _: None))
            await store.close()
