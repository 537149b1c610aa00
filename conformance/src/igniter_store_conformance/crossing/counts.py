"""Lists of many lengths, as arguments and as results, and the parameter `count`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Entry, KeyValue, Streams

from igniter_store_conformance.crossing.dimension import Cell, Dimension
from igniter_store_conformance.crossing.program import Append, Call, Instruction
from igniter_store_conformance.spec.operations import Kind, Newest, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract import Adapter

    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import Trial

LENGTHS: Final = (0, 1, 2, 9, 10, 11, 99, 100, 101, 255, 256, 257, 500, 999, 1_000, 1_001, 10_000)
_COUNTS: Final = (1, 2, 9, 10, 11, 99, 100, 101, 255, 256, 257, 999, 1_000, 1_001, 5_000, 20_000)
_MANY: Final = 10_000
_FEW: Final = 1_001
_GROUPS: Final = 257
_MEBIBYTE: Final = 1024 * 1024
_CLAUSES: Final[dict[type[Adapter], str]] = {KeyValue: "KV-12", Streams: "STR-15"}
_LISTED: Final = ("delete", "mget", "mset", "xdel", "xack")
_COUNTED: Final = (
    "xrange",
    "xrevrange",
    "xreadgroup",
    "xreadgroup of the history",
    "xpending",
    "xautoclaim",
)


class Lists(Dimension):
    """Lists of 0 to 10,000 items, in order, with duplicates and missing items."""

    word = "list"
    title = "lists of 0 to 10,000 items"
    promise = (
        "{operation} handles lists of 0 to 10,000 items completely and in order, with duplicate "
        "and with missing items."
    )
    hint = (
        "look for a limit of the number of items, for chunks that lose, repeat or reorder items at "
        "their ends, and for a result that is only that of the last chunk."
    )
    limit = 120.0

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [Cell(operation)] if operation.title in _LISTED else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no list that the test could lengthen"

    def clause(self, cell: Cell) -> str:
        return _CLAUSES[cell.operation.capability]

    def program(self, cell: Cell, trial: Trial) -> Program:
        del trial
        method = cell.operation.method
        if cell.operation.capability is Streams:
            return _ids(method)
        program: Program = []
        for length in LENGTHS:
            keys = [f"{length} {place}" for place in range(length)]
            some = {key for place, key in enumerate(keys) if place % 7}
            entries = [
                Entry(key, b"value of " + key.encode(), 2_000.0 + place if place % 3 else None)
                for place, key in enumerate(keys)
            ]
            if method == "mset":
                double = [Entry(each.key, b"first", 50.0) for each in entries[::5]]
                program.append(Call("mset", ([*double, *entries],), {}))
            else:
                program.append(Call("mset", ([each for each in entries if each.key in some],), {}))
                if method == "delete":
                    asked = [*keys[: length // 2], *keys[: length // 3]]
                    program.append(Call("delete", (asked,), {}))
            program.append(Call("mget", (keys,), {}))
            program.append(Call("mget", ([*keys[::-1], *keys[: length // 4]],), {}))
            ends = dict.fromkeys([0, 1, 99, 100, 255, 256, 499, 500, 999, 1_000, length - 1])
            program += [Call("ttl", (keys[place],), {}) for place in ends if 0 <= place < length]
        if method in {"mget", "mset"}:
            large = [Entry(f"large {place}", bytes([place]) * _MEBIBYTE) for place in range(18)]
            program.append(Call("mset", (large,), {}))
            program.append(Call("mget", ([each.key for each in large],), {}))
        return program


def _ids(method: str) -> Program:
    program: Program = []
    for length in LENGTHS:
        stream = f"stream {length}"
        program += [
            Append(stream, length + 3),
            Call("xgroup_create", (stream, "group"), {}),
            Call("xreadgroup", (stream, "group", "consumer"), {}),
        ]
        ids: list[Any] = [Newest(place) for place in range(1, length + 1)]
        ids += ids[: length // 4]
        ids += [Newest(length + 100)]  # unknown
        if method == "xdel":
            program.append(Call("xdel", (stream, ids), {}))
        else:
            program.append(Call("xack", (stream, "group", ids), {}))
        program += [
            Call("xrange", (stream,), {}),
            Call("xpending", (stream, "group"), {}),
        ]
    return program


class Counts(Dimension):
    """Results of 1 to 10,000 items, and the parameter `count` around every usual limit."""

    word = "count"
    title = "results of 1 to 10,000 items, with and without `count`"
    promise = (
        "{operation} returns exactly as many items as `count` allows, and all 10,000 without it, "
        "in order."
    )
    hint = (
        "look for a limit of the adapter's own, for a page of the backend that is taken for the "
        "whole result, and for a `count` that is applied before the filters."
    )
    limit = 120.0

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [Cell(operation, Kind.COUNT)] if operation.title in _COUNTED else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no `count`"

    def clause(self, cell: Cell) -> str:
        return {"xpending": "STR-25", "xrange": "STR-2", "xrevrange": "STR-2"}.get(
            cell.operation.method, "STR-15"
        )

    def program(self, cell: Cell, trial: Trial) -> Program:
        del trial
        title = cell.operation.title
        program: list[Instruction] = [Append("stream", _MANY)]
        read_first = title in {"xreadgroup of the history", "xpending", "xautoclaim"}
        for count in (*_COUNTS, None):
            group = f"group {count}"
            if title not in {"xrange", "xrevrange"}:
                program.append(Call("xgroup_create", ("stream", group), {}))
            if read_first:
                number = _MANY if count is None else min(count + 3, _MANY)
                program += [
                    Call("xreadgroup", ("stream", group, "other"), {"count": 2}),
                    Call("xreadgroup", ("stream", group, "consumer"), {"count": number}),
                ]
            program += _COUNTING[title](group, count)
            if title not in {"xrange", "xrevrange"} and (count is None or count <= _FEW):
                program.append(Call("xpending", ("stream", group), {}))
        return program


def _ranges(method: str) -> Callable[[str, int | None], list[Instruction]]:
    return lambda _, count: [Call(method, ("stream",), {"count": count})]


_COUNTING: Final[dict[str, Callable[[str, int | None], list[Instruction]]]] = {
    "xrange": _ranges("xrange"),
    "xrevrange": _ranges("xrevrange"),
    "xreadgroup": lambda group, count: [
        Call("xreadgroup", ("stream", group, "consumer"), {"count": count})
    ],
    "xreadgroup of the history": lambda group, count: [
        Call("xreadgroup", ("stream", group, "consumer"), {"count": count, "history": True})
    ],
    "xpending": lambda group, count: [
        Call("xpending", ("stream", group), {"count": count}),
        Call("xpending", ("stream", group), {"count": count, "consumer": "consumer"}),
    ],
    "xautoclaim": lambda group, count: [
        Call("xautoclaim", ("stream", group, "heir", 0.0), {"count": count})
    ],
}


class ManyGroups(Dimension):
    """A stream with many groups."""

    word = "many"
    title = "streams with hundreds of groups"
    promise = "{operation} returns every one of 257 groups, in order."
    hint = "look for a limit of the number of groups, and for their order."

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [Cell(operation)] if operation.method == "xgroups" else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} returns no groups"

    def clause(self, cell: Cell) -> str:
        del cell
        return "STR-19"

    def program(self, cell: Cell, trial: Trial) -> Program:
        del cell, trial
        program: Program = [Append("stream", 3)]
        for number in range(_GROUPS):
            group = f"group {number * 7 % _GROUPS}"
            program.append(Call("xgroup_create", ("stream", group), {}))
            if number in {0, 1, 9, 10, 99, 100, 254, 255, 256}:
                program.append(Call("xgroups", ("stream",), {}))
        return program
