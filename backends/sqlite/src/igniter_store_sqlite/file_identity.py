"""Identifies the database file: whether it is still the same, and whether its disk is local.

Rule: a read-only file is opened as "immutable" only if SQLite can't open it otherwise, because it
    can't create the two files beside it that readers and writers share. SQLite then ignores locks,
    so this module checks before and after each transaction whether the file was written. If it was,
    nothing that was read meanwhile is returned.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from igniter_store_sqlite.errors import changed, moved, unreadable

if TYPE_CHECKING:
    import sqlite3

_LONGEST: Final = 504  # bytes in the longest path that SQLite accepts; it adds a suffix
_NETWORKS: Final = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "fuse.sshfs",
    "fuse.glusterfs",
    "glusterfs",
    "lustre",
    "davfs",
}


class _Wal(NamedTuple):
    """The WAL beside a database file, as found.

    Attributes:
        identity: its device and inode; `None` if it is missing.
        size: in bytes.
    """

    identity: tuple[int, int] | None
    size: int


class FileIdentity:
    """The identity of an open file.

    If the file is removed or replaced while a connection has it open, the connection would go on
    writing to a file that no other process can open.

    Args:
        path: of the existing file. It may be a symbolic link; if the link points to another file
            later, the file counts as replaced.

    Attributes:
        identity: its device and inode; `None` if the file was removed at once.
        is_frozen: whether the file must be checked again after a read.
        is_log_lost: whether the WAL was removed or replaced; writes would go to a WAL that no other
            process reads.
    """

    is_frozen: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        self.is_log_lost: bool = False
        self._path: Final = path
        self._log_path: Final = os.path.realpath(path) + "-wal"
        self._log: _Wal | None = None
        self.identity: Final = self._look()

    def is_same(self, other: FileIdentity) -> bool:
        """Whether both are the same file."""
        return self.identity is not None and self.identity == other.identity

    def check(self) -> None:
        """Check that the path still leads to the opened file; this costs some microseconds.

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED` if it doesn't; nothing may be read or
                written.
        """
        if self.is_log_lost or self._look() != self.identity:
            raise moved(self._path)

    def note_log(self, _: sqlite3.Connection) -> None:
        """Remember the present WAL, unless another connection has already done so.

        It is called in the thread of a connection that has read.
        """
        if self._log is None:
            self._log = self._look_at_log()

    def forget_log(self) -> None:
        """Forget the WAL; called in the thread of a connection that a fork closes.

        SQLite removes the WAL with the last connection, and creates a new one later.
        """
        self._log = None

    def size_of_log(self) -> int:
        """Check whether the WAL still exists, and return its size in bytes.

        SQLite itself never removes a WAL in use.
        """
        known, found = self._log, self._look_at_log()
        # Otherwise connections were closed meanwhile, and SQLite removed the WAL with them.
        if known is not None and known is self._log:
            self.is_log_lost = found.identity != known.identity
        return found.size

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path costs more than the check
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _look_at_log(self) -> _Wal:
        try:
            found = os.stat(self._log_path)  # noqa: PTH116 - a Path costs more than the check
        except OSError:
            return _Wal(None, 0)
        return _Wal((found.st_dev, found.st_ino), found.st_size)


class FrozenFileIdentity(FileIdentity):
    """A read-only file that no other process writes as long as it is open.

    Raises:
        BackendUnavailable: `STORE_CONNECTION_FAILED`: the WAL has changes, which SQLite wouldn't
            read.
    """

    is_frozen: ClassVar[bool] = True

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._logs: Final = tuple(
            os.path.realpath(path) + suffix for suffix in ("-wal", "-journal")
        )
        self._content: Final = self._look_inside()
        if self._content is None:
            raise unreadable(path)

    def check(self) -> None:
        super().check()
        if self._look_inside() != self._content:
            raise changed(self._path)

    def _look_inside(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path costs more than the check
        except OSError:
            return None
        for log in self._logs:
            try:
                if os.stat(log).st_size:  # noqa: PTH116 - as above
                    return None
            except OSError:
                continue
        return found.st_size, found.st_mtime_ns


def is_no_file(path: str) -> bool:
    """Whether `path` exists and isn't a regular file.

    SQLite would block forever on a pipe.
    """
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def can_only_be_read(path: str) -> bool:
    """Whether the file is readable, and its folder isn't writable."""
    return os.access(path, os.R_OK) and not os.access(Path(os.path.realpath(path)).parent, os.W_OK)


def obstacle(path: str) -> str:
    """Why the file at `path` can't be opened, and the cure."""
    real = os.path.realpath(path)
    if len(os.fsencode(real)) > _LONGEST:
        return (
            f"Its path exceeds the limit of SQLite, which is {_LONGEST} bytes. Choose a shorter "
            "path."
        )
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return _no_entry(real, error)
    if stat.S_ISDIR(mode):
        return "The path is a folder. Choose the path of a file in it."
    if not stat.S_ISREG(mode):
        return "The path is a device, a pipe or a socket. Choose the path of a file."
    if not os.access(path, os.R_OK):
        return (
            "This user isn't allowed to read it. Grant read and write permission for the file and "
            "its folder."
        )
    return (
        "SQLite can't create the two files beside it. Grant this user write permission for the "
        "folder."
    )


def _no_entry(real: str, error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return "A part of its path is a file instead of a folder. Correct the path."
    if isinstance(error, PermissionError):
        return (
            "This user isn't allowed to use its folder. Grant read and write permission, or choose "
            "another path."
        )
    if not isinstance(error, FileNotFoundError):
        return f"The operating system reports: {error.strerror}. Correct the path."
    if not Path(real).parent.is_dir():
        return (
            f"Its folder doesn't exist. {_four_slashes(real)}Create the folder; the store creates "
            "only the file."
        )
    return (
        "It doesn't exist, and this user can't create it. Grant write permission for the folder, "
        "or choose another path."
    )


def _four_slashes(real: str) -> str:
    """Return the advice for `sqlite:///tmp/x.db`, which is a path in the working directory."""
    with contextlib.suppress(OSError, ValueError):  # no working directory, or on another drive
        meant = Path("/", os.path.relpath(real))
        if meant.parent != Path("/") and ".." not in meant.parts and meant.parent.is_dir():
            return f"If you mean {meant}, write four slashes: sqlite:///{meant}. Otherwise: "
    return ""


def network_of(path: str, mounts: str = "/proc/self/mounts") -> str | None:
    r"""Return the system's name of the network file system that `path` is on.

    It returns `None` for a local disk, and if the kind can't be determined.

    Args:
        path: of a file, which may be missing.
        mounts: the file in which Linux lists mounts. On Windows a path that begins with `\\` is on
            a network share.
    """
    if sys.platform == "win32":
        # Path("//a/b") would be a different path
        return "a share" if os.path.abspath(path).startswith("\\\\") else None  # noqa: PTH100
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    found, kind = "", ""
    for line in lines:
        _, point, this, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if len(point) >= len(found) and (
            place == point or place.startswith(point.rstrip("/") + "/")
        ):
            found, kind = point, this
    return kind if kind in _NETWORKS else None
