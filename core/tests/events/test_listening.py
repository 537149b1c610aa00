"""`listen`: events to iterate over, until the block ends or is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from igniter_store import ErrorCode, Store, StoreError

from .inbox import others, soon


async def test_listening_gives_events_in_order(igniter_store: Store[str]) -> None:
    async with igniter_store.events.listen("user:*") as stream:
        for number in range(3):
            await igniter_store.events.publish("user:created", number)
        got = [(await anext(stream)).data for _ in range(3)]

    assert got == [0, 1, 2]


async def test_listening_ends_with_its_block(igniter_store: Store[str]) -> None:
    async with igniter_store.events.listen("e"):
        pass

    assert await igniter_store.events.publish("e", 1) == 0
    assert others() == set()


async def test_listening_ends_when_its_block_fails(igniter_store: Store[str]) -> None:
    with pytest.raises(RuntimeError):
        async with igniter_store.events.listen("e"):
            raise RuntimeError

    assert await igniter_store.events.publish("e", 1) == 0


async def test_exited_event_stream_yields_no_events(igniter_store: Store[str]) -> None:
    async with igniter_store.events.listen("e") as stream:
        await igniter_store.events.publish("e", 1)

    assert [context async for context in stream] == []


async def test_a_listener_that_is_cancelled_leaves_nothing_behind(
    igniter_store: Store[str],
) -> None:
    live = asyncio.Event()

    async def listen() -> None:
        async with igniter_store.events.listen("e") as stream:
            live.set()
            await anext(stream)

    task = asyncio.ensure_future(listen())
    await soon(live)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await igniter_store.events.publish("e", 1) == 0


async def test_a_stream_is_entered_once(igniter_store: Store[str]) -> None:
    stream = igniter_store.events.listen("e")
    async with stream:
        with pytest.raises(StoreError) as twice:
            await stream.__aenter__()
    with pytest.raises(StoreError) as again:
        await stream.__aenter__()

    assert {twice.value.code, again.value.code} == {ErrorCode.STORE_SUBSCRIBE_FAILED}
    assert await igniter_store.events.publish("e", 1) == 0


async def test_event_stream_raises_when_not_entered(
    igniter_store: Store[str],
) -> None:
    """It doesn't wait forever."""
    with pytest.raises(StoreError) as caught:
        await anext(igniter_store.events.listen("e"))

    assert caught.value.code == ErrorCode.STORE_SUBSCRIBE_FAILED


async def test_idle_listener_keeps_newest_events(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with igniter_store.events.listen("e", max_queue=2) as stream:
        for number in range(5):
            await igniter_store.events.publish("e", number)
        got = [(await anext(stream)).data for _ in range(2)]

    assert got == [3, 4]
    assert stream.dropped == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_undecodable_message_is_logged_and_skipped(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    adapter: Any = igniter_store.adapter
    async with igniter_store.events.listen("e") as stream:
        await adapter.publish("igniter:store:test:events:e", b"{")
        await igniter_store.events.publish("e", "right")
        got = (await anext(stream)).data

    assert got == "right"
    assert "can't be decoded" in caplog.text
