"""Compiles SQLAlchemy statements to SQL text once, when a module is imported.

Rule: a value that changes from call to call is a named parameter, and any other is a `constant`:
    nothing is added when a statement runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import literal_column
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import ColumnClause

_BY_NAME: Final = sqlite.dialect(paramstyle="named")
_BY_PLACE: Final = sqlite.dialect(paramstyle="qmark")


def constant(number: int) -> ColumnClause[Any]:
    """A number that is written into the text of a statement."""
    return literal_column(str(number))


def sql(statement: Any, *, by_place: bool = False) -> str:
    """Compile a statement of SQLAlchemy to text.

    Its parameters are written as `:name`, or, if there are many, by position.
    """
    compiled = statement.compile(dialect=_BY_PLACE if by_place else _BY_NAME)
    if any(not parameter.required for parameter in getattr(compiled, "binds", {}).values()):
        message = f"The statement contains a value that isn't a constant: {compiled}"
        raise TypeError(message)
    return str(compiled)


NONE: Final = constant(0)
"""For OFFSET. SQLAlchemy's dialect writes it with every LIMIT, by default as a parameter."""
