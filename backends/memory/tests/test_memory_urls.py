"""`memory://` and `memory://name`, and the errors of other URLs."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import ConfigurationError, ErrorCode, ManualClock
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.clause("LIF-7")
async def test_adapters_with_one_name_share_data_and_messages() -> None:
    """Each adapter gets the other's writes and messages immediately."""
    one, other = (
        MemoryAdapter.from_url("memory://shared"),
        MemoryAdapter.from_url("memory://shared"),
    )
    heard: list[bytes] = []
    await other.subscribe("channel", lambda _channel, payload: heard.append(payload))

    await one.set("key", b"value")
    await one.publish("channel", b"message")

    assert await other.get("key") == b"value"
    assert heard == [b"message"]


async def test_different_or_private_databases_share_no_data() -> None:
    adapters = [
        MemoryAdapter.from_url(url)
        for url in ("memory://one", "memory://two", "memory://", "memory://")
    ]

    for number, adapter in enumerate(adapters):
        assert await adapter.set("key", b"%d" % number, only_if="absent")

    assert [await adapter.get("key") for adapter in adapters] == [b"0", b"1", b"2", b"3"]


@pytest.mark.clause("KV-3")
async def test_names_of_databases_are_exact() -> None:
    adapters = [
        MemoryAdapter.from_url(f"memory://{name}")
        for name in ("exact", "Exact", "exact%20", "%65xact")
    ]

    wrote = [await adapter.set("key", b"1", only_if="absent") for adapter in adapters]

    assert wrote == [True, True, True, False]


async def test_closing_one_adapter_leaves_its_namesake_open() -> None:
    one, other = (
        MemoryAdapter.from_url("memory://left-open"),
        MemoryAdapter.from_url("memory://left-open"),
    )
    heard: list[bytes] = []
    await one.subscribe("channel", lambda _channel, payload: heard.append(payload))
    await other.subscribe("channel", lambda _channel, payload: heard.append(payload))

    await one.close()

    assert await other.publish("channel", b"message") == 1
    assert heard == [b"message"]


async def test_a_named_database_ends_with_its_last_adapter() -> None:
    adapter = MemoryAdapter.from_url("memory://short-lived")
    await adapter.set("key", b"value")

    del adapter
    gc.collect()

    assert await MemoryAdapter.from_url("memory://short-lived").get("key") is None


async def test_url_may_set_max_keys() -> None:
    adapter = MemoryAdapter.from_url("memory://?max_keys=1")
    await adapter.set("a", b"1")

    await adapter.set("b", b"2")

    assert await adapter.mget(["a", "b"]) == [None, b"2"]


async def test_option_overrides_the_url() -> None:
    adapter = MemoryAdapter.from_url("memory://?max_keys=1", max_keys=2)
    await adapter.set("a", b"1")

    await adapter.set("b", b"2")

    assert await adapter.mget(["a", "b"]) == [b"1", b"2"]


async def test_name_in_use_accepts_same_options_or_none() -> None:
    clock = ManualClock()
    first = MemoryAdapter.from_url("memory://same", clock=clock, max_keys=5)
    await first.set("key", b"value")

    assert (
        await MemoryAdapter.from_url("memory://same", clock=clock, max_keys=5).get("key")
        == b"value"
    )
    assert await MemoryAdapter.from_url("memory://same").get("key") == b"value"


async def test_name_in_use_refuses_other_options() -> None:
    kept = MemoryAdapter.from_url("memory://other", max_keys=5)

    with pytest.raises(ConfigurationError) as caught:
        MemoryAdapter.from_url("memory://other", max_keys=6)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert kept.name == "memory"


@pytest.mark.parametrize(
    "make",
    [
        lambda: MemoryAdapter(max_keys=0),
        lambda: MemoryAdapter(max_keys=-1),
        lambda: MemoryAdapter(max_keys=True),
        # code without a type checker
        lambda: MemoryAdapter(max_keys=1.5),  # type: ignore[arg-type]
        lambda: MemoryAdapter(clock=5),  # type: ignore[arg-type]  # the same
        lambda: MemoryAdapter.from_url("memory://?max_keys=many"),
        lambda: MemoryAdapter.from_url("memory://?max_keys=0"),
        lambda: MemoryAdapter.from_url("memory://?maxkeys=5"),
        lambda: MemoryAdapter.from_url("memory://?hunter2"),
        lambda: MemoryAdapter.from_url("memory://?token=hunter2"),
        lambda: MemoryAdapter.from_url("memory://", max_key=5),
        lambda: MemoryAdapter.from_url("memory://name/path"),
        lambda: MemoryAdapter.from_url("memory://user:hunter2@name"),
        lambda: MemoryAdapter.from_url("memory://name:6379"),
        lambda: MemoryAdapter.from_url("redis://name"),
        lambda: MemoryAdapter.from_url("memory://user:hunter2@["),
        lambda: MemoryAdapter.from_url("memory://?max_keys=" + "9" * 5_000),
    ],
)
def test_invalid_url_or_option_error_hides_the_password(
    make: Callable[[], Any],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "hunter2" not in str(caught.value)
