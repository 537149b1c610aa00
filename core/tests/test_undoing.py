"""A cancelled `once` without TTL leaves nothing behind, and removes nothing from its owner."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import BackendUnavailable, ErrorCode, RecordingAdapter, Store
from igniter_store.contract import store_error
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.clause("CLM-10")


class Slow(MemoryAdapter):
    """Waits before and after each step of a claim, like a server."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.releases = 0
        self.failures: list[Exception] = []

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        await asyncio.sleep(0)
        answer = await super().set_nx(key, owner, ttl=ttl)
        await self.gate.wait()
        return answer

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        await asyncio.sleep(0)
        self.releases += 1
        if self.failures:
            raise self.failures.pop()
        return await super().compare_delete(key, owner)


async def eventually(happens: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happens():  # noqa: ASYNC110 - the backend sets no event
            await asyncio.sleep(0.001)


def store_over(adapter: MemoryAdapter) -> Store[str]:
    return Store.create().with_adapter(adapter).with_service("t").build()


async def cancelled_after(turns: int, call: Any) -> None:
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("turns", range(8))
async def test_cancelled_once_leaves_no_claim(turns: int) -> None:
    adapter = Slow()
    async with store_over(adapter) as store:
        await cancelled_after(turns, store.claim.once("k", "w1"))
        adapter.gate.set()

        async def is_free() -> bool:
            return await store.claim.owner("k") is None

        await eventually(is_free)
        assert await store.claim.once("k", "w2") is True
        await asyncio.sleep(0.01)
        assert await store.claim.owner("k") == "w2"


@pytest.mark.parametrize("turns", range(8))
async def test_cancelled_once_keeps_earlier_claim_of_owner(turns: int) -> None:
    adapter = Slow()
    async with store_over(adapter) as store:
        adapter.gate.set()
        assert await store.claim.once("k", "w1") is True
        adapter.gate.clear()
        await cancelled_after(turns, store.claim.once("k", "w1"))
        adapter.gate.set()

    assert adapter.releases == 0
    async with store_over(adapter) as store:
        assert await store.claim.owner("k") == "w1"


async def test_close_waits_until_claim_is_given_back() -> None:
    adapter = Slow()
    await adapter.open()  # so that the store doesn't close it
    store = store_over(adapter)
    await store.open()
    await cancelled_after(3, store.claim.once("k", "w1"))
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    adapter.gate.set()
    await closing

    assert await adapter.exists("igniter:store:t:claim:k") is False
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await adapter.close()


async def test_cancelled_once_with_ttl_keeps_its_ttl() -> None:
    adapter = Slow()
    async with store_over(adapter) as store:
        await cancelled_after(3, store.claim.once("k", "w1", ttl=30))
        adapter.gate.set()
        await asyncio.sleep(0.01)

        assert await store.claim.owner("k") == "w1"
        assert (await store.claim.ttl("k") or 0) > 0
    assert adapter.releases == 0


async def test_giving_back_is_retried_after_lost_connection() -> None:
    adapter = Slow()
    adapter.failures = [store_error(ErrorCode.STORE_CONNECTION_FAILED, "lost")]
    async with store_over(adapter) as store:
        await cancelled_after(3, store.claim.once("k", "w1"))
        adapter.gate.set()

        async def is_free() -> bool:
            return await store.claim.owner("k") is None

        await eventually(is_free)
    assert adapter.releases == 2


@pytest.mark.parametrize("failing", ["set_nx", "compare_delete"])
async def test_claim_that_cannot_be_given_back_is_reported(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Lost(Slow):
        async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
            answer = await super().set_nx(key, owner, ttl=ttl)
            if failing == "set_nx":
                raise store_error(ErrorCode.STORE_CONNECTION_FAILED, "lost", maybe_applied=True)
            return answer

        async def compare_delete(self, key: str, owner: bytes) -> bool:
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "refused")

    adapter = Lost()
    async with store_over(adapter) as store:
        await cancelled_after(3, store.claim.once("secret-key", "secret-owner"))
        adapter.gate.set()

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "may still be held" in caplog.text
    assert "secret" not in caplog.text


async def test_claim_that_was_refused_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Slow):
        async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
            await self.gate.wait()
            raise store_error(ErrorCode.STORE_CONNECTION_FAILED, "not sent")

    adapter = Refusing()
    async with store_over(adapter) as store:
        await cancelled_after(3, store.claim.once("k", "w1"))
        adapter.gate.set()

    assert caplog.records == []


async def test_errors_of_once_without_ttl_reach_the_caller(
    igniter_recorder: RecordingAdapter,
) -> None:
    class Gone(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "set_nx":
                await asyncio.sleep(0)
                raise store_error(ErrorCode.STORE_CONNECTION_FAILED, "gone", maybe_applied=True)
            return await super().pass_on(method, *args, **kwargs)

    store = Store.create().with_adapter(Gone(igniter_recorder)).with_service("test").build()

    with pytest.raises(BackendUnavailable) as caught:
        await store.claim.once("k", "w1")

    assert (caught.value.operation, caught.value.maybe_applied) == ("claim.once", True)


def test_loop_that_ends_reports_the_claim(caplog: pytest.LogCaptureFixture) -> None:
    adapter = Slow()
    store = store_over(adapter)

    async def left() -> None:
        await cancelled_after(3, store.claim.once("k", "w1"))

    asyncio.run(left())

    assert "may still be held" in caplog.text
