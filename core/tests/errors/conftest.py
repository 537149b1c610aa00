"""The fixtures of the tests of errors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import Store

from .adapters import Bench
from .secret_values import Witness

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter


@pytest.fixture
def bench(igniter_recorder: RecordingAdapter, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(igniter_recorder, monkeypatch)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def watched(igniter_recorder: RecordingAdapter, witness: Witness) -> Any:
    """Return the builder of a store whose telemetry goes to `witness`."""
    return (
        Store.create().with_adapter(igniter_recorder).with_service("test").with_telemetry(witness)
    )


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return the records of every level."""
    caplog.set_level(logging.DEBUG)
    return caplog
