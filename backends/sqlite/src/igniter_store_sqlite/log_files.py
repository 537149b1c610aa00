"""Keeps the write-ahead log ("-wal") beside the database file small, in the background.

SQLite keeps appending to the WAL while a connection still reads an older state, and the file never
shrinks by itself. So once the reader has finished, a separate connection copies the content into
the database and truncates the WAL.

Rule: calls aren't delayed. While the WAL is large, no commit stops to copy it. A commit copies only
    the small rest that was written meanwhile, because no other write can be added during a commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from igniter_store_sqlite.file_identity import FileIdentity
    from igniter_store_sqlite.worker import Worker

# Bytes that the WAL may keep; a commit copies it at about half of that
SIZE_LIMIT: Final = 8 * 1024 * 1024
# Pages in the WAL at which a commit copies them; SQLite's default
_COMMITS_COPY: Final = 1_000


class LogFile:
    """The WAL of an open database.

    Args:
        place: identity of the database file; it remembers the WAL, and refuses calls once that was
            removed.
        writes: the connection whose commits copy the WAL.
        on_the_side: opens another connection.
    """

    def __init__(
        self,
        place: FileIdentity,
        writes: Worker,
        on_the_side: Callable[[], AbstractAsyncContextManager[Worker]],
    ) -> None:
        self._place: Final = place
        self._writes: Final = writes
        self._on_the_side: Final = on_the_side
        self._do_commits_copy = True

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Turn copying by commits on or off for the write connection.

        It is called in the thread of that connection, also after it was reopened.
        """
        connection.execute(
            f"PRAGMA wal_autocheckpoint = {_COMMITS_COPY if self._do_commits_copy else 0}"
        ).fetchone()

    async def tend(self) -> None:
        """Check that the WAL still exists; copy a large one into the database and truncate it.

        Pages that a connection still reads stay in the WAL.

        Raises:
            StoreError: the file was removed or replaced.
            sqlite3.Error: a connection that a fork closed can't be reopened.
        """
        size = self._place.size_of_log()
        if self._place.is_log_lost:
            return
        if size <= SIZE_LIMIT:
            await self._let_commits_copy(True)
            return
        await self._let_commits_copy(False)
        left = None
        try:
            async with self._on_the_side() as worker:
                worker.let_forks_interrupt(True)
                copying = worker.run(_checkpoint)
                try:
                    left = await asyncio.shield(copying)
                except asyncio.CancelledError:
                    # It may be copying a gigabyte. The pages copied so far are valid.
                    worker.interrupt()
                    await asyncio.wait({copying})
                    copying.exception()
                    raise
        except (sqlite3.Error, SQLAlchemyError, OSError):
            # Writers get the error of a failing or full disk; this only tries again.
            pass
        finally:
            if left is not None and left < _COMMITS_COPY:
                await self._let_commits_copy(True)

    # The flag answers the question in the name.
    async def _let_commits_copy(self, do_they: bool) -> None:  # noqa: FBT001
        if do_they != self._do_commits_copy:
            self._do_commits_copy = do_they
            await self._writes.run(self.prepare)


def _checkpoint(connection: sqlite3.Connection) -> int:
    """Copy as many pages as possible while others read and write, and return how many are left.

    The WAL is truncated if every page was copied.
    """
    _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages == copied:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return int(pages - copied)
