"""Where a file is: still there and the same, and on a disk of this machine or on one that is reached over a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from igniter_store_sqlite.errors import moved

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


class Place:
    """A file that was opened. Removed or replaced under who has it open, it would go on taking what nobody ever finds again.

    Args:
        path: of the file, which is there.

    Attributes:
        identity: its device and inode; `None` if it was gone at once.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.identity = self._look()

    def check(self) -> None:
        """Look whether the file is the one that was opened: some microseconds.

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED`: it isn't, so nothing may be read or written.
        """
        if self._look() != self.identity:
            raise moved(self._path)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path costs more than the look
        except OSError:
            return None
        return found.st_dev, found.st_ino


def network_of(path: str, mounts: str = "/proc/self/mounts") -> str | None:
    r"""The kind of network file system that `path` is on, as the system calls it; `None` for a local disk, or where it can't be told.

    Args:
        path: of a file, which needn't be there.
        mounts: where Linux lists what is mounted. On Windows a path that begins with `\\` is one of a network.
    """
    if sys.platform == "win32":
        return "a share" if os.path.abspath(path).startswith("\\\\") else None  # noqa: PTH100 - Path("//a/b") is another thing
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    found, kind = "", ""
    for line in lines:
        _, point, this, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if len(point) >= len(found) and (place == point or place.startswith(point.rstrip("/") + "/")):
            found, kind = point, this
    return kind if kind in _NETWORKS else None
