"""The tables' version: made where there are none, carried forward where they are older, refused
where they are newer or not ours.

Rule: all of it happens in one transaction, so of two processes that open a file at once one does
    the work and the other finds it done.
Rule: a step of `STEPS` is never changed once it was released; what changes is a step more.
Rule: what older code can go on beside, such as a column that may be empty, is added without a new
    version: so two releases can share
a file.
Rule: each transaction looks whether the version is still ours, since a newer release may carry an
    open file forward.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert
from sqlalchemy.schema import CreateIndex, CreateTable

from igniter_store_sqlite.errors import cannot_be_written, is_read_only, misconfigured
from igniter_store_sqlite.statements import sql
from igniter_store_sqlite.tables import DEADLINES, KEYS, LISTENERS, METADATA, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_sqlite.session import Session

_VERSION: Final = "VALUES ((SELECT coalesce(max(version), 0) FROM igniter_schema))"
_REACHED: Final = sql(insert(SCHEMA).values(version=bindparam("version")))
_WRITES_NOTHING: Final = "DELETE FROM igniter_schema WHERE 0"
_TABLES: Final = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def _first_version(session: Session) -> None:
    for table in METADATA.sorted_tables:
        if table is not SCHEMA:
            session.execute(sql(CreateTable(table)))
        for index in table.indexes:
            session.execute(sql(CreateIndex(index)))


STEPS: list[Callable[[Session], None]] = [_first_version]
"""What leads from each version to the next, beginning with an empty database, which is version 0.
"""


_ADDED: Final = (KEYS.c.since, LISTENERS.c.doubted)


class Version:
    """The version of the tables that one connection works on.

    Attributes:
        commits: another one whenever another connection has committed something. SQLite counts, for
            each connection from the beginning: what one that was opened again says can't be
            compared with what the one before said, so it stands with `times_opened`.
    """

    def __init__(self) -> None:
        self.commits: tuple[int, int] | None = None
        self._ours: Final = len(STEPS)

    def check(self, connection: sqlite3.Connection, times_opened: int) -> None:
        """Look whether the version is still ours, if another connection has written anything: a
        microsecond or three.

        Args:
            connection: in a transaction.
            times_opened: how often it was opened again.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`: it isn't, so nothing may be read or
                written.
        """
        commits = (times_opened, connection.execute("PRAGMA data_version").fetchone()[0])
        if commits != self.commits:
            [version] = connection.execute(_VERSION).fetchone()
            if version > self._ours:
                raise misconfigured(
                    "A newer igniter-store-sqlite has migrated this database to version "
                    f"{version} while it was open, but this one supports version {self._ours}, so "
                    "nothing was changed. Upgrade the package: pip install -U "
                    "igniter-store-sqlite."
                )
            if version < self._ours:
                raise misconfigured(
                    "The content of this database was replaced while it was open, so nothing was "
                    "changed. Close the store and open it again."
                )
            self.commits = commits


# work for a worker, whose arguments have no names
def bring_forward(session: Session, is_shared: bool) -> bool:  # noqa: FBT001
    """Let the tables be those of the newest version; whether the database can be written.

    Args:
        session: of a transaction that writes.
        is_shared: whether tables of others may stand beside ours: only in a database that the user
            has connected us to.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: the tables are newer than this package,
            or the file is somebody else's.
        BackendFailed: `STORE_OPERATION_FAILED`: the tables are missing or older, and the database
            can't be written.
    """
    there = {name for (name,) in session.execute(_TABLES)}
    ours = {table.name for table in METADATA.sorted_tables}
    if SCHEMA.name not in there:
        if there & ours or (there and not is_shared):
            raise misconfigured(
                "The file is a database of another application, so it wasn't changed. Choose "
                "another path for the store; to keep its tables in your own database, pass "
                "SQLiteAdapter(engine=...)."
            )
        if not _is_possible(session, sql(CreateTable(SCHEMA))):
            raise cannot_be_written("it has no tables of the store yet")
    can_write = _is_possible(session, _WRITES_NOTHING)
    [version] = session.execute(_VERSION).fetchone()
    if version > len(STEPS):
        raise misconfigured(
            f"The tables of the database have version {version}, but this igniter-store-sqlite "
            f"supports versions up to {len(STEPS)}, so nothing was changed. Upgrade the package: "
            "pip install -U igniter-store-sqlite."
        )
    missing = _missing(session) if version else []
    if not can_write and (version < len(STEPS) or missing):
        raise cannot_be_written(
            "its tables are from an older igniter-store-sqlite and must be migrated"
        )
    for addition in missing:
        session.execute(addition)
    for number, step in enumerate(STEPS[version:], version + 1):
        step(session)
        session.execute(_REACHED, {"version": number})
    return can_write


def _is_possible(session: Session, statement: str) -> bool:
    """Execute a statement that writes; False where the database can only be read. There BEGIN
    IMMEDIATE passes all the same.
    """
    try:
        session.execute(statement)
    except sqlite3.OperationalError as error:
        if not is_read_only(error):
            raise
        return False
    return True


def _missing(session: Session) -> list[str]:
    """The statements that add what came without a new version."""
    statements = [
        f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} BIGINT"
        for column in _ADDED
        if column.name
        not in {row[1] for row in session.execute(f"PRAGMA table_info({column.table.name})")}
    ]
    if len(session.execute(f"PRAGMA index_info({DEADLINES.name})").fetchall()) < len(
        DEADLINES.columns
    ):
        statements += [f"DROP INDEX IF EXISTS {DEADLINES.name}", sql(CreateIndex(DEADLINES))]
    return statements
