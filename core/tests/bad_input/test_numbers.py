"""Numbers and flags: counts, sizes and booleans of another type or range are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from igniter_store import ErrorCode

from .operations import failure_of, listen, sent
from .wrong_values import BAD_NUMBERS, NOT_BOOLEANS

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store

    from .operations import Call

TAKES_NUMBER: dict[str, Call] = {
    "append max_len": lambda s, n: s.streams.append("s", 1, max_len=n),
    "range count": lambda s, n: s.streams.range("s", count=n),
    "trim max_len": lambda s, n: s.streams.trim("s", n),
    "read count": lambda s, n: s.streams.group("g", "c").read("s", count=n),
    "claim count": lambda s, n: s.streams.group("g", "c").claim("s", min_idle=1, count=n),
    "scan count": lambda s, n: s.dev.scan("*", count=n),
    "subscribe max_queue": lambda s, n: s.events.subscribe("e", print, max_queue=n),
    "listen max_queue": lambda s, n: listen(s, "e", max_queue=n),
}


@pytest.mark.parametrize("bad", BAD_NUMBERS)
@pytest.mark.parametrize("argument", TAKES_NUMBER)
async def test_a_bad_whole_number_is_refused(
    argument: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_NUMBER[argument](igniter_store, BAD_NUMBERS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("argument", ["scan count", "subscribe max_queue", "listen max_queue"])
async def test_zero_count_or_queue_size_is_refused(
    argument: str, igniter_store: Store[str]
) -> None:
    """With 0, the call could never return a key or an event."""
    error = await failure_of(TAKES_NUMBER[argument](igniter_store, 0))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID


TAKES_BOOLEAN: dict[str, Call] = {
    "append approximate": lambda s, flag: s.streams.append("s", 1, approximate=flag),
    "trim approximate": lambda s, flag: s.streams.trim("s", 1, approximate=flag),
    "range reverse": lambda s, flag: s.streams.range("s", reverse=flag),
    "read history": lambda s, flag: s.streams.group("g", "c").read("s", history=flag),
}


@pytest.mark.parametrize("bad", NOT_BOOLEANS)
@pytest.mark.parametrize("argument", TAKES_BOOLEAN)
async def test_non_boolean_flag_is_refused(
    argument: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_BOOLEAN[argument](igniter_store, NOT_BOOLEANS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []
