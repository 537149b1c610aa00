"""Exceptions of an adapter become store errors; a cancellation passes through unchanged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import (
    BackendFailed,
    BackendUnavailable,
    ErrorCode,
    RecordingAdapter,
    StoreError,
)
from igniter_store.contract import store_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .adapters import Bench


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (TimeoutError("t"), ErrorCode.STORE_TIMEOUT),
        (ConnectionResetError("c"), ErrorCode.STORE_CONNECTION_FAILED),
        (OSError("o"), ErrorCode.STORE_GET_FAILED),
        (KeyError("k"), ErrorCode.STORE_GET_FAILED),
        (asyncio.InvalidStateError("i"), ErrorCode.STORE_GET_FAILED),
    ],
    ids=lambda raised: type(raised).__name__,
)
async def test_adapter_exception_is_translated_and_kept_as_cause(
    raised: Exception, code: ErrorCode, bench: Bench
) -> None:
    with pytest.raises(StoreError) as caught:
        await bench.failing(raised).kv.get("k")

    assert caught.value.code == code
    assert caught.value.__cause__ is raised
    assert (caught.value.operation, caught.value.backend) == ("kv.get", "memory")


async def test_adapter_error_gains_operation_and_backend(
    bench: Bench,
) -> None:
    """The same error object reaches the caller."""
    raised = store_error(
        ErrorCode.STORE_OPERATION_FAILED,
        "m",
        details={"server": "busy"},
        retryable=True,
        maybe_applied=True,
    )

    with pytest.raises(BackendFailed) as caught:
        await bench.failing(raised).kv.set("k", 1)

    assert caught.value is raised
    assert (caught.value.operation, caught.value.backend, caught.value.maybe_applied) == (
        "kv.set",
        "memory",
        True,
    )


LIFECYCLE: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "open": lambda store: store.open(),
    "aenter": lambda store: store.__aenter__(),
    "ping": lambda store: store.ping(),
    "first operation": lambda store: store.kv.get("k"),
}


@pytest.mark.parametrize("how", LIFECYCLE)
async def test_opening_lets_no_drivers_exception_through(how: str, bench: Bench) -> None:
    raised = ConnectionRefusedError("driver")

    with pytest.raises(BackendUnavailable) as caught:
        await LIFECYCLE[how](bench.failing(raised))

    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
    assert caught.value.__cause__ is raised


async def test_closing_lets_no_drivers_exception_through(bench: Bench) -> None:
    store = bench.over(bench.broken)
    await store.open()
    bench.broken.error = RuntimeError("driver")

    with pytest.raises(StoreError) as caught:
        await store.close()

    assert caught.value.__cause__ is bench.broken.error


async def test_a_failed_close_can_be_finished(bench: Bench) -> None:
    store = bench.over(bench.broken)
    await store.open()
    bench.broken.error = store_error(ErrorCode.STORE_CONNECTION_FAILED, "m")
    with pytest.raises(StoreError):
        await store.close()
    bench.broken.error = None

    await store.close()

    assert bench.broken.is_open is False


@pytest.mark.clause("LIF-4")
async def test_cancellation_propagates_and_store_stays_usable(bench: Bench) -> None:
    class Slow(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "exists":
                waiting.set()
                await asyncio.Event().wait()
            return await super().pass_on(method, *args, **kwargs)

    waiting = asyncio.Event()
    store = bench.over(Slow(bench.recorder))
    operation = asyncio.ensure_future(store.kv.exists("k"))
    await waiting.wait()

    operation.cancel()

    with pytest.raises(asyncio.CancelledError) as caught:
        await operation
    assert caught.value.__cause__ is None
    assert await store.kv.set("k", 1) is True


async def test_a_cancellation_that_the_adapter_raises_passes_untouched(bench: Bench) -> None:
    raised = asyncio.CancelledError()

    with pytest.raises(asyncio.CancelledError) as caught:
        await bench.failing(raised).kv.set("k", 1)

    assert caught.value is raised
