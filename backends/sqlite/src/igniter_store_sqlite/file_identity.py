"""Where a file is: still there and the same, and on a disk of this machine or on one that is
reached over a network.

Rule: a file that can only be read is opened as one that nothing writes ("immutable") where SQLite
    has no other way: it can't make the two
files beside it that readers and writers share. Then SQLite looks at no lock, so whether something
has written is looked at here, before and after each transaction, and nothing that was read
meanwhile is handed out.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from igniter_store_sqlite.errors import changed, moved, unreadable

if TYPE_CHECKING:
    import sqlite3

_LONGEST: Final = 504  # bytes of a path that SQLite takes: it adds a suffix
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


class _Log(NamedTuple):
    """A log beside a database file that was looked at.

    Attributes:
        identity: its device and inode; `None` where there is none.
        size: bytes.
    """

    identity: tuple[int, int] | None
    size: int


class Place:
    """A file that was opened. Removed or replaced under who has it open, it would go on taking what
    nobody ever finds again.

    Args:
        path: of the file, which is there. It may be a link: one that leads somewhere else later is
            a file that was replaced.

    Attributes:
        identity: its device and inode; `None` if it was gone at once.
        is_frozen: whether it has to be checked again behind what was read.
        is_log_lost: whether the log beside it was removed or replaced: what is written would go to
            one that no other process reads.
    """

    is_frozen: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        self.is_log_lost = False
        self._path: Final = path
        self._log_path: Final = os.path.realpath(path) + "-wal"
        self._log: _Log | None = None
        self.identity: Final = self._look()

    def is_same(self, other: Place) -> bool:
        """Whether the other one is the same file."""
        return self.identity is not None and self.identity == other.identity

    def check(self) -> None:
        """Look whether the file is the one that was opened: some microseconds.

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED`: it isn't, so nothing may be read or
                written.
        """
        if self.is_log_lost or self._look() != self.identity:
            raise moved(self._path)

    def note_log(self, _: sqlite3.Connection) -> None:
        """In the thread of a connection that has read: this is the log beside it, unless another
        connection knows it.
        """
        if self._log is None:
            self._log = self._look_at_log()

    def forget_log(self) -> None:
        """In the thread of a connection that a fork closes: SQLite removes the log with the last
        one, and makes another.
        """
        self._log = None

    def size_of_log(self) -> int:
        """Look whether the log is still there, and return its bytes.

        SQLite itself removes none that is in use.
        """
        known, found = self._log, self._look_at_log()
        if (
            known is not None and known is self._log
        ):  # else connections were closed meanwhile, and the log with them
            self.is_log_lost = found.identity != known.identity
        return found.size

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path costs more than the look
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _look_at_log(self) -> _Log:
        try:
            found = os.stat(self._log_path)  # noqa: PTH116 - a Path costs more than the look
        except OSError:
            return _Log(None, 0)
        return _Log((found.st_dev, found.st_ino), found.st_size)


class FrozenPlace(Place):
    """A file that can only be read, and that nothing else writes as long as it is open.

    Raises:
        BackendUnavailable: `STORE_CONNECTION_FAILED`: there are changes in the log beside it, which
            SQLite wouldn't read.
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
            found = os.stat(self._path)  # noqa: PTH116 - a Path costs more than the look
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
    """Whether something else than a file is at `path`.

    SQLite would wait for ever for what a pipe has to say.
    """
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def can_only_be_read(path: str) -> bool:
    """Whether the file can be read, and nothing can be made beside it."""
    return os.access(path, os.R_OK) and not os.access(Path(os.path.realpath(path)).parent, os.W_OK)


def obstacle(path: str) -> str:
    """Why the file at `path` can't be opened, and what to do."""
    real = os.path.realpath(path)
    if len(os.fsencode(real)) > _LONGEST:
        return f"Its path exceeds the limit of SQLite, which is {_LONGEST} bytes. Choose a shorter path."
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return _no_entry(real, error)
    if stat.S_ISDIR(mode):
        return "The path is a folder. Choose the path of a file in it."
    if not stat.S_ISREG(mode):
        return "The path is a device, a pipe or a socket. Choose the path of a file."
    if not os.access(path, os.R_OK):
        return "This user isn't allowed to read it. Grant read and write permission for the file and its folder."
    return "SQLite can't create the two files beside it. Grant this user write permission for the folder."


def _no_entry(real: str, error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return "A part of its path is a file instead of a folder. Correct the path."
    if isinstance(error, PermissionError):
        return "This user isn't allowed to use its folder. Grant read and write permission, or choose another path."
    if not isinstance(error, FileNotFoundError):
        return f"The operating system reports: {error.strerror}. Correct the path."
    if not Path(real).parent.is_dir():
        return "Its folder doesn't exist. Create the folder; the store creates only the file."
    return "It doesn't exist, and this user can't create it. Grant write permission for the folder, or choose another path."


def network_of(path: str, mounts: str = "/proc/self/mounts") -> str | None:
    r"""The kind of network file system that `path` is on, as the system calls it; `None` for a
    local disk, or where it can't be told.

    Args:
        path: of a file, which needn't be there.
        mounts: where Linux lists what is mounted. On Windows a path that begins with `\\` is one of
            a network.
    """
    if sys.platform == "win32":
        # Path("//a/b") is another thing
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
