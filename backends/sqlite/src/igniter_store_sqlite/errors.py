"""Translates SQLite's errors into `StoreError`s: a table of result codes, and one function.

Rule: SQLite's error rolled back its transaction, so no write of a failed call that is reported here
    can have been applied.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from igniter_store.contract import BackendErrors, ErrorCode, StoreError, store_error

NAME: Final = "sqlite"
ERRORS: Final = BackendErrors(NAME)

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED
_GONE: Final = ErrorCode.STORE_CONNECTION_FAILED

_READ_ONLY: Final = (
    "The database is read-only. Give this user write permission for the file and its folder, "
    "where SQLite creates two more files, or move them to a writable disk."
)

# By primary result code of SQLite: our error code, whether a retry may succeed, and the message.
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
        (
            "Reading or writing the database failed, so nothing was changed. Check that its disk "
            "works, and that no quota is exhausted."
        ),
    ),
    sqlite3.SQLITE_CORRUPT: (
        _FAILED,
        False,
        (
            "The database file is corrupt. Keep a copy, then restore a backup, or save what is "
            "left with `sqlite3 FILE .recover`."
        ),
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
    """The key holds another type of value than the call expects."""
    return store_error(
        _FAILED,
        ("The key holds another type of value. Use another key, or delete this one."),
        backend=NAME,
    )


def moved(path: str) -> StoreError:
    """The open file, or its WAL, no longer exists under its name."""
    message = (
        f"{path}: The database file or its WAL was removed or replaced while in use, so nothing "
        "was changed: other processes would never see a write to the old file. Put it back, or "
        "close and open the store to use the new file."
    )
    return store_error(_GONE, message, backend=NAME)


def inherited_file(path: str) -> StoreError:
    """The process was forked while another connection to the file was open.

    The file can't be used in this process.
    """
    message = (
        f"{path}: The process was forked while another SQLite connection to this file was open, "
        "so SQLite's locks don't work here, and writes would be lost. Close that connection "
        "before the fork (`await engine.dispose()`), or start the process with spawn or "
        "forkserver."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=NAME)


def connection_ended() -> StoreError:
    """The connection of a user's database in memory was closed, or its thread has ended."""
    message = (
        "The engine's only connection has ended, and with it its database in memory: the engine "
        "was disposed, or its process was forked, or its event loop was closed. Close the store, "
        "call `await engine.dispose()`, and open the store again; or use a new engine."
    )
    return store_error(_GONE, message, backend=NAME)


def changed(path: str) -> StoreError:
    """A file opened as immutable was written nevertheless."""
    message = (
        f"{path}: The database file was written while it was open read-only, so nothing was read. "
        "Close the store and open it again."
    )
    return store_error(_GONE, message, backend=NAME)


def unreadable(path: str) -> StoreError:
    """The newest changes are in a WAL that can't be read, because the place is read-only."""
    message = (
        f"{path}: The database has changes in its WAL ({path}-wal), which SQLite can't read from "
        "a read-only place. Open the database once where it is writable, or copy both files "
        "there."
    )
    return store_error(_GONE, message, backend=NAME)


def read_only() -> StoreError:
    """A call tried to write to a database that was opened read-only."""
    return store_error(_FAILED, _READ_ONLY, backend=NAME)


def cannot_be_written(why: str) -> StoreError:
    """The database must be written before it can be used, but it is read-only."""
    message = f"The database is read-only, and {why}. Open it once where this user can write it."
    return store_error(_FAILED, message, backend=NAME)


def locked(timeout: float) -> StoreError:
    """Another connection held the lock for the whole timeout; the call never began."""
    message = (
        f"Another process has held the database lock for more than {timeout:g} seconds, so "
        "nothing was changed. Retry, or find that process."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME)


def late(timeout: float, *, maybe_applied: bool) -> StoreError:
    """A call began, but didn't finish within the timeout."""
    message = (
        f"The database didn't reply within {timeout:g} seconds. Check its disk, retry, or raise "
        "the adapter's timeout."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=maybe_applied)


def is_busy(error: BaseException) -> bool:
    """Whether SQLite reports only that another connection holds the lock."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }


def is_read_only(error: BaseException) -> bool:
    """Whether SQLite reports that the database is read-only."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_READONLY


def cannot_open(error: BaseException) -> bool:
    """Whether SQLite reports that it can't open a file."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_CANTOPEN


def not_opened(path: str, why: str) -> StoreError:
    """The file can't be opened: the reason, and the cure."""
    return store_error(
        _GONE, (f"{path}: Can't open the database file. {why}"), backend=NAME, retryable=True
    )


def failure(error: BaseException, path: str | None = None) -> BaseException:
    """Translate an error, with the path of the file if there is one.

    An error that isn't SQLite's is returned unchanged.
    """
    if not isinstance(error, sqlite3.Error):
        return error
    code, retryable, message = _CODES.get(_primary(error), _OTHER)
    if _MISSING.match(str(error)):  # SQLite has no result code for this
        message = (
            "The store's tables in the database were dropped or altered. Restore a backup, or "
            "delete the file to start over."
        )
    if path is not None:
        message = f"{path}: {message}"
    failed = store_error(
        code, message, backend=NAME, retryable=retryable, details={"sqlite": _word(error)}
    )
    failed.__cause__ = error
    return failed


def _primary(error: sqlite3.Error) -> int:
    # The low byte is the primary code; the other bytes give detail. Errors raised by the sqlite3
    # module itself have no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _word(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
