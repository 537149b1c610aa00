"""From SQLAlchemy's statements to the text that the driver takes, once, when a module is imported.

Rule: what changes from call to call is a parameter by name, and what doesn't is a `constant`:
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
    """A number that stands in the text of a statement."""
    return literal_column(str(number))


def sql(statement: Any, *, by_place: bool = False) -> str:
    """A statement of SQLAlchemy as text, its parameters as `:name`, or in the order in which they
    stand, where there are many.
    """
    compiled = statement.compile(dialect=_BY_PLACE if by_place else _BY_NAME)
    if any(not parameter.required for parameter in getattr(compiled, "binds", {}).values()):
        message = f"A value stands in the statement, and is no constant: {compiled}"
        raise TypeError(message)
    return str(compiled)


NONE: Final = constant(0)
"""For OFFSET, which SQLAlchemy's dialect writes with every LIMIT, by itself as a parameter."""
