"""Store a value and read it back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import (
    Any,
)

from igniter_store import (
    JSON,
    ErrorCode,
    RecordingAdapter,
    Store,
    StoreError,
)
from igniter_store.backends import adapter_from_url

UTC_TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)


def store_of(serializer: Any = JSON) -> Any:
    return (
        Store.create()
        .with_adapter(RecordingAdapter(adapter_from_url("memory://")))
        .with_service("test")
        .with_serializer(serializer)
        .build()
    )


async def assert_back_or_refused(store: Any, value: Any) -> None:
    try:
        await store.kv.set("k", value)
    except StoreError as error:
        # Storing the value is right, too.
        assert error.code == ErrorCode.STORE_SERIALIZATION_FAILED  # noqa: PT017
        assert store.adapter.named("set") == []
        return
    back = await store.kv.get("k", type(value))
    # NaN equals nothing, itself included.
    assert back == value or "nan" in repr(value)
