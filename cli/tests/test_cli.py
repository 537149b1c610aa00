"""The command line: the output of each command for people and for programs, and every exit code.

No command ever prints a secret.
"""

# no clause: the contract doesn't cover the command line.

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import metadata
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import backends
from igniter_store_cli import main, ping
from igniter_store_cli.program import parser
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from igniter_store.contract import Adapter

LIMIT = 60.0  # seconds; a busy machine takes some for an interpreter
SECRET = "hunter2"  # noqa: S105 - not a real password
COMMANDS = ("demo", "backends", "ping", "get", "set", "remove", "ttl", "scan", "backup")
GROUPED = (
    "events publish",
    "events tail",
    "streams append",
    "streams tail",
    "streams groups",
    "streams pending",
    "streams drop",
    "streams destroy",
    "claims ls",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IGNITER_STORE_URL", "IGNITER_STORE_SERVICE", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a database in memory that lasts from one command to the next.

    An open adapter keeps it alive.
    """
    url = "memory://command-line"
    keeper = MemoryAdapter.from_url(url)
    monkeypatch.setenv("IGNITER_STORE_URL", url)
    yield url
    del keeper


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return the JSON document that a command prints."""
    capsys.readouterr()
    main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_entry_point_is_main() -> None:
    (point,) = entry_points(group="console_scripts", name="igniter-store")

    assert point.load() is main


@pytest.mark.usefixtures("url")
def test_get_prints_the_value_of_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["set", "user:1", '{"name": "Zoë", "tags": [1, null]}']) == 0
    assert main(["get", "user:1"]) == 0

    wrote, _, got = capsys.readouterr().out.partition("\n")
    assert wrote == "wrote user:1"
    assert json.loads(got) == {"name": "Zoë", "tags": [1, None]}
    assert answer(capsys, "get", "user:1") == {
        "key": "user:1",
        "found": True,
        "value": {"name": "Zoë", "tags": [1, None]},
    }


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["7"], 7),
        (["-7.5"], -7.5),
        (["true"], True),
        (["null"], None),
        (['"7"'], "7"),
        (["7", "--string"], "7"),
        (["hello world"], "hello world"),
        (["{broken"], "{broken"),
        (["NaN"], "NaN"),
        ([""], ""),
        (["--", "--dashes"], "--dashes"),
    ],
)
@pytest.mark.usefixtures("url")
def test_set_parses_json_and_stores_other_text_unchanged(
    capsys: pytest.CaptureFixture[str], arguments: list[str], value: Any
) -> None:
    assert main(["set", "key", *arguments]) == 0

    assert answer(capsys, "get", "key") == {"key": "key", "found": True, "value": value}


@pytest.mark.usefixtures("url")
def test_get_prints_text_without_markup_or_wrapping(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "[red]" + "long " * 60 + "\ttab :smile: 10.0.0.1"
    main(["set", "key", text])
    capsys.readouterr()

    assert main(["get", "key"]) == 0
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.usefixtures("url")
def test_terminal_output_contains_no_escape_sequences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["set", "key", "\x1b[2Jgone\x07"])
    main(["set", "scanned\x1b[2J", "1"])
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then treats the output as a terminal
    capsys.readouterr()

    main(["get", "key"])
    main(["scan", "scanned*"])
    assert capsys.readouterr().out == "\\u001b[2Jgone\\u0007\nscanned\\u001b[2J\n"


@pytest.mark.parametrize("command", ["get", "ttl"])
@pytest.mark.usefixtures("url")
def test_get_and_ttl_fail_when_key_is_missing(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """The error message names the key and the service."""
    assert main([command, "missing"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("igniter-store: no key 'missing' in service 'default'\n")
    assert main([command, "missing", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["found"] is False


@pytest.mark.usefixtures("url")
def test_set_fails_without_writing_when_condition_is_unmet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["set", "key", "1", "--only-if", "present"]) == 1
    assert main(["set", "key", "1", "--only-if", "absent"]) == 0
    assert main(["set", "key", "2", "--only-if", "absent", "--json"]) == 1

    out, err = capsys.readouterr()
    assert json.loads(out.removeprefix("wrote key\n")) == {"key": "key", "written": False}
    assert "the key 'key' is missing" in err
    assert "the key 'key' is present" in err
    assert answer(capsys, "get", "key")["value"] == 1


@pytest.mark.usefixtures("url")
def test_ttl_distinguishes_expiring_and_permanent_keys(capsys: pytest.CaptureFixture[str]) -> None:
    main(["set", "short", "1", "--ttl", "60"])
    main(["set", "stays", "1"])

    assert 30 < answer(capsys, "ttl", "short")["ttl"] <= 60
    assert answer(capsys, "ttl", "stays") == {"key": "stays", "found": True, "ttl": None}
    assert main(["ttl", "short"]) == 0
    assert main(["ttl", "stays"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "no TTL: the key stays"


@pytest.mark.usefixtures("url")
def test_remove_prints_how_many_keys_it_removed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["set", "a", "1"])
    main(["set", "b", "1"])
    capsys.readouterr()

    assert main(["remove", "a", "a", "missing"]) == 0
    assert capsys.readouterr().out == "removed 1 of 2\n"
    assert answer(capsys, "remove", "b") == {"keys": ["b"], "removed": 1}
    assert answer(capsys, "scan")["keys"] == []


@pytest.mark.usefixtures("url")
def test_scan_lists_only_its_service_and_scope(capsys: pytest.CaptureFixture[str]) -> None:
    main(
        [
            "set",
            "user:1",
            "1",
            "--service",
            "api",
            "--scope",
            "organization=org_1",
            "--scope",
            "workspace=7",
        ]
    )
    main(["set", "user:2", "1", "--service", "api", "--scope", "organization=org_1"])
    main(["set", "user:3", "1", "--service", "web"])
    main(["set", "other", "1", "--service", "web"])

    scope = ("--service", "api", "--scope", "organization=org_1")
    assert answer(capsys, "scan", *scope)["keys"] == ["user:2"]
    assert answer(capsys, "scan", *scope, "--scope", "workspace=7")["keys"] == ["user:1"]
    assert answer(capsys, "scan", "user:*", "--service", "web")["keys"] == ["user:3"]
    assert answer(capsys, "scan", "--namespace", "streams", "--service", "web") == {
        "namespace": "streams",
        "pattern": "*",
        "keys": [],
    }


@pytest.mark.usefixtures("url")
def test_environment_sets_service_unless_option_is_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGNITER_STORE_SERVICE", "from-environment")
    main(["set", "key", "1"])

    assert answer(capsys, "get", "key", "--service", "from-environment")["found"] is True
    assert answer(capsys, "get", "key", "--service", "default")["found"] is False


@pytest.mark.parametrize(
    "arguments", [["get", "k"], ["set", "k", "1"], ["remove", "k"], ["ttl", "k"], ["scan"]]
)
def test_command_warns_when_data_is_only_in_memory(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    main([*arguments, "--json"])

    assert "exists only while this command runs" in capsys.readouterr().err


def test_ping_names_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping"]) == 0

    assert capsys.readouterr().out.startswith("memory answered in ")
    assert answer(capsys, "ping")["backend"] == "memory"


def test_version_option_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])

    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"igniter-store {metadata.version('igniter-store')}\n"


def test_backends_lists_installed_adapters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends"]) == 0

    assert "memory://" in capsys.readouterr().out
    (memory,) = [
        backend
        for backend in answer(capsys, "backends")["backends"]
        if backend["scheme"] == "memory"
    ]
    assert memory["distribution"].startswith("igniter-store-memory ")
    assert memory["capabilities"] == ["KeyValue", "Counters", "Claims", "PubSub", "Streams", "Scan"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["get"],
        ["get", "k", "--nope"],
        ["get", "k", "--serv", "abbreviated"],
        ["get", "k", "--scope", "organization"],
        ["get", "k", "--scope", "=1"],
        ["set", "k", "1", "--ttl", "soon"],
        ["set", "k", "1", "--only-if", "maybe"],
        ["scan", "--namespace", "nope"],
        ["demo", "--only", "nope"],
        ["demo", "--orders", "/nowhere/orders.jsonl"],
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "igniter-store: " in err


def test_store_error_is_one_line_or_json_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["set", "k", "1", "--ttl", "-1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("igniter-store: A TTL must be ")
    assert len(err.splitlines()) == 2  # the hint, and the error

    assert main(["set", "k", "1", "--ttl", "-1", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["operation"], error["backend"]) == (
        "STORE_TTL_INVALID",
        "kv.set",
        "memory",
    )


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["ping", "--url", f"nope://user:{SECRET}@host/0?token={SECRET}"],
        ["ping", f"--url=nope://user:{SECRET}@host"],
        ["ping", f"--uri=nope://user:{SECRET}@host"],
        ["ping", f"nope://user:{SECRET}@host"],
        ["ping", f"nope://user:a b {SECRET}@host"],
        [f"nope://user:it's {SECRET}@host"],
        ["ping", "--url", f"memory://user:{SECRET}@host"],
        ["demo", "--url", f"nope://user:{SECRET}@host"],
        ["demo", "--orders", f"nope://user:{SECRET}@host"],
        ["scan", "--namespace", f"nope://user:{SECRET}@host"],
    ],
)
def test_the_secrets_of_a_url_are_never_printed(
    capsys: pytest.CaptureFixture[str], arguments: list[str], as_json: list[str]
) -> None:
    assert main([*arguments, *as_json]) in {1, 2}

    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert out + err


def test_the_secrets_of_the_environment_are_never_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGNITER_STORE_URL", f"nope://user:{SECRET}@host")

    assert main(["ping"]) == 1
    for command in [*COMMANDS, *GROUPED]:
        with pytest.raises(SystemExit):
            main([*command.split(), "--help"])
    out, err = capsys.readouterr()
    assert SECRET not in out + err


class LeakyAdapter(MemoryAdapter):
    async def open(self) -> None:
        message = f"no route to nope://user:{SECRET}@host"
        raise RuntimeError(message)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_leaked_driver_error_prints_no_secret_or_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: list[str]
) -> None:
    def adapter_class(scheme: str) -> type[Adapter]:
        return LeakyAdapter

    monkeypatch.setattr(backends, "adapter_class", adapter_class)

    assert main(["get", "key", *as_json]) == 1
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert "Traceback" not in out + err
    assert "RuntimeError" in out + err


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_unexpected_error_is_printed_without_its_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: list[str]
) -> None:
    """The output names the type of the error instead."""

    async def broken(*_: object) -> int:
        message = f"no route to nope://user:{SECRET}@host"
        raise ExceptionGroup(message, [ValueError(message)])

    monkeypatch.setattr(ping, "run", broken)

    assert main(["ping", *as_json]) == 1
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert "ValueError" in out + err


@pytest.mark.parametrize("command", ["get", "ttl"])
@pytest.mark.usefixtures("url")
def test_missing_key_names_service_and_scope(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "x", "--service", "shop", "--scope", "org=1", "--scope", "team=7"]) == 1

    assert "no key 'x' in service 'shop', scope org=1, team=7" in capsys.readouterr().err


@pytest.mark.usefixtures("url")
def test_missing_key_names_service_of_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGNITER_STORE_SERVICE", "api")

    assert main(["get", "x"]) == 1
    assert "no key 'x' in service 'api'" in capsys.readouterr().err


def commands_of(of: Any, *words: str) -> Iterator[str]:
    """Yield every command of a parser, as its words."""
    groups: list[dict[str, Any]] = [
        action.choices for action in of._actions if hasattr(action.choices, "items")
    ]
    if not groups:
        yield " ".join(words)
    for group in groups:
        for word, command in group.items():
            yield from commands_of(command, *words, word)


def test_the_tests_list_every_command() -> None:
    assert sorted(commands_of(parser())) == sorted([*COMMANDS, *GROUPED])


def test_json_output_does_not_import_rich() -> None:
    check = (
        "import sys; from igniter_store_cli import main; main(['ping', '--json']); sys.exit('rich' "
        "in sys.modules)"
    )

    assert (
        # Our own command
        subprocess.run([sys.executable, "-c", check], check=False, capture_output=True).returncode  # noqa: S603
        == 0
    )


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPED])
def test_command_help_fits_80_columns_with_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"example:\n  igniter-store {command}" in out
    if command not in {"get", "events publish"}:  # their examples are lines to copy
        assert max(map(len, out.splitlines())) <= 80


def test_interrupt_exits_silently_with_code_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ping, "run", interrupted)

    assert main(["ping"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_demo_silently_with_code_130() -> None:
    process = started("demo", "--only", "leader", "--only", "presence")
    assert process.stdout is not None
    # After it follows the second use, which lasts for two seconds.
    assert any(line.startswith(b"1. leader") for line in process.stdout), "the demo ended"

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err) == (130, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that broke is an OSError there")
@pytest.mark.parametrize(
    "arguments", [["backends"], ["backends", "--json"], ["demo", "--only", "flash-sale"]]
)
def test_closed_output_pipe_prints_no_traceback(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    process = started(*arguments, stdout=write)
    os.close(write)

    assert (process.communicate(timeout=LIMIT)[1], process.returncode) == (b"", 1)


def test_python_m_igniter_store_works() -> None:
    process = started("ping", "--json")

    out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert json.loads(out)["backend"] == "memory"


def test_ascii_output_contains_only_ascii() -> None:
    out, err = started(
        "demo", "--only", "presence", "--json", PYTHONIOENCODING="ascii"
    ).communicate(timeout=LIMIT)
    text, _ = started("demo", "--only", "presence", PYTHONIOENCODING="ascii").communicate(
        timeout=LIMIT
    )

    assert err == b""
    assert (
        "Conceição Gonçalves" in json.loads(out.decode("ascii"))["plays"][0]["checks"][0]["found"]
    )
    assert b"1 fell silent" in text


def started(
    *arguments: str, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.Popen[bytes]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-m", "igniter_store_cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )


@pytest.mark.parametrize("option", [["--url", "memory://"], ["--url=memory://"], ["--json"]])
def test_options_before_the_command_are_refused_with_their_place(
    capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert main([*option, "get", "key"]) == 2
    assert f"write {option[0].partition('=')[0]} after the command" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["set", "key", "1", "--ttl", "1m"],
        ["events", "tail", "e", "--for", "5s"],
        ["streams", "pending", "s", "g", "--min-idle", "an hour"],
    ],
)
def test_time_with_unit_is_refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main(command) == 2
    assert "write a number of seconds without a unit" in capsys.readouterr().err
