"""From what goes wrong to `StoreError`s: one table of SQLite's result codes, and one translator.

Rule: an error of SQLite has rolled back the transaction that it came from, so nothing that is
    reported here may have been applied.
"""

from __future__ import annotations

import re
import sqlite3
from functools import partial
from typing import Final

from igniter_store.contract import ErrorCode, StoreError, errors, store_error

NAME: Final = "sqlite"

closed = partial(errors.closed, NAME)
not_connected = partial(errors.not_connected, NAME)
elsewhere = partial(errors.elsewhere, NAME)
inherited = partial(errors.inherited, NAME)
misconfigured = partial(errors.misconfigured, backend=NAME)
malformed_id = partial(errors.malformed_id, backend=NAME)
no_number = partial(errors.no_number, NAME)
group_missing = partial(errors.group_missing, NAME)

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED
_GONE: Final = ErrorCode.STORE_CONNECTION_FAILED

_READ_ONLY: Final = (
    "The database is read-only. Give this user write permission for the file and its folder, "
    "where SQLite creates two more files, or move them to a writable disk."
)

# SQLite's primary result code: the code, whether the same call may succeed later, and what to do.
_CODES: Final = {
    sqlite3.SQLITE_BUSY: (
        ErrorCode.STORE_TIMEOUT,
        True,
        ("Another connection holds the database lock. Retry."),
    ),
    sqlite3.SQLITE_LOCKED: (
        ErrorCode.STORE_TIMEOUT,
        True,
        ("Another connection holds a table lock of the database. Retry."),
    ),
    sqlite3.SQLITE_FULL: (
        _FAILED,
        True,
        "The disk of the database is full, so nothing was changed. Free some space, and retry.",
    ),
    sqlite3.SQLITE_IOERR: (
        _FAILED,
        True,
        "Reading or writing the database failed, so nothing was changed. Check that its disk works, and that no quota is exhausted.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        _FAILED,
        False,
        "The database file is corrupt. Keep a copy, then restore a backup, or save what is left with `sqlite3 FILE .recover`.",
    ),
    sqlite3.SQLITE_NOTADB: (
        ErrorCode.STORE_CONFIGURATION_INVALID,
        False,
        "The file isn't a SQLite database, or it is encrypted; it wasn't changed. Check the path.",
    ),
    sqlite3.SQLITE_READONLY: (
        _FAILED,
        False,
        _READ_ONLY,
    ),
    sqlite3.SQLITE_PERM: (
        _GONE,
        False,
        ("This user isn't allowed to use the database file. Grant it read and write permission."),
    ),
    sqlite3.SQLITE_CANTOPEN: (
        _GONE,
        True,
        (
            "Can't open the database file. Check that its folder exists, and that this user can "
            "write in it; the store doesn't create the folder."
        ),
    ),
    sqlite3.SQLITE_TOOBIG: (
        _FAILED,
        False,
        ("A value exceeds the limit of SQLite, which is one gigabyte. Store a smaller one."),
    ),
    sqlite3.SQLITE_NOMEM: (_FAILED, True, "SQLite is out of memory. Give the process more memory."),
    sqlite3.SQLITE_INTERRUPT: (
        _FAILED,
        True,
        "The statement was interrupted. Nothing was changed.",
    ),
}


_OTHER: Final = (_FAILED, False, "SQLite failed. Its error is in __cause__.")
_MISSING: Final = re.compile(
    r"no such (table|column): (\w+\.)?igniter_|table igniter_\w+ has no column"
)


def other_kind() -> StoreError:
    """A key that holds something else than what was asked for."""
    return store_error(
        _FAILED,
        ("The key holds another type of value. Use another key, or delete this one."),
        backend=NAME,
    )


def moved(path: str) -> StoreError:
    """The file that is open, or the log beside it, isn't under its name any more."""
    message = (
        f"{path}: The database file or its WAL was removed or replaced while in use, so nothing "
        "was changed: other processes would never see a write to the old file. Put it back, or "
        "close and open the store to use the new file."
    )
    return store_error(_GONE, message, backend=NAME)


def inherited_file(path: str) -> StoreError:
    """A file that this process can't use, since it was forked while another connection to it was
    open.
    """
    message = (
        f"{path}: The process was forked while another SQLite connection to this file was open, "
        "so SQLite's locks don't work here, and writes would be lost. Close that connection "
        "before the fork (`await engine.dispose()`), or start the process with spawn or "
        "forkserver."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=NAME)


def changed(path: str) -> StoreError:
    """A file that could only be read, and that nobody was to write, was written."""
    message = f"{path}: The database file was written while it was open read-only, so nothing was read. Close the store and open it again."
    return store_error(_GONE, message, backend=NAME)


def unreadable(path: str) -> StoreError:
    """A file whose newest changes stand in a log beside it that can't be read where nothing can be
    written.
    """
    message = (
        f"{path}: The database has changes in its WAL ({path}-wal), which SQLite can't read from "
        "a read-only place. Open the database once where it is writable, or copy both files "
        "there."
    )
    return store_error(_GONE, message, backend=NAME)


def read_only() -> StoreError:
    """A call that writes, on a database that was opened where it can only be read."""
    return store_error(_FAILED, _READ_ONLY, backend=NAME)


def cannot_be_written(why: str) -> StoreError:
    """A database that has to be written to be used at all, and can't be."""
    message = f"The database is read-only, and {why}. Open it once where this user can write it."
    return store_error(_FAILED, message, backend=NAME)


def locked(timeout: float) -> StoreError:
    """The database was locked by somebody else for as long as a call may take; it never began."""
    message = (
        f"Another process has held the database lock for more than {timeout:g} seconds, so "
        "nothing was changed. Retry, or find that process."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME)


def late(timeout: float, *, maybe_applied: bool) -> StoreError:
    """A call that began and didn't end in time."""
    message = f"The database didn't reply within {timeout:g} seconds. Check its disk, retry, or raise the adapter's timeout."
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=maybe_applied)


def is_busy(error: BaseException) -> bool:
    """Whether SQLite says that somebody else has the lock, and nothing else is wrong."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }


def is_read_only(error: BaseException) -> bool:
    """Whether SQLite says that the database can only be read."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_READONLY


def cannot_open(error: BaseException) -> bool:
    """Whether SQLite says that it can't open a file."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_CANTOPEN


def not_opened(path: str, why: str) -> StoreError:
    """A file that can't be opened, why, and what to do."""
    return store_error(
        _GONE, (f"{path}: Can't open the database file. {why}"), backend=NAME, retryable=True
    )


def failure(error: BaseException, path: str | None = None) -> BaseException:
    """The error for what went wrong, in the file of this path where there is one.

    What is no error of SQLite stays as it is.
    """
    if not isinstance(error, sqlite3.Error):
        return error
    code, retryable, message = _CODES.get(_primary(error), _OTHER)
    if _MISSING.match(str(error)):  # SQLite has no code of its own for that
        message = "The store's tables in the database were dropped or altered. Restore a backup, or delete the file to start over."
    if path is not None:
        message = f"{path}: {message}"
    failed = store_error(
        code, message, backend=NAME, retryable=retryable, details={"sqlite": _word(error)}
    )
    failed.__cause__ = error
    return failed


def _primary(error: sqlite3.Error) -> int:
    # The lower byte is the code, the rest says more of it. An error of the Python module itself has
    # none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _word(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
