"""Random calls with few keys, few groups and few values, so that calls interact.

Rule: times are in steps. A step of the machine is 100 seconds, and every deadline is half a step
    away from a full step.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from igniter_store.contract import Entry
from msgspec import Struct, field

STEP: Final = 100.0
"""Seconds by which the machine moves time.

The real seconds of a run stay far below half of it.
"""


class Call(Struct, frozen=True):
    """One method of an adapter with its arguments.

    Keys and ids are short names, which are made complete when the call is made.
    """

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


class Newest(Struct, frozen=True):
    """An id that is known only when the call is made.

    0 is the newest id of the stream, 1 the one before.
    """

    place: int


def call(
    name: str, *arguments: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]
) -> st.SearchStrategy[Call]:
    """Calls of one method."""
    return st.builds(Call, st.just(name), st.tuples(*arguments), st.fixed_dictionaries(options))


KEYS: Final = st.sampled_from(["a", "a*", "ab"])
VALUES: Final = st.sampled_from(
    [b"", b"1", b"-7", b"01", b"9223372036854775807", b"9223372036854775808", b"me"]
)
OWNERS: Final = st.sampled_from([b"me", b"you", b""])
TTLS: Final = st.sampled_from([0.5 * STEP, 1.5 * STEP, 3.5 * STEP, 9.5 * STEP])
OPTIONAL_TTLS: Final = st.none() | TTLS
STREAMS: Final = st.sampled_from(["s"] * 8 + ["t"])
GROUPS: Final = st.sampled_from(["g", "g", "g", "h"])
CONSUMERS: Final = st.sampled_from(["c", "d"])
COUNTS: Final = st.none() | st.integers(1, 3)
IDLE_TIMES: Final = st.sampled_from([0.0, 0.0, 0.5 * STEP, 1.5 * STEP])
IDS: Final = st.builds(Newest, st.integers(0, 5))
BLOCKS: Final = st.sampled_from([0.3 * STEP, 1.3 * STEP])

# Separate strategies, since a run may leave one of them out completely.
WRITE_CALLS: Final = st.one_of(
    call(
        "set",
        KEYS,
        VALUES,
        ttl=OPTIONAL_TTLS,
        only_if=st.sampled_from([None, None, "absent", "present"]),
    ),
    call("mset", st.lists(st.builds(Entry, KEYS, VALUES, OPTIONAL_TTLS), max_size=3)),
    call("getdel", KEYS),
    call("delete", st.lists(KEYS, max_size=3)),
)
LOOK_CALLS: Final = st.one_of(
    call("get", KEYS), call("exists", KEYS), call("mget", st.lists(KEYS, max_size=4))
)
LIFE_CALLS: Final = st.one_of(
    call("expire", KEYS, TTLS), call("persist", KEYS), call("ttl", KEYS), call("persist", KEYS)
)
VALUE_CALLS: Final = WRITE_CALLS | LOOK_CALLS | LIFE_CALLS
STREAM_UNDER_A_KEY: Final = call("xadd", KEYS, st.just({"f": b"1"}))
PREFIX_CALLS: Final = call("delete_prefix", st.sampled_from(["a", "a*", "a*", "ab", "ab", "b"]))
COUNTER_CALLS: Final = call(
    "increment", KEYS, st.sampled_from([1, 0, -3, 2**63 - 1, -(2**63)]), ttl=OPTIONAL_TTLS
)
CLAIM_CALLS: Final = st.one_of(
    call("set_nx", KEYS, OWNERS, ttl=OPTIONAL_TTLS),
    call("compare_delete", KEYS, OWNERS),
    call("compare_expire", KEYS, OWNERS, TTLS),
    call("acquire", KEYS, OWNERS, TTLS),
)

APPEND_CALLS: Final = call(
    "xadd",
    STREAMS,
    st.fixed_dictionaries({"f": VALUES}),
    max_len=st.sampled_from([None, None, None, None, 1, 3]),
    approximate=st.just(False),
)
GROUP_CALLS: Final = call("xgroup_create", STREAMS, GROUPS, st.sampled_from(["0", "$"]) | IDS)
READ_CALLS: Final = call(
    "xreadgroup", STREAMS, GROUPS, CONSUMERS, count=COUNTS, history=st.just(False)
)
HISTORY_CALLS: Final = call(
    "xreadgroup", STREAMS, GROUPS, CONSUMERS, count=COUNTS, history=st.just(True)
)
SETTLE_CALLS: Final = st.one_of(
    call("xack", STREAMS, GROUPS, st.lists(IDS, max_size=3)),
    call(
        "xpending",
        STREAMS,
        GROUPS,
        min_idle=st.none() | IDLE_TIMES,
        consumer=st.none() | CONSUMERS,
        count=COUNTS,
    ),
)
TAKEOVER_CALLS: Final = call("xautoclaim", STREAMS, GROUPS, CONSUMERS, IDLE_TIMES, count=COUNTS)
RANGE_CALLS: Final = st.one_of(
    call("xrange", STREAMS, start=st.just("-") | IDS, end=st.just("+") | IDS, count=COUNTS),
    call("xrevrange", STREAMS, start=st.just("-") | IDS, end=st.just("+") | IDS, count=COUNTS),
    call("xlen", STREAMS),
    call("xgroups", STREAMS),
)
SHORTEN_CALLS: Final = st.one_of(
    call("xdel", STREAMS, st.lists(IDS, min_size=1, max_size=2)),
    call("xtrim", STREAMS, st.sampled_from([4, 3, 2, 1, 0]), approximate=st.just(False)),
)
DESTROY_CALLS: Final = call("xgroup_destroy", STREAMS, GROUPS)
ENDING_CALLS: Final = st.one_of(
    call("expire", STREAMS, TTLS),
    call("persist", STREAMS),
    call("delete", st.lists(STREAMS, max_size=1)),
    call("set", STREAMS, VALUES, ttl=OPTIONAL_TTLS),
)
