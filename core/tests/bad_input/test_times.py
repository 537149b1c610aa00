"""Times: a bad TTL, time to wait or idle time is refused by every method that takes one."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import BatchEntry, ErrorCode

from .operations import failure_of, sent
from .wrong_values import BAD_TTLS

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store

    from .operations import Call

TAKES_TTL: dict[str, Call] = {
    "kv.set": lambda s, ttl: s.kv.set("k", 1, ttl=ttl),
    "kv.expire": lambda s, ttl: s.kv.expire("k", ttl),
    "kv.touch": lambda s, ttl: s.kv.touch("k", ttl),
    "counter.increment": lambda s, ttl: s.counter.increment("k", ttl=ttl),
    "counter.decrement": lambda s, ttl: s.counter.decrement("k", ttl=ttl),
    "counter.expire": lambda s, ttl: s.counter.expire("k", ttl),
    "claim.once": lambda s, ttl: s.claim.once("k", "w", ttl=ttl),
    "claim.renew": lambda s, ttl: s.claim.renew("k", "w", ttl),
    "batch.set entry": lambda s, ttl: s.batch.set(
        [BatchEntry("right", 1), BatchEntry("k", 1, ttl)]
    ),
    "batch.set dict": lambda s, ttl: s.batch.set(
        [{"key": "right", "value": 1}, {"key": "k", "value": 1, "ttl": ttl}]
    ),
}
NEEDS_TTL = ("kv.expire", "kv.touch", "counter.expire", "claim.renew")


@pytest.mark.parametrize("bad", BAD_TTLS)
@pytest.mark.parametrize("method", TAKES_TTL)
async def test_a_bad_ttl_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_TTL[method](igniter_store, BAD_TTLS[bad]))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize(
    ("bad", "end"),
    [
        (0, "omit it for none."),
        (-1, "omit it for none."),
        (math.nan, "omit it for none."),
        (math.inf, "omit it for none."),
        (timedelta(0), "omit it for none."),
        (1_700_000_000_000, "omit it for none. Is this value in milliseconds?"),
        (1.7e12, "omit it for none. Is this value in milliseconds?"),
        ("60", "omit it for none. Its type is str."),
        (True, "omit it for none. Its type is bool."),
        (datetime(2030, 1, 1, tzinfo=UTC), "omit it for none. Its type is datetime."),
    ],
)
async def test_bad_ttl_error_explains_cause(bad: Any, end: str, igniter_store: Store[str]) -> None:
    errors = [
        await failure_of(igniter_store.kv.set("k", 1, ttl=bad)),
        await failure_of(igniter_store.counter.increment("k", ttl=bad)),
    ]

    assert [error.message.endswith(end) for error in errors] == [True, True]


async def test_required_ttl_error_does_not_advise_to_omit_it(igniter_store: Store[str]) -> None:
    error = await failure_of(igniter_store.kv.expire("k", -1))

    assert error.message.endswith("more than 0 and at most 317 years.")


@pytest.mark.parametrize("method", NEEDS_TTL)
async def test_where_a_ttl_is_needed_none_is_refused(
    method: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_TTL[method](igniter_store, None))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert sent(igniter_recorder) == []


TAKES_WAIT: dict[str, Call] = {
    "block": lambda s, time: s.streams.group("g", "c").read("s", block=time),
    "min_idle": lambda s, time: s.streams.group("g", "c").claim("s", min_idle=time),
}
BAD_WAITS = [name for name in BAD_TTLS if name not in {"zero", "timedelta zero"}]


@pytest.mark.parametrize("bad", BAD_WAITS)
@pytest.mark.parametrize("method", TAKES_WAIT)
async def test_a_bad_time_to_wait_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_WAIT[method](igniter_store, BAD_TTLS[bad]))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert sent(igniter_recorder) == []
