"""Every backend reports a mistake with the same message."""

# no clause: the contract doesn't cover the wording of error messages.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import StoreError
from igniter_store.backends import adapter_from_url
from igniter_store.contract import ErrorCode
from igniter_store.redis_commands.reply_errors import ErrorReply, failure
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NO_NUMBER = "The stored value isn't a 64-bit decimal integer."
OUT_OF_RANGE = "The counter would exceed the range of signed 64-bit integers, so it wasn't changed."
NO_GROUP = (
    "The consumer group or the stream doesn't exist. Create the group with ensure() before reading;"
)


@pytest.fixture(params=["memory", "sqlite", "redis", "valkey"])
async def adapter(request: pytest.FixtureRequest) -> AsyncGenerator[Any]:
    """Yield an open adapter over an empty store."""
    url = f"{request.param}://"
    if request.param in {"redis", "valkey"}:
        url += servers.or_skip(request.param).url.partition("://")[2]
    made: Any = adapter_from_url(url)
    await made.open()
    yield made
    await made.delete(["same-words"])
    await made.close()


@pytest.mark.parametrize("ttl", [None, 60.0])
@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"many", NO_NUMBER),
        (b"9223372036854775808", NO_NUMBER),
        (b"9223372036854775807", OUT_OF_RANGE),
    ],
)
async def test_increment_error_has_same_message(
    adapter: Any, stored: bytes, words: str, ttl: float | None
) -> None:
    await adapter.set("same-words", stored)

    with pytest.raises(StoreError) as caught:
        await adapter.increment("same-words", ttl=ttl)

    assert caught.value.message.startswith(words)


async def test_increment_of_stream_has_same_message(adapter: Any) -> None:
    await adapter.xadd("same-words", {"field": b"1"})

    with pytest.raises(StoreError) as caught:
        await adapter.increment("same-words")

    assert caught.value.message.startswith(NO_NUMBER)


@pytest.mark.parametrize("operation", ["xreadgroup", "xautoclaim"])
async def test_missing_group_has_same_message(adapter: Any, operation: str) -> None:
    with pytest.raises(StoreError) as caught:
        await getattr(adapter, operation)(
            "same-words",
            "group",
            "consumer",
            **({"min_idle": 0.0} if operation == "xautoclaim" else {}),
        )

    assert caught.value.message.startswith(NO_GROUP)


def test_integer_error_of_other_command_mentions_no_counter() -> None:
    refused = ErrorReply("ERR value is not an integer or out of range")

    error = failure(refused, ErrorCode.STORE_OPERATION_FAILED, 1.0, backend="redis", writes=True)

    assert error.message == "The server rejected the command. Its reply is in __cause__."
