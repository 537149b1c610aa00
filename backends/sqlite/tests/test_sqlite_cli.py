"""The command line on a file: its path is enough, and processes share the file."""

# no clause: the contract doesn't cover the command line.

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IGNITER_STORE_URL", raising=False)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("url", ["state.db", "./a folder/100% #1.sqlite3", "sqlite:///state.db"])
def test_file_path_is_accepted_as_url(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a folder").mkdir()
    assert main(["set", "greeting", '{"text": "hello"}', "--url", url]) == 0
    assert answer(capsys, "get", "greeting", "--url", url)["value"] == {"text": "hello"}
    assert (tmp_path / url.removeprefix("sqlite:///")).is_file()


@pytest.mark.parametrize(
    "url", ["redis:localhost", "me:hush@host/state.db", "localhost:6379", "nothing"]
)
def test_url_that_names_no_database_creates_no_file(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ping", "--url", url]) == 1
    assert "hush" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_backup_is_independent_of_later_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["set", "greeting", '"hello"', "--url", "state.db"])
    assert answer(capsys, "backup", "copy.db", "--url", "state.db") == {
        "path": "copy.db",
        "bytes": (tmp_path / "copy.db").stat().st_size,
    }
    main(["set", "greeting", '"later"', "--url", "state.db"])

    assert answer(capsys, "get", "greeting", "--url", "copy.db")["value"] == "hello"


def test_backup_of_memory_backend_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "copy.db", "--url", "memory://"]) == 2
    assert "isn't a file" in capsys.readouterr().err


def test_unopenable_file_prints_one_line_with_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ping", "--url", "none/state.db"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "none/state.db" in line
    assert "folder" in line


def test_demo_on_a_file_uses_several_processes() -> None:
    command = [
        sys.executable,
        "-m",
        "igniter_store_cli",
        "demo",
        "--url",
        "demo.db",
        "--only",
        "flash-sale",
        "--json",
    ]
    # our own command
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    document = json.loads(shown.stdout)

    assert (document["ok"], document["backend"], document["processes"]) == (True, "sqlite", 4), (
        shown.stderr
    )
    assert main(["scan", "--url", "demo.db"]) == 0
