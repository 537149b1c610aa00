"""`igniter-store get`: prints the value under a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from igniter_store import json_text

from igniter_store_cli.command import Commands, add_command, add_store_options
from igniter_store_cli.failures import FAILED
from igniter_store_cli.opening import opened_store, place_of
from igniter_store_cli.output import key_argument, visible

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.console import Console

    from igniter_store_cli.output import Output

_MISSING: Final = object()  # None can't mark a missing key, since a stored null is a value


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "get",
        run,
        help="print the value under a key",
        description="Print the value under KEY: text unchanged, everything else as JSON. The exit "
        "code is 1 if the key doesn't exist.",
        example="  igniter-store get user:1 --url redis://localhost:6379/0 --service api --scope "
        "organization=org_1",
    )
    parser.add_argument(
        "key",
        metavar="KEY",
        type=key_argument,
        help="the key within the service and scope, as passed to store.kv.get",
    )
    add_store_options(parser)


async def run(options: Namespace, output: Output) -> int:
    """Print the value."""
    async with opened_store(options, output) as store:
        value = await store.kv.get(options.key, default=_MISSING)
    if value is _MISSING:
        output.note(f"no key {options.key!r} in {place_of(options)}")
        output.answer({"key": options.key, "found": False, "value": None}, lambda _: None)
        return FAILED
    output.answer(
        {"key": options.key, "found": True, "value": value}, lambda console: _show(console, value)
    )
    return 0


def _show(console: Console, value: Any) -> None:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:  # too deep for Python's encoder
        text = json_text.write(value, str).decode()
    if console.is_terminal:
        console.print(visible(text, keep="\n\t"))
    else:
        # Rich would treat tabs and carriage returns as layout; a file must get the exact text.
        console.file.write(f"{text}\n")
