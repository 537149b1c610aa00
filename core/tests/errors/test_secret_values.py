"""Values and owners never appear in an error, in telemetry or in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, StoreError

from .secret_values import READS, SECRET, UNDECODABLE, UNENCODABLE, WRITES, logged, shown

if TYPE_CHECKING:
    from igniter_store import Store

    from .adapters import Bench
    from .secret_values import Witness


@pytest.mark.parametrize("kind", UNENCODABLE)
@pytest.mark.parametrize("method", WRITES)
async def test_encoding_error_never_shows_value(
    method: str, kind: str, watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError) as caught:
        await WRITES[method](watched.build(), UNENCODABLE[kind])

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert SECRET not in shown(caught.value) + logged(logs) + repr(witness.emitted)


@pytest.mark.parametrize("kind", UNDECODABLE)
@pytest.mark.parametrize("method", READS)
async def test_a_value_of_another_type_is_never_shown(
    method: str, kind: str, watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError) as caught:
        await READS[method](watched, *UNDECODABLE[kind])

    assert caught.value.code in {
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED,
    }
    assert SECRET not in shown(caught.value) + logged(logs) + repr(witness.emitted)


class Talkative:
    """A serializer that quotes its input."""

    def encode(self, value: Any) -> bytes:
        if value == "ok":
            return b"ok"
        raise ValueError(f"{value!r} is wrong")

    def decode(self, data: bytes, type: Any) -> Any:
        raise ValueError(f"{data!r} is wrong")


@pytest.mark.parametrize("method", ["encode", "decode"])
async def test_custom_serializer_error_text_is_never_shown(
    method: str, watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    store = watched.with_serializer(Talkative()).build()
    await store.kv.set("k", "ok")
    await store.adapter.set("igniter:store:test:kv:k", SECRET.encode())

    with pytest.raises(StoreError) as caught:
        await (store.kv.set("k", SECRET) if method == "encode" else store.kv.get("k"))

    assert SECRET not in shown(caught.value) + logged(logs) + repr(witness.emitted)


async def test_counter_error_never_shows_stored_value(
    watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    store = watched.build()
    await store.adapter.set("igniter:store:test:counter:c", SECRET.encode())

    with pytest.raises(StoreError) as read:
        await store.counter.get("c")
    with pytest.raises(StoreError) as counted:
        await store.counter.increment("c")

    assert SECRET not in shown(read.value) + shown(counted.value)
    assert SECRET not in logged(logs) + repr(witness.emitted)


async def test_driver_exception_text_is_only_in_cause(bench: Bench) -> None:
    with pytest.raises(StoreError) as caught:
        await bench.failing(ValueError(SECRET)).kv.get("k")

    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.to_dict()}"
    assert caught.value.__cause__ is bench.broken.error


def test_a_store_shows_no_identifier(igniter_store: Store[str]) -> None:
    assert SECRET not in repr(igniter_store.scope("org", SECRET))
