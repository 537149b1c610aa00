"""Runs the conformance kit over the adapter, with a manual clock and in real time.

In real time, the kit also starts other processes and makes the folder unavailable.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import struct
from typing import IO, TYPE_CHECKING

import pytest
from igniter_store.contract import ManualClock, name_to_bytes
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_folder import FolderAdapter

if TYPE_CHECKING:
    from pathlib import Path


class _InAFolder(AdapterSuite):
    contract = "1"
    folder: Path

    @pytest.fixture(autouse=True)
    def _new_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "store"


class TestInMovedTime(_InAFolder):
    def harness(self) -> Harness:
        clock = ManualClock()
        return Harness(
            connect=lambda: FolderAdapter(self.folder, clock=clock), advance=clock.advance
        )


class TestInRealTime(_InAFolder):
    def harness(self) -> Harness:
        connect = functools.partial(FolderAdapter, self.folder, timeout=1.0)
        return Harness(connect=connect, server=_Disk(self.folder), oracle=_Bytes(self.folder))


class _Disk:
    """The counterpart of a server: a disk can be unmounted, and it can hang."""

    proxy = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._away = folder.with_name("away")
        self._holding: IO[bytes] | None = None

    async def stop(self) -> None:
        self._folder.rename(self._away)
        self._folder.touch()  # so that no process creates a new folder in its place

    async def kill(self) -> None:
        await self.stop()

    async def restart(self) -> None:
        if self._away.exists():
            self._folder.unlink()
            self._away.rename(self._folder)

    async def pause(self) -> None:
        self._holding = (self._folder / "lock").open("rb")
        fcntl.flock(self._holding, fcntl.LOCK_EX)

    async def resume(self) -> None:
        if self._holding is not None:
            self._holding.close()


class _Bytes:
    """Reads and writes the values in the files without the adapter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def peek(self, key: str) -> bytes | None:
        path = self._path(key)
        return path.read_bytes()[16 + len(name_to_bytes(key)) :] if path.exists() else None

    async def poke(self, key: str, value: bytes) -> None:
        name = name_to_bytes(key)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(struct.pack(">4sdI", b"isf1", float("inf"), len(name)) + name + value)

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(name_to_bytes(key)).hexdigest()
        return self._folder / digest[:2] / digest[2:]
