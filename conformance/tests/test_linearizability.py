"""The linearizability check judges histories correctly."""

from __future__ import annotations

from typing import Any

from igniter_store.contract import Entry
from igniter_store_conformance.model.reference import Reference
from igniter_store_conformance.model.tests import by_keys, explained
from igniter_store_conformance.tools.linearizability import (
    Event,
    described,
    explain,
    key_step,
    overlapping_leases,
    shortest_wrong,
)


def event(
    call: str, *arguments: Any, answer: Any, at: tuple[float, float], caller: str = "caller"
) -> Event:
    return Event(caller, call, arguments, answer, *at)


def test_calls_one_after_the_other_have_one_order() -> None:
    right = [event("set", b"1", answer=True, at=(0, 1)), event("get", answer=b"1", at=(2, 3))]
    wrong = [event("set", b"1", answer=True, at=(0, 1)), event("get", answer=None, at=(2, 3))]

    assert explain(right, None, key_step) == right
    assert explain(wrong, None, key_step) is None


def test_concurrent_calls_may_have_either_order() -> None:
    written, read = event("set", b"1", answer=True, at=(0, 5)), event("get", answer=None, at=(1, 2))

    assert explain([written, read], None, key_step) == [read, written]


def test_a_lost_increment_has_no_explanation() -> None:
    history = [
        event("increment", 1, answer=1, at=(0, 4)),
        event("increment", 1, answer=1, at=(1, 3)),
    ]

    assert explain(history, None, key_step) is None
    assert shortest_wrong(history, None, key_step) == history


def test_shortest_wrong_history_omits_later_calls() -> None:
    wrong = [event("set", b"1", answer=True, at=(0, 1)), event("get", answer=b"2", at=(2, 3))]
    later = [event("get", answer=b"1", at=(4, 5)), event("delete", answer=1, at=(6, 7))]

    assert shortest_wrong([*wrong, *later], None, key_step) == wrong


def test_call_in_flight_may_have_taken_effect() -> None:
    history = [
        event("increment", 1, answer=1, at=(0, 9)),
        event("increment", 1, answer=2, at=(1, 2)),
    ]

    assert shortest_wrong(history, None, key_step) == []


def test_certainly_overlapping_leases_are_found() -> None:
    first = event("acquire", b"a", answer=1, at=(0, 1))
    released = event("release", b"a", answer=True, at=(5, 6))
    inside, after = (
        event("acquire", b"b", answer=2, at=(2, 3)),
        event("acquire", b"b", answer=2, at=(4, 7)),
    )

    assert overlapping_leases([first, released, inside]) == [(first, inside)]
    assert overlapping_leases([first, released, after]) == []
    assert overlapping_leases([first, event("acquire", b"b", answer=None, at=(2, 3))]) == []


def test_cluster_batch_may_be_read_partially_while_written() -> None:
    """A reader may see a part of the batch while `mset` is in flight, and not after it."""
    writing = (([Entry("a", b"0"), Entry("a", b"1"), Entry("b", b"2")],), ())
    half = event("mget", (["a", "b"],), (), answer=[b"1", None], at=(1, 4))
    late = event("mget", (["a", "b"],), (), answer=[b"1", None], at=(6, 7))
    written = event("mset", *writing, answer=None, at=(0, 5))

    assert shortest_wrong(by_keys([half, written]), Reference(), explained) == []
    assert shortest_wrong(by_keys([written, late]), Reference(), explained) != []


def test_history_is_described_line_by_line() -> None:
    lines = described([event("get", answer=b"1", at=(1.5, 1.75), caller="caller 1")]).splitlines()

    assert len(lines) == 1
    assert "0.000 to  250.000 ms" in lines[0]
    assert "get() -> b'1'" in lines[0]
