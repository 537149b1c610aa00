"""The command line on a real server, with one process that listens while others write."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from igniter_store_conformance import servers

pytestmark = pytest.mark.full

LIMIT = 60.0


@pytest.fixture
def options() -> list[str]:
    return ["--url", servers.or_skip("valkey").url, "--service", f"cli-{secrets.token_hex(4)}"]


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(  # noqa: S603 - a command of this repository
        [sys.executable, "-m", "igniter_store_cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def run(*arguments: str) -> Any:
    process = start(*arguments, "--json")
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.mark.clause("PUB-9")
def test_tail_prints_events_of_another_process(options: list[str]) -> None:
    listening = start("events", "tail", "user:*", "--count", "2", "--json", *options)
    assert listening.stderr is not None
    assert "listening" in listening.stderr.readline()  # printed after the subscription

    assert run("events", "publish", "user:created", '{"id": 7}', *options)["receivers"] == 1
    assert run("events", "publish", "user:removed", "7", *options)["receivers"] == 1

    out, _ = listening.communicate(timeout=LIMIT)
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["type"], event["data"]) for event in events] == [
        ("user:created", {"id": 7}),
        ("user:removed", 7),
    ]
    assert listening.returncode == 0


def test_stream_tail_runs_until_ctrl_c(options: list[str]) -> None:
    first = run("streams", "append", "orders", "1", *options)["id"]
    following = start("streams", "tail", "orders", *options)
    assert following.stdout is not None
    assert following.stdout.readline() == f"{first} 1\n"

    second = run("streams", "append", "orders", '{"id": 2}', *options)["id"]
    assert following.stdout.readline() == f'{second} {{"id": 2}}\n'

    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=LIMIT)
    assert following.returncode == 130
    assert "Traceback" not in err
    assert run("streams", "groups", "orders", *options)["groups"] == []


@pytest.mark.parametrize(
    "command", [["streams", "tail", "orders"], ["events", "tail"], ["claims", "ls"]]
)
def test_unreachable_server_prints_one_line(command: list[str]) -> None:
    process = start(*command, "--url", "redis://me:hush-hush@127.0.0.1:1/0")
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert "STORE_CONNECTION_FAILED" in err
    assert "hush" not in err


def children_of(pid: int) -> list[int]:
    """The child processes of a process, and their children."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = dict(
                line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line
            )
            if int(lines["PPid"]) == pid:
                found += [int(lines["Pid"]), *children_of(int(lines["Pid"]))]
    return found


def test_demo_runs_in_several_processes(options: list[str]) -> None:
    url = options[:2]
    document = run("demo", *url)

    assert document["processes"] == 4
    assert [play["name"] for play in document["plays"] if not play["ok"]] == []
    assert len(document["plays"]) == 8
    with servers.or_skip("valkey").exchange() as exchange:
        assert exchange.ask("KEYS", "igniter:store:demo-*") == []


def test_demo_runs_when_no_process_can_start(options: list[str]) -> None:
    """A program that Python reads from its standard input calls the demo.

    A child process then has no file to start from.
    """
    program = (
        "from igniter_store_cli import main; "
        f"raise SystemExit(main(['demo', '--json', '--only', 'flash-sale', *{options[:2]!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-"],
        input=program,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_interrupted_demo_leaves_no_process_or_key(options: list[str]) -> None:
    for turn in range(3):
        playing = start("demo", *options[:2])
        assert playing.stdout is not None
        assert any("flash-sale" in line for line in playing.stdout), "the demo ended"
        children = children_of(playing.pid)
        assert len(children) >= 4
        playing.send_signal(signal.SIGINT)
        _, err = playing.communicate(timeout=LIMIT)
        assert playing.returncode == 130, f"turn {turn}: {err}"
        assert "Traceback" not in err
        # multiprocessing's resource tracker ends last, by itself
        until = time.monotonic() + LIMIT
        while left := [pid for pid in children if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < until, left
            time.sleep(0.01)
        with servers.or_skip("valkey").exchange() as exchange:
            assert exchange.ask("KEYS", "igniter:store:demo-*") == []


def test_demo_reports_a_lost_server() -> None:
    with servers.start("valkey") as server:
        playing = start(
            "demo",
            "--url",
            server.url,
            "--only",
            "flash-sale",
            "--only",
            "leader",
            "--only",
            "enrolment",
        )
        assert playing.stdout is not None
        assert any("flash-sale" in line for line in playing.stdout), "the demo ended"
        server.close()
        out, err = playing.communicate(timeout=LIMIT)
    assert playing.returncode == 1, err
    assert "FAILED: " in out
    assert "enrolment" in out.rpartition("FAILED: ")[2]
    assert "Can't reach" in out or "was lost" in out
    assert "Traceback" not in err


def test_demo_passes_on_a_cluster() -> None:
    with servers.start_cluster(servers.find_or_skip("valkey")) as cluster:
        url = "redis+cluster://" + ",".join(
            f"{node.address.host}:{node.port}" for node in cluster.primaries
        )

        document = run("demo", "--url", url)

    assert document["processes"] > 1
    assert [
        (play["name"], play["error"], [check for check in play["checks"] if not check["ok"]])
        for play in document["plays"]
        if not play["ok"]
    ] == []
    assert document["ok"] is True
