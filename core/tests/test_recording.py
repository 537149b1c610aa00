"""The adapter that records calls."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store import RecordingAdapter, Store
from igniter_store.backends import adapter_from_url
from igniter_store.contract import Adapter, Claims, Counters, KeyValue, PubSub, Scan, Streams
from igniter_store.wrappers.recording import RecordedCall

CAPABILITIES = (KeyValue, Counters, Claims, PubSub, Streams, Scan)


class Bare(Adapter):
    """An adapter without any capability."""

    name = "bare"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> float:
        return 1.5


async def test_calls_are_recorded_in_order_with_arguments(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.set("k", 1, ttl=60)
    await igniter_store.counter.increment("n", 5)

    assert igniter_recorder.calls == [
        RecordedCall("open", (), {}),
        RecordedCall("set", ("igniter:store:test:kv:k", b"1"), {"ttl": 60.0, "only_if": None}),
        RecordedCall("increment", ("igniter:store:test:counter:n", 5), {"ttl": None}),
    ]


async def test_calls_are_found_by_their_method(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.set("k", 1)
    await igniter_store.kv.get("k")
    await igniter_store.kv.get("k")

    assert [call.method for call in igniter_recorder.named("get", "set")] == ["set", "get", "get"]


async def test_recorded_calls_can_be_cleared(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.set("k", 1)

    igniter_recorder.calls.clear()
    await igniter_store.kv.get("k")

    assert [call.method for call in igniter_recorder.calls] == ["get"]


async def test_a_call_that_fails_is_remembered_too(igniter_recorder: RecordingAdapter) -> None:
    recorder: Any = igniter_recorder

    with pytest.raises(Exception, match="STORE_STREAM_GROUP_MISSING"):
        await recorder.xreadgroup("s", "g", "c")

    assert [call.method for call in recorder.calls] == ["xreadgroup"]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda capability: capability.__name__)
def test_recorder_has_capabilities_of_its_adapter(capability: type[Adapter]) -> None:
    assert isinstance(RecordingAdapter(adapter_from_url("memory://")), capability)
    assert not isinstance(RecordingAdapter(Bare()), capability)


async def test_recorder_mirrors_state_of_its_adapter() -> None:
    recorder = RecordingAdapter(Bare())

    await recorder.open()

    assert (recorder.name, recorder.in_process, recorder.is_open, await recorder.ping()) == (
        "bare",
        False,
        True,
        1.5,
    )
    assert RecordingAdapter(adapter_from_url("memory://")).in_process is True


async def test_a_recorder_over_a_recorder_remembers_too(igniter_recorder: RecordingAdapter) -> None:
    outer = RecordingAdapter(igniter_recorder)
    store = Store.create().with_adapter(outer).with_service("test").build()

    await store.kv.set("k", 1)

    assert outer.calls == igniter_recorder.calls != []


async def test_two_recorders_remember_apart() -> None:
    one, another = RecordingAdapter(Bare()), RecordingAdapter(Bare())

    await one.ping()

    assert (len(one.calls), len(another.calls)) == (1, 0)
