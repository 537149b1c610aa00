"""The write-ahead log beside the file ("-wal"): kept small by what happens in the background.

SQLite writes on in the log while some connection still reads what was there before, and the log
stays as large as it has become. So once the reader is gone its content is copied into the database,
on a connection of its own, and it is cut.

Rule: calls aren't held up. While the log is large, no commit stops to copy it; the small rest of
    what has come meanwhile is for a commit,
since only there nothing comes on top.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from igniter_store_sqlite.file_identity import Place
    from igniter_store_sqlite.worker import Worker

SIZE_LIMIT: Final = (
    8 * 1024 * 1024
)  # bytes that the log may keep; a commit copies it at about half of that
_COMMITS_COPY: Final = (
    1_000  # pages in the log at which a commit copies them, which is SQLite's default
)


class LogFile:
    """The log of an open database.

    Args:
        place: of the database file; it knows the log, and refuses calls when that was removed.
        writes: the connection whose commits copy the log.
        on_the_side: makes another connection.
    """

    def __init__(
        self,
        place: Place,
        writes: Worker,
        on_the_side: Callable[[], AbstractAsyncContextManager[Worker]],
    ) -> None:
        self._place: Final = place
        self._writes: Final = writes
        self._on_the_side: Final = on_the_side
        self._do_commits_copy = True

    def prepare(self, connection: sqlite3.Connection) -> None:
        """In the thread of the connection that writes, also when it was opened again: let its
        commits copy the log, or not.
        """
        connection.execute(
            f"PRAGMA wal_autocheckpoint = {_COMMITS_COPY if self._do_commits_copy else 0}"
        ).fetchone()

    async def tend(self) -> None:
        """Look whether the log is still there; copy a large one into the database and cut it, as
        far as nothing reads it still.

        Raises:
            StoreError: the file was removed or replaced.
            sqlite3.Error: a connection that a fork has closed can't be opened again.
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
                except (
                    asyncio.CancelledError
                ):  # it may be copying a gigabyte, and what was copied so far is good
                    worker.interrupt()
                    await asyncio.wait({copying})
                    copying.exception()
                    raise
        except (sqlite3.Error, SQLAlchemyError, OSError):
            # A disk that fails or is full is reported to those who write; here it is tried again
            pass
        finally:
            if left is not None and left < _COMMITS_COPY:
                await self._let_commits_copy(True)

    # the answer to the name's question
    async def _let_commits_copy(self, do_they: bool) -> None:  # noqa: FBT001
        if do_they != self._do_commits_copy:
            self._do_commits_copy = do_they
            await self._writes.run(self.prepare)


def _checkpoint(connection: sqlite3.Connection) -> int:
    """Copy what can be copied while others read and write, cut the log if that was all, and return
    how many pages are left.
    """
    _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages == copied:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return int(pages - copied)
