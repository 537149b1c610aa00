"""Data that other programs wrote is read or refused, and their messages end no subscription."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from igniter_store import RecordingAdapter, StoreError
from igniter_store.backends import adapter_from_url

from .outcomes import Method, make_store, method
from .strategies import EXAMPLES, TYPES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.full


async def failure_of_read(
    payload: bytes, call: Callable[[Any], Awaitable[Any]]
) -> StoreError | None:
    """Store `payload` under the keys that `READS` reads, and return the error of `call`."""
    recorder = RecordingAdapter(adapter_from_url("memory://"))
    store = make_store(recorder, validate_subscribe=True)
    adapter: Any = recorder
    for namespace in ("kv", "counter", "claim"):
        await adapter.set(f"igniter:store:test:{namespace}:k", payload)
    await adapter.xadd("igniter:store:test:streams:s", {"data": payload})
    await adapter.xadd("igniter:store:test:streams:f", {"field": payload})
    try:
        await call(store)
    except StoreError as error:
        return error
    finally:
        await store.close()
    return None


BYTES = st.binary(max_size=40) | st.sampled_from(
    [
        b"",
        b"null",
        b"NaN",
        b"1e999",
        b"{",
        b'"\\ud800"',
        b"9" * 5000,
        b"[" * 2000,
        b"-0",
        b"007",
        b'{"a":' * 1000,
        b"\xff",
    ]
)
READS: dict[str, Method] = {
    "kv.get": method(lambda store, given: store.kv.get("k", **given), type=TYPES),
    "kv.pop": method(lambda store, given: store.kv.pop("k", **given), type=TYPES),
    "batch.get": method(lambda store, given: store.batch.get(["k", "k"], **given), type=TYPES),
    "counter.get": method(lambda store, _: store.counter.get("k")),
    "counter.increment": method(
        lambda store, given: store.counter.increment("k", **given),
        by=st.integers(-(2**63), 2**63 - 1),
    ),
    "claim.owner": method(lambda store, _: store.claim.owner("k")),
    "streams.range": method(lambda store, given: store.streams.range("s", **given), type=TYPES),
    "foreign streams.range": method(
        lambda store, given: store.streams.range("f", **given), type=TYPES
    ),
}


@pytest.mark.parametrize("name", READS)
@EXAMPLES
@given(data=st.data(), payload=BYTES)
def test_foreign_data_is_read_or_refused(name: str, data: st.DataObject, payload: bytes) -> None:
    chosen = READS[name]
    arguments = chosen.draw(data)

    with asyncio.Runner() as runner:
        error = runner.run(failure_of_read(payload, lambda store: chosen.call(store, arguments)))

    # Not an exception that was only translated.
    assert error is None or "instead of a StoreError" not in error.message


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
TIMES = st.datetimes().map(lambda time: f"{time.isoformat()}+14:00") | st.datetimes().map(
    lambda time: f"{time.isoformat()}-14:00"
)
ENVELOPES = st.fixed_dictionaries(
    {
        "type": st.just("user:created") | JSON_VALUES,
        "timestamp": st.just("2026-01-31T12:00:00.000Z")
        | st.just("0001-01-01T00:00:00+14:00")
        | TIMES
        | JSON_VALUES,
    },
    optional={
        "data": JSON_VALUES | st.just({"x": 1.5}),
        "scope": st.fixed_dictionaries({"key": JSON_VALUES, "identifier": JSON_VALUES})
        | JSON_VALUES,
        "scopes": st.lists(
            st.fixed_dictionaries({"key": JSON_VALUES, "identifier": JSON_VALUES}) | JSON_VALUES,
            max_size=3,
        )
        | JSON_VALUES,
        "actor": st.fixed_dictionaries({"id": JSON_VALUES}, optional={"type": JSON_VALUES})
        | JSON_VALUES,
        "unknown": JSON_VALUES,
    },
)


async def delivered(payload: bytes) -> int:
    store = make_store(RecordingAdapter(adapter_from_url("memory://")))
    got: list[Any] = []
    last = asyncio.Event()

    def handle(context: Any) -> None:
        got.append(context)
        if context.type == "last":
            last.set()

    await store.events.subscribe("*", handle)
    await store.adapter.publish("igniter:store:test:events:user:created", payload)
    await store.events.publish("last", None)
    async with asyncio.timeout(10):
        await last.wait()
    await store.close()
    return len(got) - 1


@EXAMPLES
@given(message=ENVELOPES | JSON_VALUES)
def test_foreign_json_message_is_delivered(message: Any) -> None:
    payload = msgspec.json.encode(message)

    with asyncio.Runner() as runner:
        number = runner.run(delivered(payload))

    assert number == 1


@EXAMPLES
@given(payload=BYTES)
def test_foreign_message_ends_no_subscription(payload: bytes) -> None:
    with asyncio.Runner() as runner:
        number = runner.run(delivered(payload))

    assert number in {0, 1}
