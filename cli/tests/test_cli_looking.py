"""The commands that read and write events, streams and claims."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import Store
from igniter_store_cli import main
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a database in memory that lasts from one command to the next.

    An open adapter keeps it alive.
    """
    url = f"memory://command-line-{secrets.token_hex(4)}"
    keeper = MemoryAdapter.from_url(url)
    monkeypatch.setenv("IGNITER_STORE_URL", url)
    monkeypatch.setenv("IGNITER_STORE_SERVICE", "api")
    yield url
    del keeper


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the JSON document that a command prints."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def prepared(url: str, work: Callable[[Store[str]], Awaitable[Any]]) -> Any:
    """Run `work` in a store with the same data, and return its result."""

    async def run() -> Any:
        async with Store.from_url(url, service="api") as store:
            return await work(store)

    return asyncio.run(run())


def test_tail_prints_appended_messages_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [
        answer(capsys, "streams", "append", "orders", text)["id"]
        for text in ('{"id": 1}', "two", "3", '"4"')
    ]

    assert main(["streams", "tail", "orders", "--count", "4"]) == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed == [f'{ids[0]} {{"id": 1}}', f"{ids[1]} two", f"{ids[2]} 3", f"{ids[3]} 4"]


def test_tail_prints_newest_entries_until_time_limit(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        assert main(["streams", "append", "orders", str(number)]) == 0
    capsys.readouterr()

    assert main(["streams", "tail", "orders", "-n", "2", "--for", "0.05", "--json"]) == 0

    assert [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()] == [3, 4]
    assert main(["streams", "tail", "orders", "-n", "0", "--for", "0.05"]) == 0
    assert capsys.readouterr().out == ""


def test_missing_stream_is_printed_as_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["streams", "tail", "none", "--for", "0.01"]) == 0
    assert answer(capsys, "streams", "groups", "none") == {"stream": "none", "groups": []}
    assert main(["streams", "groups", "none"]) == 0
    assert capsys.readouterr().out == "There are no groups.\n"


def test_append_with_max_len_limits_the_stream(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """The limit is approximate, as in Redis: whole nodes of 100 entries are removed."""
    for number in range(120):
        answer(capsys, "streams", "append", "orders", str(number), "--max-len", "10")

    assert 10 <= prepared(url, lambda store: store.streams.length("orders")) < 110


def test_groups_and_pending_are_listed_without_changes(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> list[str]:
        group = store.streams.group("billing", "worker-1")
        await group.ensure("orders")
        ids = [await store.streams.append("orders", number) for number in range(3)]
        await group.read("orders", count=2)
        return ids

    ids = prepared(url, work)
    for _ in range(2):  # the second read returns the same
        (group,) = answer(capsys, "streams", "groups", "orders")["groups"]
        assert (group["name"], group["consumers"], group["pending"], group["lag"]) == (
            "billing",
            1,
            2,
            1,
        )
        pending = answer(capsys, "streams", "pending", "orders", "billing")["pending"]
        assert [
            (message["id"], message["consumer"], message["deliveries"]) for message in pending
        ] == [
            (ids[0], "worker-1", 1),
            (ids[1], "worker-1", 1),
        ]
    assert main(["streams", "pending", "orders", "billing"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "consumer", "idle", "seconds", "deliveries"]
    assert [row.split()[:2] for row in rows] == [[ids[0], "worker-1"], [ids[1], "worker-1"]]


def test_unknown_group_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["streams", "append", "orders", "1"]) == 0
    capsys.readouterr()

    assert main(["streams", "pending", "orders", "missing"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("igniter-store: ")
    assert "STORE_STREAM_GROUP_MISSING" in err


def test_claims_are_listed_with_their_owners(capsys: pytest.CaptureFixture[str], url: str) -> None:
    async def work(store: Store[str]) -> None:
        await store.claim.once("job:1", "worker-1", ttl=60)
        await store.claim.once("job:2", {"pid": 7}, ttl=60)
        await store.claim.once("other", "me", ttl=60)

    prepared(url, work)

    claims = answer(capsys, "claims", "ls", "job:*")["claims"]
    assert [(claim["key"], claim["owner"]) for claim in claims] == [
        ("job:1", "worker-1"),
        ("job:2", {"pid": 7}),
    ]
    assert all(0 < claim["ttl"] <= 60 for claim in claims)
    assert main(["claims", "ls", "job:2"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["claim", "owner", "ends", "in"]
    assert re.fullmatch(r'job:2 +\{"pid": 7\} +[0-9.]+ s *', row)
    assert main(["claims", "ls", "nothing"]) == 0
    assert capsys.readouterr().out == "No claim is held.\n"


def test_publish_reports_zero_subscribers(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "events", "publish", "user:created", '{"id": 7}') == {
        "event": "user:created",
        "receivers": 0,
    }
    assert main(["events", "publish", "user:created", "text"]) == 0
    assert capsys.readouterr().out == "0 subscribers received it\n"


def test_tail_ends_after_its_time_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "tail", "user:*", "--for", "0.05"]) == 0

    out, err = capsys.readouterr()
    assert out == ""
    assert "listening to user:*" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["streams"],
        ["streams", "tail"],
        ["streams", "tail", "orders", "--count", "-1"],
        ["streams", "tail", "orders", "-n", "some"],
        ["streams", "append", "orders", "1", "--max-len", "1.5"],
        ["events", "publish", "user:created"],
        ["claims", "drop"],
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2

    assert capsys.readouterr().err.startswith("usage: igniter-store")


def test_publish_refuses_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "publish", "user:*", "1"]) == 1

    assert "STORE_INVALID_EVENT_NAME" in capsys.readouterr().err


def test_stored_escape_sequences_are_not_printed(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> None:
        await store.claim.once("evil", "\x1b]0;owned\x07", ttl=60)
        await store.streams.append("orders", "\x1b[2J")

    prepared(url, work)

    assert main(["claims", "ls"]) == 0
    assert main(["streams", "tail", "orders", "--count", "1"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_undecodable_claim_is_listed_among_others(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> None:
        adapter: Any = store.adapter
        await store.claim.once("a", "w1")
        await adapter.set("igniter:store:api:claim:b", b"\xff")
        await store.claim.once("c", "w3")

    prepared(url, work)

    claims = answer(capsys, "claims", "ls")["claims"]
    assert [(claim["key"], claim["owner"]) for claim in claims] == [
        ("a", "w1"),
        ("b", None),
        ("c", "w3"),
    ]
    assert claims[1]["error"] == "STORE_DESERIALIZATION_FAILED"
    assert main(["claims", "ls"]) == 0
    assert "b      (can't be decoded)  never" in capsys.readouterr().out


def test_undecodable_entry_is_printed_among_others(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> list[str]:
        adapter: Any = store.adapter
        key = "igniter:store:api:streams:jobs"
        return [
            await store.streams.append("jobs", {"id": 1}),
            await adapter.xadd(key, {"data": b"{\xff\x1b", "kind": b"mail"}),
            await store.streams.append("jobs", {"id": 3}),
        ]

    first, bad, third = prepared(url, work)

    assert main(["streams", "tail", "jobs", "--count", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f'{first} {{"id": 1}}',
        f'{bad} (can\'t be decoded) {{"data": "{{\\\\xff\\u001b", "kind": "mail"}}',
        f'{third} {{"id": 3}}',
    ]
    assert main(["streams", "tail", "jobs", "--count", "3", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert documents[1] == {
        "id": bad,
        "message": None,
        "error": "STORE_DESERIALIZATION_FAILED",
        "fields": {"data": "{\\xff\x1b", "kind": "mail"},
    }
    assert documents[2] == {"id": third, "message": {"id": 3}}


def test_streams_are_dropped_and_groups_destroyed(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> None:
        await store.streams.group("billing", "c").ensure("orders")

    prepared(url, work)

    assert main(["streams", "destroy", "orders", "billing"]) == 0
    assert main(["streams", "destroy", "orders", "billing"]) == 1
    assert main(["streams", "drop", "orders"]) == 0
    assert main(["streams", "drop", "orders"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["removed the group billing of orders", "removed the stream orders"]
    assert err.splitlines()[-1] == "igniter-store: no stream 'orders' in service 'api'"
    assert main(["streams", "drop", "orders", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"stream": "orders", "removed": False}


def test_pending_list_is_narrowed_by_options(capsys: pytest.CaptureFixture[str], url: str) -> None:
    async def work(store: Store[str]) -> list[str]:
        one, two = (store.streams.group("g", name) for name in ("one", "two"))
        await one.ensure("s")
        ids = [await store.streams.append("s", number) for number in range(4)]
        await one.read("s", count=2)
        await two.read("s")
        return ids

    ids = prepared(url, work)

    def listed(*options: str) -> list[str]:
        return [
            message["id"]
            for message in answer(capsys, "streams", "pending", "s", "g", *options)["pending"]
        ]

    assert listed() == ids
    assert listed("--consumer", "two") == ids[2:]
    assert listed("--count", "1") == ids[:1]
    assert listed("--min-idle", "3600") == []


KEYS = [
    "caf\udce9",
    "\udcff\udcfe",
    "bell\x07",
    "new\nline",
    "\U000e0001tag",
    "back\\slash",
    "\\udcff",
    "\\\\udcff",
    "\\u005cudcff",
    "\\u0041",
    "\\U000e0001",
    "\u2028",
    "plain",
]


@pytest.mark.clause("SCN-8")
@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_printed_key_is_accepted_as_argument(
    key: str, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    async def work(store: Store[str]) -> None:
        await store.kv.set(key, "found")

    prepared(url, work)

    assert main(["scan"]) == 0
    printed = capsys.readouterr().out.removesuffix("\n")
    assert printed.isprintable()
    printed.encode()
    assert main(["get", printed]) == 0
    assert capsys.readouterr().out == "found\n"
    assert answer(capsys, "scan")["keys"] == [key]
    assert answer(capsys, "get", printed) == {"key": key, "found": True, "value": "found"}
    assert main(["ttl", printed]) == 0
    assert main(["remove", printed]) == 0
    assert capsys.readouterr().out.endswith("removed 1 of 1\n")


@pytest.mark.clause("SCN-8")
def test_json_of_key_of_any_bytes_is_valid(capsys: pytest.CaptureFixture[str], url: str) -> None:
    async def work(store: Store[str]) -> None:
        await store.kv.set("caf\udce9 é", 1)

    prepared(url, work)

    assert main(["scan", "--json"]) == 0
    text = capsys.readouterr().out
    text.encode()
    assert '"caf\\udce9 ' in text
