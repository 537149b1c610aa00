"""The demo proves its claims on a backend that works.

Each proof can fail, and the demo leaves nothing behind.
"""

# no clause: the contract doesn't cover the demo.

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from igniter_store import backends
from igniter_store.contract import Adapter, Affinity, ErrorCode, store_error
from igniter_store_cli import main
from igniter_store_cli.demo import concurrency, tour
from igniter_store_cli.demo.orders import parsed_orders, read_orders
from igniter_store_cli.demo.tour import PLAYS
from igniter_store_cli.demo.workers import Tasks
from igniter_store_cli.failures import CommandFailure
from igniter_store_memory import MemoryAdapter
from igniter_store_memory.claims import MemoryClaims
from igniter_store_memory.counters import MemoryCounters
from igniter_store_memory.keyvalue import MemoryKeyValue
from igniter_store_memory.pubsub import MemoryPubSub
from igniter_store_memory.streams import MemoryStreams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from igniter_store.contract import GapCallback, MessageCallback, StreamEntry, Subscription

pytestmark = pytest.mark.full


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IGNITER_STORE_URL", "IGNITER_STORE_SERVICE", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def use(monkeypatch: pytest.MonkeyPatch, adapter: Adapter) -> None:
    """Make every URL lead to `adapter`."""

    def from_url(url: str) -> Adapter:
        return adapter

    def adapter_class(scheme: str) -> type[Adapter]:
        return type(adapter)

    monkeypatch.setattr(type(adapter), "from_url", from_url)
    monkeypatch.setattr(backends, "adapter_class", adapter_class)


def played(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Return the exit code of the demo, and its JSON document."""
    code = main(["demo", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_every_play_proves_its_claim(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = played(capsys)

    assert code == 0
    assert document["ok"] is True
    assert [play["name"] for play in document["plays"]] == list(PLAYS)
    for play in document["plays"]:
        assert play["ok"] is True
        assert play["checks"]
        assert play["measured"]
        assert play["keys"]
        assert all(check["expected"] == check["found"] for check in play["checks"])
        assert all(key.startswith(f"igniter:store:{document['service']}:") for key in play["keys"])


def test_plays_report_expected_measurements_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    _, document = played(capsys, "--only", "flash-sale", "--only", "rate-limit")

    sale, limit = document["plays"]
    assert sale["measured"].startswith("50 of 50 sold, 150 refused")
    assert limit["measured"].startswith("100 of 500 passed")
    assert [
        len([key for key in sale["keys"] if f":{namespace}:" in key])
        for namespace in ("claim", "counter", "streams")
    ] == [200, 1, 1]


def test_demo_removes_only_its_own_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = MemoryAdapter()
    asyncio.run(adapter.set("igniter:store:api:kv:not-the-demo", b"1"))
    use(monkeypatch, adapter)

    code, document = played(capsys)

    assert code == 0
    assert sum(play["removed"] for play in document["plays"]) > 400
    asyncio.run(adapter.open())
    assert asyncio.run(adapter.scan("*", count=10_000)).keys == [
        "igniter:store:api:kv:not-the-demo"
    ]


def test_cancelled_demo_removes_its_keys() -> None:
    adapter = MemoryAdapter()

    async def cancelled() -> list[str]:
        store = tour.own_store(adapter)
        async with store:
            async with concurrency.meanwhile(first(store)):
                assert await concurrency.until_true(has_keys)
            return (await adapter.scan("*", count=10_000)).keys

    async def has_keys() -> bool:
        return bool((await adapter.scan("*")).keys)

    async def first(store: Any) -> None:
        async for _ in tour.perform(store, [PLAYS["presence"]], read_orders(None), Tasks()):
            pass

    assert asyncio.run(cancelled()) == []


@pytest.mark.parametrize("columns", ["80", "120"])
def test_report_in_file_fits_columns_without_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    from rich.cells import cell_len  # noqa: PLC0415 - the core's tests run without rich, too

    monkeypatch.setenv("COLUMNS", columns)

    assert main(["demo", "--only", "price-cache", "--only", "presence"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(cell_len, out.splitlines())) <= int(columns)
    assert not any(line.endswith(" ") for line in out.splitlines())
    assert "line 41, ord_10041: a quantity of 0 of filter-1kg" in out
    assert ":organization:org_aurora:kv:price:café-grão-500g" in out
    assert out.rstrip().endswith("keys were deleted.")


# Each adapter below breaks one clause of the contract, as some real backends do.


class RacyCounters(MemoryAdapter):
    """Reads, yields to other tasks, and writes."""

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        value = int(await self.get(key) or b"0")
        await asyncio.sleep(0)
        left = await self.ttl(key)
        await self.set(
            key,
            str(value + delta).encode(),
            ttl=ttl if left is None else left if left < 1e9 else None,
        )
        return value + delta


class ForgetfulCounters(MemoryAdapter):
    """Reports that it has counted, and sometimes hasn't."""

    calls = 0

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        self.calls += 1
        return await super().increment(key, delta if self.calls % 10 else 0, ttl=ttl)


class WindowsThatNeverEnd(MemoryAdapter):
    """Renews a counter's TTL with every step."""

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        value = await super().increment(key, delta)
        if ttl is not None:
            await self.expire(key, ttl)
        return value


class CountersWithoutTtl(MemoryAdapter):
    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta)


class RacyClaims(MemoryAdapter):
    """Checks, yields to other tasks, and acquires."""

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if await self.exists(key):
            return False
        await asyncio.sleep(0)
        return await self.set(key, owner, ttl=ttl)


class ClaimsThatAnyoneReleases(MemoryAdapter):
    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await self.delete([key]) > 0


class ClaimsThatAnyoneRenews(MemoryAdapter):
    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.expire(key, ttl)


class ClaimsWithoutTtl(MemoryAdapter):
    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner)


class TenantsThatMeet(MemoryAdapter):
    """Drops the scope, like a backend that truncates long keys."""

    async def get(self, key: str) -> bytes | None:
        return await super().get(unscoped(key))

    async def set(self, key: str, value: bytes, **options: Any) -> bool:
        return await super().set(unscoped(key), value, **options)

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget([unscoped(key) for key in keys])


class CacheThatForgets(MemoryAdapter):
    async def set(self, key: str, value: bytes, **options: Any) -> bool:
        return True


class KeysWithoutTtl(MemoryAdapter):
    async def set(self, key: str, value: bytes, **options: Any) -> bool:
        return await super().set(key, value)

    async def expire(self, key: str, ttl: float) -> bool:
        return await self.exists(key)


class KeysThatEndEarly(MemoryAdapter):
    async def expire(self, key: str, ttl: float) -> bool:
        return await super().expire(key, ttl / 2)


class DeafPatterns(MemoryAdapter):
    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await super().psubscribe("another:channel*", callback, on_gap=on_gap)


class LostEvents(MemoryAdapter):
    calls = 0

    async def publish(self, channel: str, payload: bytes) -> int:
        self.calls += 1
        return await super().publish(channel, payload) if self.calls % 100 else 0


class ChannelsThatOvertake(MemoryAdapter):
    """Delivers a message of one channel after later messages of other channels.

    The nodes of a cluster do the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, bytes]] = []

    def is_late(self, channel: str, payload: bytes) -> bool:
        return channel.endswith(":placed")

    async def publish(self, channel: str, payload: bytes) -> int:
        if not self.is_late(channel, payload):
            return await super().publish(channel, payload)
        self.kept.append((channel, payload))
        asyncio.get_running_loop().call_later(
            0.01, lambda: asyncio.ensure_future(self.publish_kept())
        )
        return 1

    async def publish_kept(self) -> None:
        await super().publish(*self.kept.pop(0))


class EventsOutOfSequence(ChannelsThatOvertake):
    """Delivers the first event of a channel after its second."""

    def is_late(self, channel: str, payload: bytes) -> bool:
        return b'"position":0' in payload


class NothingIsTakenOver(MemoryAdapter):
    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        return []


class NothingIsPending(MemoryAdapter):
    """Acknowledges for the consumer, so the messages of a dead consumer are lost."""

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        entries = await super().xreadgroup(stream, group, consumer, **options)
        await self.xack(stream, group, [entry.id for entry in entries])
        return entries


class WaitingListThatForgets(MemoryAdapter):
    async def xadd(self, stream: str, fields: Any, **options: Any) -> str:
        id = await super().xadd(stream, fields, **options)
        if stream.endswith("waiting:latte-art") and await self.xlen(stream) == 1:
            await self.xdel(stream, [id])
        return id


def unscoped(key: str) -> str:
    head, mark, rest = key.partition(":organization:")
    return head + rest[rest.index(":") :] if mark else key


@pytest.mark.parametrize(
    ("adapter", "play", "check"),
    [
        (TenantsThatMeet, "price-cache", "prices that another tenant sees"),
        (CacheThatForgets, "price-cache", "lookups that reached the catalogue, one for each price"),
        (KeysWithoutTtl, "price-cache", "a price is kept for at most 60 s"),
        (RacyCounters, "flash-sale", "pieces sold"),
        (ForgetfulCounters, "flash-sale", "tickets on the order list"),
        (RacyClaims, "flash-sale", "second clicks refused"),
        (RacyCounters, "rate-limit", "requests that passed"),
        (ForgetfulCounters, "rate-limit", "requests counted"),
        (WindowsThatNeverEnd, "rate-limit", "a window under constant load still ends"),
        (CountersWithoutTtl, "rate-limit", "a window under constant load still ends"),
        (RacyClaims, "leader", "leaders among ten workers"),
        (ClaimsThatAnyoneReleases, "leader", "another worker can't release it"),
        (ClaimsThatAnyoneRenews, "leader", "another worker can't renew it"),
        (ClaimsWithoutTtl, "leader", "the claim of a dead leader ends with its term"),
        (DeafPatterns, "events", "events received by the audit"),
        (LostEvents, "events", "events received by the subscribers of each kind"),
        (
            EventsOutOfSequence,
            "events",
            "orders whose items arrived in another order than they were packed",
        ),
        (NothingIsTakenOver, "chat", "questions pending at the end"),
        (NothingIsPending, "chat", "questions without an answer"),
        (KeysWithoutTtl, "presence", "a silent customer is gone"),
        (KeysThatEndEarly, "presence", "but not before the TTL of 0.8 s"),
        (RacyCounters, "enrolment", "seats given"),
        (RacyClaims, "enrolment", "second applications refused"),
        (WaitingListThatForgets, "enrolment", "students who are listed exactly once"),
    ],
)
def test_check_fails_when_backend_breaks_contract(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    adapter: type[MemoryAdapter],
    play: str,
    check: str,
) -> None:
    """Each broken adapter fails the check of the clause that it breaks."""
    monkeypatch.setattr(concurrency, "PATIENCE", 1.2)  # longer than the presence play's TTL
    use(monkeypatch, adapter())

    code, document = played(capsys, "--only", play)

    assert code == 1
    assert document["ok"] is False
    assert check in [
        failed["name"] for failed in document["plays"][0]["checks"] if not failed["ok"]
    ]


def test_events_play_allows_channels_to_overtake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, ChannelsThatOvertake())

    code, document = played(capsys, "--only", "events")

    assert (code, document["ok"]) == (0, True)


def test_failed_check_prints_expected_and_found_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, RacyCounters())

    assert main(["demo", "--only", "flash-sale"]) == 1
    out = capsys.readouterr().out
    assert "FAILED  pieces sold: expected 50, found 200" in out
    assert out.rstrip().endswith("FAILED: flash-sale")


class PartOfMemory(MemoryKeyValue, MemoryCounters, MemoryClaims, MemoryPubSub):
    """The capabilities that some providers' servers have: no streams, no scan."""

    name = "part"

    def __init__(self) -> None:
        cast("Any", MemoryAdapter).__init__(self)

    use = MemoryAdapter.use
    open = MemoryAdapter.open
    close = MemoryAdapter.close
    abandon = MemoryAdapter.abandon
    _affinity: Affinity
    _bind = cast("Any", MemoryAdapter)._bind
    ping = MemoryAdapter.ping

    @property
    def affinity(self) -> Affinity:
        return self._affinity


class MemoryWithoutScan(PartOfMemory, MemoryStreams):
    name = "unscanned"


def test_play_fails_without_traceback_when_capability_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, PartOfMemory())

    code, document = played(capsys, "--only", "chat", "--only", "leader")

    leader, chat = document["plays"]
    assert code == 1
    assert leader["ok"] is True
    assert chat["ok"] is False
    assert "STORE_CAPABILITY_UNSUPPORTED" in chat["error"]
    assert main(["demo", "--only", "chat"]) == 1
    assert "The backend doesn't support Streams" in " ".join(capsys.readouterr().out.split())


def test_demo_removes_its_keys_without_scan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without scan, the demo lists and removes the keys that it wrote."""
    adapter = MemoryWithoutScan()
    use(monkeypatch, adapter)

    code, document = played(capsys)

    assert code == 0
    assert all(play["keys"] for play in document["plays"])
    assert [len(play["keys"]) for play in document["plays"][:2]] == [28, 202]
    assert cast("Any", adapter)._data.values == {}


class GoneInTheMiddle(MemoryAdapter):
    calls = 0

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        self.calls += 1
        if self.calls > 20:
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, "The server went away.", backend="memory"
            )
        return await super().increment(key, delta, ttl=ttl)


def test_tour_continues_when_backend_fails_during_play(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, GoneInTheMiddle())

    code, document = played(capsys, "--only", "flash-sale", "--only", "presence")

    sale, presence = document["plays"]
    assert code == 1
    assert "The server went away" in sale["error"]
    assert "STORE_CONNECTION_FAILED" in sale["error"]
    assert presence["ok"] is True


ORDER = {
    "id": "ord_1",
    "organization": "org_1",
    "customer": {"id": "cus_1", "name": "Zoë"},
    "items": [{"sku": "mug", "name": "Mug", "quantity": 1, "unit_price": 990}],
    "currency": "EUR",
    "status": "delivered",
    "placed_at": "2024-05-17T06:00:00Z",
    "channel": "web",
}


def lines(*orders: object) -> bytes:
    return b"".join(json.dumps(order).encode() + b"\n" for order in orders)


def test_sample_is_varied_and_contains_impossible_orders() -> None:
    orders = read_orders(None)

    assert len(orders.accepted) + len(orders.rejected) == 300
    assert len(orders.customers) >= 200
    assert len(orders.customers) < len(orders.accepted)
    assert len(orders.organizations) == 6
    assert {order.status for order in orders.accepted} == {
        "placed",
        "paid",
        "shipped",
        "delivered",
        "cancelled",
    }
    assert len(orders.rejected) == 6


def test_demo_accepts_a_single_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + lines(ORDER).rstrip() + b"\r\n\r\n")  # as Windows writes it

    code, document = played(capsys, "--orders", str(file))

    assert code == 0, [play for play in document["plays"] if not play["ok"]]
    assert document["orders"] == {"source": "one.jsonl", "accepted": 1, "rejected": []}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json", "line 2: this isn't an order"),
        (b'{"id": "ord_2"}', "missing required field `organization`"),
        (lines({**ORDER, "status": "eaten"}).rstrip(), "at `$.status`"),
        (
            lines(
                {**ORDER, "items": [{"sku": "mug", "name": "", "quantity": "two", "unit_price": 1}]}
            ).rstrip(),
            "at `$.items[0].quantity`",
        ),
        (b'{"id": "\xff"}', "line 2"),
    ],
)
def test_malformed_order_ends_demo_with_line_number(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: bytes, words: str
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_bytes(lines(ORDER) + line + b"\n")

    assert main(["demo", "--orders", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "orders.jsonl, line 2: " in err
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (
            lines({**ORDER, "items": []}),
            "has no order to work with: all 1 are rejected, line 1 because of no items",
        ),
    ],
)
def test_demo_fails_when_file_has_no_usable_order(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_bytes(content)

    assert main(["demo", "--json", "--orders", str(file)]) == 1
    assert words in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_missing_file_is_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--orders", str(tmp_path / "nowhere.jsonl")]) == 2
    assert "nowhere.jsonl: No such file" in capsys.readouterr().err
    assert main(["demo", "--orders", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"items": []}, "no items"),
        (
            {"items": [{"sku": "mug", "name": "Mug", "quantity": 0, "unit_price": 1}]},
            "a quantity of 0 of mug",
        ),
        (
            {"items": [{"sku": "mug", "name": "Mug", "quantity": 1, "unit_price": -1}]},
            "a unit price of -1 for mug",
        ),
        ({"customer": {"id": "", "name": "?"}}, "an empty id of the customer"),
        ({"organization": ""}, "an empty id of the organization"),
        ({"id": "ord_1"}, "the repeated id ord_1"),
    ],
)
def test_impossible_order_is_rejected_with_its_line(change: dict[str, object], reason: str) -> None:
    orders = parsed_orders(
        lines(ORDER) + b"\n" + lines({**ORDER, "id": "ord_2", **change}), "orders.jsonl"
    )

    assert [(rejected.line, rejected.reason) for rejected in orders.rejected] == [(3, reason)]
    assert len(orders.accepted) == 1


def test_parsed_orders_raises_command_failure_when_malformed() -> None:
    with pytest.raises(CommandFailure, match="line 1"):
        parsed_orders(b"{", "orders.jsonl")
