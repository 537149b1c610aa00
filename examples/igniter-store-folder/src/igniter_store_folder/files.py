"""The files: one per key, and one lock for the folder.

    lock        held while reading or writing; the system releases it when its holder dies
    new         the record that is being written, until it is renamed in one step
    3f/a2c4...  a record: magic, deadline, length of the key, key, value

Rule: a record's name is the SHA-256 of its key, so that any key works on any file system. The
    record contains the key itself.
Rule: all methods except `make` and `locked` are called with the lock held.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import math
import os
import re
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from igniter_store.contract import ErrorCode, name_from_bytes, name_to_bytes, store_error

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from igniter_store.contract import Clock

_HEADER: Final = struct.Struct(">4sdI")
_MAGIC: Final = b"isf1"
_NAME: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Record(NamedTuple):
    """A key, its value, and the time at which it expires, in seconds since the epoch."""

    key: str
    value: bytes
    deadline: float = math.inf


def is_name(text: str) -> bool:
    """Return True when a record can have this name."""
    return _NAME.fullmatch(text) is not None


class Files:
    """The records in `folder`; `clock` decides which have expired.

    Attributes:
        changed: set to True when a record is stored or removed; callers reset it.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.changed: bool = False
        self._folder = folder
        self._lock = folder / "lock"
        self._new = folder / "new"

    def make(self) -> None:
        """Create the folder and its lock if they are missing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock.touch()

    @contextmanager
    def locked(self, until: float) -> Generator[None]:
        """Hold the lock, which excludes all other threads and processes.

        Raises `TimeoutError` when others still hold it at the time `until`, by `time.monotonic`.
        """
        # Opened anew each time: the lock belongs to the open file, which a forked process would
        # share.
        lock = os.open(self._lock, os.O_RDWR)
        try:
            while not _taken(lock):
                if time.monotonic() >= until:
                    raise TimeoutError(errno.ETIMEDOUT, "others held its lock all the time")
                time.sleep(0.001)
            yield
        finally:
            # Closing isn't enough when a fork has copied the open file meanwhile.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def load(self, key: str, *, whole: bool = True) -> Record | None:
        """Return the live record of `key`, without its value unless `whole`."""
        return self.load_named(_name(key), whole=whole)

    def load_named(self, name: str, *, whole: bool) -> Record | None:
        """Return the live record with this name; an expired one is removed."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                magic, deadline, length = _HEADER.unpack(file.read(_HEADER.size))
                key = name_from_bytes(file.read(length))
                value = file.read() if whole else b""
        except FileNotFoundError:
            return None
        except (struct.error, UnicodeDecodeError) as error:
            raise _damaged(name) from error
        if magic != _MAGIC:
            raise _damaged(name)
        if deadline <= self.clock():
            path.unlink()
            return None
        return Record(key, value, deadline)

    def store(self, record: Record) -> None:
        """Store `record` in place of the previous record of its key."""
        key = name_to_bytes(record.key)
        with self._new.open("wb") as file:
            file.writelines((_HEADER.pack(_MAGIC, record.deadline, len(key)), key, record.value))
        path = self._path(_name(record.key))
        path.parent.mkdir(exist_ok=True)
        self._new.replace(path)
        self.changed = True

    def remove(self, key: str) -> None:
        """Remove the record of `key`."""
        self._path(_name(key)).unlink()
        self.changed = True

    def names(self, after: str) -> Iterator[str]:
        """Yield the names of records that are greater than `after`, in order."""
        for shard in range(int(after[:2] or "0", 16), 256):
            begin = f"{shard:02x}"
            try:
                # creating a Path for each name is slow when there are millions
                rests = os.listdir(self._folder / begin)  # noqa: PTH208
            except FileNotFoundError:
                continue
            # Other files aren't the adapter's: a desktop or a backup created them.
            yield from sorted(
                name for rest in rests if (name := begin + rest) > after and is_name(name)
            )

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name[2:]


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(key: str) -> str:
    return hashlib.sha256(name_to_bytes(key)).hexdigest()


def _damaged(name: str) -> Exception:
    message = (
        "A file of the folder can't be read as a record: remove the file that the details name, "
        "or bring it back from a backup."
    )
    return store_error(
        ErrorCode.STORE_OPERATION_FAILED,
        message,
        backend="folder",
        details={"file": f"{name[:2]}/{name[2:]}"},
    )
