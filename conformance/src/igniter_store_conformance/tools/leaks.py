"""The threads and open files of this process."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import Final

_FILES: Final = Path("/proc/self/fd")


def threads() -> set[threading.Thread]:
    """Return this process's threads, except those of `asyncio.to_thread`.

    These end with the event loop.
    """
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def open_files() -> int:
    """Return the number of open file descriptors, or 0 if the system doesn't list them."""
    return len(list(_FILES.iterdir())) if _FILES.is_dir() else 0


class Resources:
    """The tasks of the running loop, and the threads and open files of this process."""

    def __init__(self) -> None:
        self._tasks = asyncio.all_tasks()
        self._threads = threads()
        self._files = open_files()

    def more(self) -> list[str]:
        """Return the tasks, threads and open files that were added after the object was created."""
        more = [
            repr(thing)
            for thing in (*(asyncio.all_tasks() - self._tasks), *(threads() - self._threads))
        ]
        files = open_files() - self._files
        return [*more, f"{files} open files"] if files > 0 else more

    async def left_after(self, limit: float) -> list[str]:
        """Wait until nothing was added, at most `limit` seconds, and return what is still left."""
        until = asyncio.get_running_loop().time() + limit
        while self.more() and asyncio.get_running_loop().time() < until:
            gc.collect()  # a traceback may keep the descriptor of a file open
            await asyncio.sleep(0.01)
        return self.more()
