"""The crossing as a part of `docs/contract.md`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.crossing.dimensions import DIMENSIONS
from igniter_store_conformance.crossing.races import RACED, race_clause
from igniter_store_conformance.spec.clauses import markdown
from igniter_store_conformance.spec.operations import OPERATIONS

if TYPE_CHECKING:
    from igniter_store_conformance.crossing.dimension import Dimension
    from igniter_store_conformance.spec.operations import Operation

_PREAMBLE: Final = """\
## The crossing

Most clauses hold for several operations. The kit asks each question of each operation that it
applies to: a row is an operation, a column is a question, and a cell names the clause that the test
belongs to. A dash is explained below the table.
"""
_RACE: Final = "concurrent callers: tasks, clients and processes"
_NO_RACE: Final = "its concurrent calls don't depend on each other, or a test of its own races them"
_WIDTH: Final = 100


def contract_document() -> str:
    """Return the whole text of `docs/contract.md`."""
    return f"{markdown()}\n{crossing_markdown()}"


def crossing_markdown() -> str:
    """Return the table of operations and dimensions."""
    columns = [str(number) for number in range(1, len(DIMENSIONS) + 2)]
    lines = [_PREAMBLE]
    titles = [dimension.title for dimension in DIMENSIONS]
    lines += [f"{column}. {title}" for column, title in zip(columns, [*titles, _RACE], strict=True)]
    lines += ["", f"| operation | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    for operation in OPERATIONS:
        cells = [_cell(dimension, operation) for dimension in DIMENSIONS]
        cells.append(race_clause(operation) if operation in RACED else "-")
        lines.append(f"| {operation.title} | {' | '.join(cells)} |")
    lines += ["", "A dash, by column:", ""]
    for column, dimension in zip(columns, DIMENSIONS, strict=False):
        if reasons := _reasons(dimension):
            lines.append(_wrapped(f"- {column}: {'; '.join(reasons)}."))
    lines.append(_wrapped(f"- {columns[-1]}: {_NO_RACE}."))
    return "\n".join(lines) + "\n"


def _cell(dimension: Dimension, operation: Operation) -> str:
    cells = dimension.cells_of(operation)
    clauses = ", ".join(dict.fromkeys(dimension.clause(cell) for cell in cells))
    kinds = ", ".join(cell.kind for cell in cells if cell.kind is not None)
    return f"{clauses} ({kinds})" if len(cells) > 1 else clauses or "-"


def _reasons(dimension: Dimension) -> list[str]:
    found = [
        dimension.reason(operation).replace(operation.title, "the operation", 1)
        for operation in OPERATIONS
        if not dimension.cells_of(operation)
    ]
    return list(dict.fromkeys(found))


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
