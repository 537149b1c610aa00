"""A store with registered events."""

from __future__ import annotations

import pytest
from igniter_store import RecordingAdapter, Store

from .declarations import FLUENT


@pytest.fixture
def registered(igniter_recorder: RecordingAdapter) -> Store[str]:
    return (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT)
        .build()
    )
