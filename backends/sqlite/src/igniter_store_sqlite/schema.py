"""Creates and migrates the tables, and refuses a database that is newer or not ours.

Rule: everything happens in one transaction. If two processes open a file at once, one does the
    work and the other finds it done.
Rule: a released step of `STEPS` is never changed; a change is a new step.
Rule: a change that older code can ignore, such as a nullable column, is added without a new
    version, so that two releases can share a file.
Rule: each transaction checks whether the version is still ours, since a newer release may migrate
    an open file.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert
from sqlalchemy.schema import CreateIndex, CreateTable

from igniter_store_sqlite.errors import ERRORS, cannot_be_written, is_read_only
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
"""The step from each version to the next, beginning with an empty database, which is version 0."""


_ADDED: Final = (KEYS.c.since, LISTENERS.c.doubted)


class Version:
    """The version of the tables, as seen by one connection.

    Attributes:
        commits: a value that changes whenever another connection has committed. SQLite counts for
            each connection from its beginning, so the counts of a reopened connection can't be
            compared with earlier ones; therefore `times_opened` is part of the value.
    """

    def __init__(self) -> None:
        self.commits: tuple[int, int] | None = None
        self._ours: Final = len(STEPS)

    def check(self, connection: sqlite3.Connection, times_opened: int) -> None:
        """Check that the version is still ours, if another connection has written.

        This costs one to three microseconds.

        Args:
            connection: in a transaction.
            times_opened: how often the connection was reopened.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` if it isn't; nothing may be read or
                written.
        """
        commits = (times_opened, connection.execute("PRAGMA data_version").fetchone()[0])
        if commits != self.commits:
            [version] = connection.execute(_VERSION).fetchone()
            if version > self._ours:
                raise ERRORS.misconfigured(
                    "A newer igniter-store-sqlite has migrated this database to version "
                    f"{version} while it was open, but this one supports version {self._ours}, so "
                    "nothing was changed. Upgrade the package: pip install -U "
                    "igniter-store-sqlite."
                )
            if version < self._ours:
                raise ERRORS.misconfigured(
                    "The content of this database was replaced while it was open, so nothing was "
                    "changed. Close the store and open it again."
                )
            self.commits = commits


# This is work for a worker, which passes no keyword arguments.
def bring_forward(session: Session, is_shared: bool) -> bool:  # noqa: FBT001
    """Migrate the tables to the newest version; return whether the database is writable.

    Args:
        session: in a write transaction.
        is_shared: whether the database may have tables of others; only a database that the user
            has connected us to may.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: the tables are newer than this package,
            or the file belongs to another application.
        BackendFailed: `STORE_OPERATION_FAILED`: the tables are missing or older, and the database
            is read-only.
    """
    there = {name for (name,) in session.execute(_TABLES)}
    ours = {table.name for table in METADATA.sorted_tables}
    if SCHEMA.name not in there:
        if there & ours or (there and not is_shared):
            raise ERRORS.misconfigured(
                "The file is a database of another application, so it wasn't changed. Choose "
                "another path for the store; to keep its tables in your own database, pass "
                "SQLiteAdapter(engine=...)."
            )
        if not _is_possible(session, sql(CreateTable(SCHEMA))):
            raise cannot_be_written("it has no tables of the store yet")
    can_write = _is_possible(session, _WRITES_NOTHING)
    [version] = session.execute(_VERSION).fetchone()
    if version > len(STEPS):
        raise ERRORS.misconfigured(
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
    """Execute a statement that writes; return False if the database is read-only.

    `BEGIN IMMEDIATE` succeeds in a read-only database, so it isn't a sufficient check.
    """
    try:
        session.execute(statement)
    except sqlite3.OperationalError as error:
        if not is_read_only(error):
            raise
        return False
    return True


def _missing(session: Session) -> list[str]:
    """The statements that add columns and indexes which have no version of their own."""
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
