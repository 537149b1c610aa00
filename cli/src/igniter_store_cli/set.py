"""`igniter-store set`: writes a value under a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from igniter_store_cli.command import Commands, add_command, add_store_options, seconds
from igniter_store_cli.failures import FAILED
from igniter_store_cli.opening import opened_store
from igniter_store_cli.output import key_argument, shown_key

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "set",
        run,
        help="write a value under a key",
        description="Write VALUE under KEY, replacing an existing value and its TTL. VALUE is "
        "parsed as JSON if possible, and is text otherwise: 7 is a number; '\"7\"', --string 7 and "
        "hello are text. With --only-if the value is written only if the condition holds at that "
        "moment. Otherwise the exit code is 1.",
        example="  igniter-store set greeting hello --ttl 60\n"
        '  igniter-store set user:1 \'{"name": "Avery"}\' --only-if absent',
    )
    parser.add_argument(
        "key", metavar="KEY", type=key_argument, help="the key within the service and scope"
    )
    parser.add_argument(
        "value", metavar="VALUE", help="JSON or text; put -- before it if it begins with a dash"
    )
    parser.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=seconds,
        help="time until the key expires (default: it never expires)",
    )
    parser.add_argument(
        "--only-if",
        choices=("absent", "present"),
        help="write only if the key is missing, or only if it exists",
    )
    parser.add_argument(
        "--string", action="store_true", help="treat VALUE as text, even if it is valid JSON"
    )
    add_store_options(parser)


async def run(options: Namespace, output: Output) -> int:
    """Write the value."""
    value = options.value if options.string else parsed(options.value)
    async with opened_store(options, output) as store:
        is_written = await store.kv.set(
            options.key, value, ttl=options.ttl, only_if=options.only_if
        )
    if not is_written:
        output.note(
            f"nothing was written: the key {options.key!r} is "
            f"{'present' if options.only_if == 'absent' else 'missing'}"
        )
    output.answer(
        {"key": options.key, "written": is_written},
        lambda console: console.print(f"wrote {shown_key(options.key)}") if is_written else None,
    )
    return 0 if is_written else FAILED


def parsed(text: str) -> Any:
    """Parse `text` as JSON, or return it unchanged if it isn't JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text
