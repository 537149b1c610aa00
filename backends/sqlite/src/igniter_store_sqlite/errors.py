"""From what goes wrong to `StoreError`s: one table of SQLite's result codes, and one translator.

Rule: an error of SQLite has rolled back the transaction that it came from, so nothing that is reported here may have been applied.
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
    "The database can't be written, only read. Give this user the right to write the file and its folder, where SQLite keeps two files "
    "beside it, or move them to a disk that isn't read-only."
)

# SQLite's primary result code: the code, whether the same call may succeed later, and what to do.
_CODES: Final = {
    sqlite3.SQLITE_BUSY: (ErrorCode.STORE_TIMEOUT, True, "Somebody else keeps the database locked. Try again."),
    sqlite3.SQLITE_LOCKED: (ErrorCode.STORE_TIMEOUT, True, "Somebody else keeps a table of the database locked. Try again."),
    sqlite3.SQLITE_FULL: (
        _FAILED,
        True,
        "There is no room left for the database. Nothing was changed. Make room on its disk, and try again.",
    ),
    sqlite3.SQLITE_IOERR: (
        _FAILED,
        True,
        "The disk of the database failed to read or to write. Nothing was changed. Is it full, is a quota used up, is it broken?",
    ),
    sqlite3.SQLITE_CORRUPT: (
        _FAILED,
        False,
        "The database file is damaged. Keep a copy, and restore a backup, or save what it still has with `sqlite3 FILE .recover`.",
    ),
    sqlite3.SQLITE_NOTADB: (
        ErrorCode.STORE_CONFIGURATION_INVALID,
        False,
        "The file is no SQLite database, or it is encrypted. Is the path right? Nothing was changed.",
    ),
    sqlite3.SQLITE_READONLY: (
        _FAILED,
        False,
        _READ_ONLY,
    ),
    sqlite3.SQLITE_PERM: (_GONE, False, "The system doesn't allow this user to use the database file."),
    sqlite3.SQLITE_CANTOPEN: (
        _GONE,
        True,
        "The database file can't be opened. Is its folder there, and may this user write in it? The folder is not made by itself.",
    ),
    sqlite3.SQLITE_TOOBIG: (_FAILED, False, "A value is larger than SQLite takes, which is a gigabyte."),
    sqlite3.SQLITE_NOMEM: (_FAILED, True, "There is no memory left for SQLite."),
    sqlite3.SQLITE_INTERRUPT: (_FAILED, True, "The statement was interrupted. Nothing was changed."),
}


_OTHER: Final = (_FAILED, False, "SQLite refused; its own words are in __cause__.")
_MISSING: Final = re.compile(r"no such (table|column): (\w+\.)?igniter_|table igniter_\w+ has no column")


def other_kind() -> StoreError:
    """A key that holds something else than what was asked for."""
    return store_error(_FAILED, ("The key holds another type of value. Use another key, or delete this one."), backend=NAME)


def moved(path: str) -> StoreError:
    """The file that is open, or the log beside it, isn't under its name any more."""
    message = (
        f"{path}: The database file or the log beside it was removed or replaced while it was in use, so nothing was done: no other "
        "process would find what is written into the old one. Put it back, or close and open to use what is there now."
    )
    return store_error(_GONE, message, backend=NAME)


def inherited_file(path: str) -> StoreError:
    """A file that this process can't use, since it was forked while another connection to it was open."""
    message = (
        f"{path}: The process was forked while another SQLite connection to this file was open, so SQLite's locks don't work here and "
        "writes would be lost. Close that connection before the fork (`await engine.dispose()`), or start the process with spawn or "
        "forkserver."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=NAME)


def changed(path: str) -> StoreError:
    """A file that could only be read, and that nobody was to write, was written."""
    message = (
        f"{path}: Something has written the database file while it was open where it can only be read, so nothing was read. Close the "
        "store and open it again."
    )
    return store_error(_GONE, message, backend=NAME)


def unreadable(path: str) -> StoreError:
    """A file whose newest changes stand in a log beside it that can't be read where nothing can be written."""
    message = (
        f"{path}: The database has changes in the file beside it ({path}-wal), which SQLite can't read here, since it may write neither of "
        "them. Open the database once where it can be written, or copy both files to such a place."
    )
    return store_error(_GONE, message, backend=NAME)


def read_only() -> StoreError:
    """A call that writes, on a database that was opened where it can only be read."""
    return store_error(_FAILED, _READ_ONLY, backend=NAME)


def cannot_be_written(why: str) -> StoreError:
    """A database that has to be written to be used at all, and can't be."""
    message = f"The database can't be written, and {why}. Open it once where this user may write it."
    return store_error(_FAILED, message, backend=NAME)


def locked(timeout: float) -> StoreError:
    """The database was locked by somebody else for as long as a call may take; it never began."""
    message = f"Another process has kept the database locked for more than {timeout:g} seconds, so nothing was done. Try again, or find it."
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME)


def late(timeout: float, *, maybe_applied: bool) -> StoreError:
    """A call that began and didn't end in time."""
    message = (
        f"The database didn't answer within {timeout:g} seconds. Is its disk busy or gone? Try again, or give the adapter a longer timeout."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=maybe_applied)


def is_busy(error: BaseException) -> bool:
    """Whether SQLite says that somebody else has the lock, and nothing else is wrong."""
    return isinstance(error, sqlite3.Error) and _primary(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_read_only(error: BaseException) -> bool:
    """Whether SQLite says that the database can only be read."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_READONLY


def cannot_open(error: BaseException) -> bool:
    """Whether SQLite says that it can't open a file."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_CANTOPEN


def not_opened(path: str, why: str) -> StoreError:
    """A file that can't be opened, why, and what to do."""
    return store_error(_GONE, f"{path}: The database file can't be opened. {why}", backend=NAME, retryable=True)


def failure(error: BaseException, path: str | None = None) -> BaseException:
    """The error for what went wrong, in the file of this path where there is one. What is no error of SQLite stays as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    code, retryable, message = _CODES.get(_primary(error), _OTHER)
    if _MISSING.match(str(error)):  # SQLite has no code of its own for that
        message = "Something has dropped or altered the store's tables in the database. Restore a backup, or remove the file to begin anew."
    if path is not None:
        message = f"{path}: {message}"
    failed = store_error(code, message, backend=NAME, retryable=retryable, details={"sqlite": _word(error)})
    failed.__cause__ = error
    return failed


def _primary(error: sqlite3.Error) -> int:
    # The lower byte is the code, the rest says more of it. An error of the Python module itself has none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _word(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
