"""The command line where rich is not installed: the same words as plain text."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import Store
from igniter_store.cli import main
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "memory://command-line-plain"
BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "rich":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from igniter_store.cli import main
sys.exit(main())
"""

COMMANDS: dict[str, tuple[list[str], int]] = {
    "backends": (["backends"], 0),
    "get": (["get", "user:1"], 0),
    "get text": (["get", "text"], 0),
    "get missing": (["get", "missing"], 1),
    "set": (["set", "new", "1"], 0),
    "set refused": (["set", "text", "1", "--only-if", "absent"], 1),
    "remove": (["remove", "nothing"], 0),
    "ttl": (["ttl", "text"], 0),
    "ttl missing": (["ttl", "missing"], 1),
    "scan": (["scan", "*t*"], 0),
    "events publish": (["events", "publish", "user:created", "1"], 0),
    "events tail": (["events", "tail", "--for", "0.01"], 0),
    "streams tail": (["streams", "tail", "jobs", "--count", "2"], 0),
    "streams groups": (["streams", "groups", "jobs"], 0),
    "streams groups none": (["streams", "groups", "missing"], 0),
    "streams pending": (["streams", "pending", "jobs", "g", "--min-idle", "3600"], 0),
    "streams drop": (["streams", "drop", "missing"], 1),
    "claims ls": (["claims", "ls"], 0),
    "version": (["--version"], 0),
    "help": (["--help"], 0),
    "help of a command": (["streams", "tail", "--help"], 0),
    "wrong command": (["nope"], 2),
    "wrong option": (["get", "user:1", "--nope"], 2),
    "wrong url": (["get", "user:1", "--url", "nope://x"], 1),
    "bad group": (["streams", "pending", "jobs", "missing"], 1),
}


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    keeper = MemoryAdapter.from_url(URL)
    monkeypatch.setenv("IGNITER_STORE_URL", URL)

    async def fill() -> None:
        async with Store.from_url(URL, service="default") as store:
            adapter: Any = store.adapter
            await adapter.delete_prefix("igniter:")
            await store.kv.set("user:1", {"name": "Avéry", "tags": [1, 2]})
            await store.kv.set("text", "a\tb [bold]c[/bold] :smile:")
            await store.kv.set("st\udcff", 1)
            await store.streams.append("jobs", {"id": 1})
            await adapter.xadd("igniter:store:default:streams:jobs", {"data": b"{"})
            await store.streams.group("g", "c").ensure("jobs")
            await store.claim.once("leader", {"b": 1, "a": 2})
            await store.claim.once("a longer name", "w")

    asyncio.run(fill())
    yield
    del keeper


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as end:  # argparse ends so after --help and --version
        code = int(str(end.code or 0))
    out, err = capsys.readouterr()
    ids = re.compile(r"\b1[0-9]{12}-[0-9]+\b")
    lines = [ids.sub("ID", line.rstrip()) for line in out.splitlines()]
    return code, "\n".join(lines), err


@pytest.mark.parametrize("command", COMMANDS)
def test_command_says_the_same_without_rich(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, expected = COMMANDS[command]
    with_rich = run(arguments, capsys)
    if command == "set":
        run(["remove", "new"], capsys)
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"] + ["rich", "rich.console", "rich.table"]:
        monkeypatch.setitem(sys.modules, name, None)

    without = run(arguments, capsys)

    assert without[0] == with_rich[0] == expected
    assert without == with_rich
    assert "rich" not in without[1].replace("enrich", "")


def test_plain_table_has_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert run(["claims", "ls"], capsys)[1].splitlines() == [
        "claim          owner             ends in",
        "a longer name  w                 never",
        'leader         {"a": 2, "b": 1}  never',
    ]


@pytest.mark.parametrize("arguments", [["ping"], ["demo", "--only", "flash-sale"], ["backends"], ["get", "missing"], ["--help"], ["nope"]])
def test_process_without_rich_works(arguments: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", BLOCKED, *arguments], check=False, capture_output=True, text=True, encoding="utf-8"
    )

    assert done.returncode == {"get": 1, "nope": 2}.get(arguments[0], 0), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout or arguments[0] in {"get", "nope"}


def test_plain_demo_says_what_was_proven(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    code, out, _ = run(["demo", "--only", "rate-limit", "--url", "memory://"], capsys)

    assert code == 0
    assert "1. rate-limit" in out
    assert re.search(r"[0-9]+ of [0-9]+ checks held", out)
    assert "\x1b" not in out
