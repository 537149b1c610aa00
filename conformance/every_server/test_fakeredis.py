"""The second external case: the redis-py adapter on fakeredis, with fakeredis's known errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import fakeredis
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_conformance.redis_py import RedisPyAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis


_WAITS: Final = (
    "XREADGROUP with BLOCK ignores a new entry: it waits until its timeout and returns nothing"
)
_NO_PREFIX: Final = (
    "XREADGROUP of a missing group raises an error without a prefix, where servers reply NOGROUP"
)
_OTHER_KIND: Final = (
    "XREADGROUP of a key that holds a value raises an AttributeError, where servers reply WRONGTYPE"
)


class TestFakeRedis(AdapterSuite):
    contract = "1"
    patience = 0.1  # its errors are mostly replies that never come
    known_failing: ClassVar[Mapping[str, str]] = {
        "test_opening_and_closing_may_be_repeated": _WAITS,
        "test_closing_before_opening_is_no_error": _WAITS,
        "test_every_operation_raises_store_closed_after_close": _WAITS,
        "test_close_leaves_no_task_thread_or_file": _WAITS,
        "test_every_operation_works_on_a_reopened_adapter": _WAITS,
        "test_inherited_capability_is_fully_implemented": _WAITS,
        "test_later_calls_get_own_replies_after_cancellation": _WAITS,
        "test_cancelled_operation_applies_completely_or_not_at_all": _WAITS,
        "test_cancelled_opening_leaves_no_task_thread_or_file": _WAITS,
        "test_close_finishes_an_opening_cancelled_twice": _WAITS,
        "test_operations_in_another_loop_work_or_raise": _WAITS,
        "test_abandon_does_nothing_while_loop_lives": _WAITS,
        "test_abandoned_adapter_opens_in_next_loop": _WAITS,
        "test_abandoning_leaves_no_thread_or_file": _WAITS,
        "test_open_works_when_loop_has_ended": _WAITS,
        "test_close_works_when_loop_has_ended": _WAITS,
        "test_cancel_works_when_loop_has_ended": _WAITS,
        "test_operations_in_forked_child_do_not_reach_parent": _WAITS,
        "test_close_in_forked_child_does_not_reach_parent": _WAITS,
        "test_forked_child_exits_by_itself": _WAITS,
        "test_forked_child_opens_after_closing": _WAITS,
        "test_answer_that_arrived_is_no_timeout": _WAITS,
        "test_a_group_without_count_has_no_limit": (
            "XACK of thousands of entries takes longer than the test may"
        ),
        "test_an_expired_stream_is_gone_with_its_groups": _NO_PREFIX,
        "test_a_group_that_does_not_exist_is_missing": _NO_PREFIX,
        "test_groups_go_with_their_stream": _NO_PREFIX,
        "test_blocked_read_raises_when_its_stream_is_deleted": _NO_PREFIX,
        "test_blocked_read_raises_when_prefix_is_deleted": _NO_PREFIX,
        "test_blocked_read_raises_when_its_stream_expires": _NO_PREFIX,
        "test_each_expiring_stream_wakes_its_own_reader": _NO_PREFIX,
        "test_blocked_read_raises_when_stream_becomes_a_value": _OTHER_KIND,
        "test_value_is_not_a_stream": _OTHER_KIND,
        "test_pending_list_can_be_filtered_by_idle_time": (
            "XPENDING with IDLE returns the younger entries"
        ),
        "test_claiming_finds_idle_entries_behind_recent_ones": (
            "XPENDING with IDLE returns the younger entries, and XCLAIM claims them"
        ),
        "test_history_counts_as_a_delivery": "reading the history doesn't reset the idle time",
        "test_streams_and_groups_match_the_reference": (
            "the model finds the failures that are listed here"
        ),
        "test_interleaved_callers_get_the_answers_of_some_order": (
            "the model finds the failures that are listed here"
        ),
    }

    def harness(self) -> Harness:
        data: Any = fakeredis.FakeServer()

        def client() -> Redis:
            made: Any = fakeredis.FakeAsyncRedis(server=data, protocol=2, socket_timeout=None)
            client: Redis = made
            return client

        return Harness(connect=lambda: RedisPyAdapter(client))
