"""Two clients of the same data: what one writes, the other sees at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, cast

from igniter_store.contract import Streams

from igniter_store_conformance.crossing.dimension import Cell, Dimension, sample
from igniter_store_conformance.crossing.program import Call, bound, look, shifted
from igniter_store_conformance.spec.operations import Kind, Newest, Operation, Trait
from igniter_store_conformance.tools.remote_adapter import remote_adapters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_GROUPS: Final = ("group", "later")


class OtherClient(Dimension):
    """The operation by one client, right after another client has changed the data."""

    word = "other_client"
    title = "what another client has just written"
    promise = (
        "{operation} acts on what another client has just written or removed, even if it read the "
        "same key before, and the other client sees the result at once."
    )
    hint = (
        "look for a cache in the adapter: of values, of missing keys, of TTLs, of groups, or of "
        "positions."
    )

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [] if Trait.BLOCKS in operation.traits else [Cell(operation)]

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} is `{operation.method}` where there are entries"

    def clause(self, cell: Cell) -> str:
        del cell
        return "LIF-7"

    @contextlib.asynccontextmanager
    async def clients(self, trial: Trial) -> AsyncGenerator[list[FullAdapter]]:
        yield await trial.clients(2)

    def program(self, cell: Cell, trial: Trial) -> Program:
        del trial
        operation, bindings = cell.operation, sample()
        is_stream = operation.capability is Streams
        name = bindings[Kind.STREAM if is_stream else Kind.KEY]
        changes = _of_a_stream(name) if is_stream else _of_a_key(name)
        seen = look(name, _GROUPS) if is_stream else _look_at_a_key(name)
        call = [bound(operation.call, bindings)]
        program: Program = [*shifted(seen, 1)]  # a missing key is read, and may be kept as such
        program += [bound(each, bindings) for each in operation.before]
        program += [*shifted(seen, 1), *seen]
        for place, change in enumerate(changes):
            one, other = place % 2, 1 - place % 2
            program += shifted([change], one)
            program += shifted([*call, *seen], other)
            program += shifted(seen, one)
        return program


class OtherProcess(OtherClient):
    """The same with a client in another process."""

    word = "other_process"
    title = "what another process has just written"
    promise = (
        "{operation} acts on what another process has just written or removed, even if it read the "
        "same key before, and the other process sees the result at once."
    )
    hint = (
        "look for a cache or a lock in the memory of the process: of values, of missing keys, of "
        "TTLs, of groups, or of positions."
    )

    @contextlib.asynccontextmanager
    async def clients(self, trial: Trial) -> AsyncGenerator[list[FullAdapter]]:
        async with remote_adapters(trial, 1) as [remote]:
            yield [trial.adapter, cast("FullAdapter", remote)]


def _look_at_a_key(name: str) -> Program:
    return [Call(method, (name,), {}) for method in ("exists", "ttl", "get", "get")]


def _of_a_key(name: str) -> list[Call]:
    return [
        Call("set", (name, b"41"), {"ttl": 500.0}),
        Call("expire", (name, 700.0), {}),
        Call("delete", ([name],), {}),
        Call("set", (name, b"owner "), {}),
        Call("persist", (name,), {}),
        Call("set", (name, b"7"), {"ttl": 900.0}),
        Call("getdel", (name,), {}),
        Call("set", (name, b"value"), {}),
        Call("delete", ([name],), {}),
        Call("set", (name, b"another"), {"ttl": 300.0, "only_if": "absent"}),
    ]


def _of_a_stream(name: str) -> list[Call]:
    return [
        Call("xadd", (name, {"field": b"more"}), {}),
        Call("xgroup_create", (name, "later"), {}),
        Call("xreadgroup", (name, "later", "consumer"), {"count": 1}),
        Call("xadd", (name, {"field": b"and more"}), {}),
        Call("xack", (name, "later", [Newest(0), Newest(1), Newest(2), Newest(3)]), {}),
        Call("xgroup_create", (name, "group"), {}),
        Call("xreadgroup", (name, "group", "other"), {"count": 1}),
        Call("xdel", (name, [Newest(0)]), {}),
        Call("xautoclaim", (name, "group", "other", 0.0), {}),
        Call("xgroup_destroy", (name, "later"), {}),
        Call("xtrim", (name, 1), {"approximate": False}),
        Call("delete", ([name],), {}),
        Call("xadd", (name, {"field": b"anew"}), {}),
        Call("xgroup_create", (name, "group"), {}),
    ]
