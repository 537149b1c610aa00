"""The conformance kit over the adapter: once with a clock that the kit moves, once in real time, where other processes take part."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import ManualClock
from igniter_store_conformance import AdapterSuite, Harness

from igniter_store_folder import FolderAdapter

if TYPE_CHECKING:
    from pathlib import Path


class _InAFolder(AdapterSuite):
    contract = "1"
    path: Path

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store"


class TestInMovedTime(_InAFolder):
    def harness(self) -> Harness:
        clock = ManualClock()
        return Harness(connect=lambda: FolderAdapter(self.path, clock=clock), advance=clock.advance)


class TestInRealTime(_InAFolder):
    def harness(self) -> Harness:
        return Harness(connect=functools.partial(FolderAdapter, self.path))
