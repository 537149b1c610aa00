"""A copy of the database while it is in use.

Rule: the copy is made beside its place under another name, and takes its place once it is complete: nobody ever finds half of one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode, store_error
from sqlalchemy.exc import SQLAlchemyError

from igniter_store_sqlite.errors import NAME

if TYPE_CHECKING:
    from igniter_store_sqlite.database import Database

_INTERRUPTIONS: Final = 3  # that a copy puts up with


async def back_up(database: Database, path: str) -> None:
    """Copy `database` to `path`.

    Raises:
        BackendFailed: `STORE_OPERATION_FAILED`.
    """
    place = Path(path)
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
    try:
        async with database.on_the_side() as worker:
            for interruptions in itertools.count():
                # A fork interrupts the copy, rather than wait for it, and it begins anew; but not so often that it never ends.
                worker.let_forks_interrupt(interruptions < _INTERRUPTIONS and not database.in_memory)
                copying = asyncio.create_task(worker.run(partial(_copy, path=str(draft))))
                try:
                    await asyncio.shield(copying)
                    break
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                        raise
                    await asyncio.to_thread(draft.unlink, missing_ok=True)
                finally:
                    await asyncio.wait({copying})  # a thread can't be cancelled, and what it writes has to be removed behind it
        await asyncio.to_thread(_put_in_place, draft, place)
    except (sqlite3.Error, SQLAlchemyError, OSError) as error:
        message = (
            "The backup can't be written. Is its folder there, may this user write in it, and is there room? The database is as it was."
        )
        raise store_error(ErrorCode.STORE_OPERATION_FAILED, message, backend=NAME) from error
    finally:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(draft.unlink, missing_ok=True)


def _copy(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("VACUUM INTO ?", (path,))


def _put_in_place(draft: Path, place: Path) -> None:
    with draft.open("rb+") as copied:
        os.fsync(copied.fileno())
    draft.replace(place)
