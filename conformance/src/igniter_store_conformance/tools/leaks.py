"""The threads and open files of this process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

_FILES: Final = Path("/proc/self/fd")


def threads() -> set[threading.Thread]:
    """All of this process, but for those of `asyncio.to_thread`, which end with the event loop."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def open_files() -> int:
    """How many descriptors this process has, where the system shows them."""
    return len(list(_FILES.iterdir())) if _FILES.is_dir() else 0
