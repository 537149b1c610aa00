"""Copies the database while it is in use.

Rule: the copy is written under a temporary name beside its destination and renamed once it is
    complete, so no reader ever finds a partial copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode, store_error
from sqlalchemy.exc import SQLAlchemyError

from igniter_store_sqlite.errors import NAME, is_busy

if TYPE_CHECKING:
    from igniter_store_sqlite.database import Database
    from igniter_store_sqlite.worker import Worker

_INTERRUPTIONS: Final = 3  # forks that may interrupt one copy
_AGAIN: Final = 0.01  # seconds before a copy that failed on a lock is retried


async def back_up(database: Database, path: str) -> None:
    """Copy `database` to `path`.

    Raises:
        BackendFailed: `STORE_OPERATION_FAILED`.
    """
    place = Path(path)
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
    try:
        async with database.on_the_side() as worker:
            await _copied(worker, draft, database)
        await asyncio.to_thread(_put_in_place, draft, place)
    except (sqlite3.Error, SQLAlchemyError, OSError) as error:
        message = (
            "Can't write the backup; the database is unchanged. Check that its folder exists, "
            "that this user can write in it, and that the disk has space."
        )
        raise store_error(ErrorCode.STORE_OPERATION_FAILED, message, backend=NAME) from error
    finally:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(draft.unlink, missing_ok=True)


async def _copied(worker: Worker, draft: Path, database: Database) -> None:
    # A fork interrupts the copy instead of waiting for it, and the copy starts over. This is
    # limited, so that the copy ends at some time. Like any call, the copy waits for a lock: another
    # process holds it briefly when it is the first to open the file, or the last to close it.
    until, interruptions = monotonic() + database.timeout, 0
    while True:
        worker.let_forks_interrupt(interruptions < _INTERRUPTIONS and not database.in_memory)
        copying = worker.run(partial(_copy, path=str(draft)))
        try:
            await asyncio.shield(copying)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                interruptions += 1
            elif not is_busy(error) or monotonic() > until:
                raise
            else:
                await asyncio.sleep(_AGAIN)
            await asyncio.to_thread(draft.unlink, missing_ok=True)
        else:
            return
        finally:
            # A thread can't be cancelled, and the file that it writes must be removed after it.
            await asyncio.wait({copying})


def _copy(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("VACUUM INTO ?", (path,))


def _put_in_place(draft: Path, place: Path) -> None:
    with draft.open("rb+") as copied:
        os.fsync(copied.fileno())
    draft.replace(place)
