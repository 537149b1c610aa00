"""The tables' version: made where there are none, carried forward where they are older, refused where they are newer or not ours.

Rule: all of it happens in one transaction, so of two processes that open a file at once one does the work and the other finds it done.
Rule: a step of `STEPS` is never changed once it was released; what changes is a step more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.schema import CreateIndex, CreateTable

from igniter_store_sqlite.errors import misconfigured
from igniter_store_sqlite.statements import constant, sql
from igniter_store_sqlite.tables import METADATA, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_sqlite.worker import Session

_VERSION: Final = sql(select(func.coalesce(func.max(SCHEMA.c.version), constant(0))))
_REACHED: Final = sql(insert(SCHEMA).values(version=bindparam("version")))
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def _first_version(session: Session) -> None:
    for table in METADATA.sorted_tables:
        if table is not SCHEMA:
            session.execute(sql(CreateTable(table)))
        for index in table.indexes:
            session.execute(sql(CreateIndex(index)))


STEPS: list[Callable[[Session], None]] = [_first_version]
"""What leads from each version to the next, beginning with an empty database, which is version 0."""


def bring_forward(session: Session, is_shared: bool) -> None:  # noqa: FBT001 - work for a worker, whose arguments have no names
    """Let the tables be those of the newest version.

    Args:
        session: of a transaction that writes.
        is_shared: whether tables of others may stand beside ours: only in a database that the user has connected us to.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: the tables are newer than this package, or the file is somebody else's.
    """
    there = {name for (name,) in session.execute(_TABLES)}
    ours = {table.name for table in METADATA.sorted_tables}
    if SCHEMA.name not in there:
        if there & ours or (there and not is_shared):
            raise misconfigured(
                "The file is a database of something else, so nothing was changed in it. Choose another path for the store; to keep its "
                "tables in a database of your own, pass SQLiteAdapter(engine=...)."
            )
        session.execute(sql(CreateTable(SCHEMA)))
    [version] = session.execute(_VERSION).fetchone()
    if version > len(STEPS):
        raise misconfigured(
            f"The database has tables of version {version}, and this igniter-store-sqlite knows them up to {len(STEPS)}, so nothing was "
            "changed. Upgrade the package: pip install -U igniter-store-sqlite."
        )
    for number, step in enumerate(STEPS[version:], version + 1):
        step(session)
        session.execute(_REACHED, {"version": number})
