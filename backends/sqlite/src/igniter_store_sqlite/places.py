"""Where a file is: on a disk of this machine, or on one that is reached over a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

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
