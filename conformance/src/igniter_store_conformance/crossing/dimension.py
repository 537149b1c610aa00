"""A dimension: one question that is asked of every operation that it applies to."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from igniter_store.contract import Claims, Counters, KeyValue, Streams
from msgspec import Struct

from igniter_store_conformance.crossing.program import bound
from igniter_store_conformance.spec.operations import OPERATIONS, Kind, Operation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from igniter_store.contract import Adapter

    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class Cell(Struct, frozen=True):
    """One operation in one dimension.

    Attributes:
        kind: the kind of the arguments that vary, if the dimension is about arguments.
    """

    operation: Operation
    kind: Kind | None = None


class Dimension(ABC):
    """One question.

    Attributes:
        word: names the dimension in the names of tests.
        title: names it in documents, such as "names that differ in case".
        promise: what each test checks. `{operation}` and `{kind}` are replaced.
        hint: where to look if a test fails.
        limit: the time limit of a test in seconds.
    """

    word: ClassVar[str]
    title: ClassVar[str]
    promise: ClassVar[str]
    hint: ClassVar[str]
    limit: ClassVar[float] = 60.0

    def cells(self) -> list[Cell]:
        """Return every operation that the dimension applies to, in the order of the table."""
        return [cell for operation in OPERATIONS for cell in self.cells_of(operation)]

    @abstractmethod
    def cells_of(self, operation: Operation) -> list[Cell]:
        """Return the cells of one operation; none if the dimension doesn't apply to it."""

    @abstractmethod
    def reason(self, operation: Operation) -> str:
        """Return why the dimension doesn't apply to an operation."""

    @abstractmethod
    def clause(self, cell: Cell) -> str:
        """Return the id of the clause that the cell tests."""

    @contextlib.asynccontextmanager
    async def clients(self, trial: Trial) -> AsyncGenerator[list[FullAdapter]]:
        """Yield the clients that the program names."""
        yield [trial.adapter]

    @abstractmethod
    def program(self, cell: Cell, trial: Trial) -> Program:
        """Return the calls that ask the question."""


def sample(tag: object = "") -> dict[Kind, Any]:
    """Return a value for each placeholder; another tag gives other names and values."""
    return {
        Kind.KEY: f"key {tag}",
        Kind.STREAM: f"stream {tag}",
        Kind.VALUE: f"value {tag}".encode(),
        Kind.OWNER: f"owner {tag}".encode(),
        Kind.TTL: 3_000.0,
        Kind.DELTA: 1,
        Kind.FIELD: "field",
        Kind.GROUP: "group",
        Kind.CONSUMER: "consumer",
    }


def main_name(operation: Operation) -> Kind:
    """Return the kind of the name that an operation works on."""
    return Kind.STREAM if operation.capability is Streams else Kind.KEY


def prepared(operation: Operation, bindings: Mapping[Kind, Any]) -> Program:
    """Return the calls before an operation."""
    return [bound(each, bindings) for each in operation.before]


def by_capability(operation: Operation, clauses: Mapping[type[Adapter], str]) -> str:
    """Return the clause for an operation's capability; that of `KeyValue` for `Scan`."""
    return clauses.get(operation.capability, clauses[KeyValue])


NAME_CLAUSES: Final[dict[type[Adapter], str]] = {
    KeyValue: "KV-3",
    Counters: "CTR-8",
    Claims: "CLM-11",
    Streams: "STR-26",
}
"""The clauses about exact names."""
