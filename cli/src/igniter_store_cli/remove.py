"""`igniter-store remove`: deletes keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store_cli.command import Commands, add_command, add_store_options
from igniter_store_cli.opening import opened_store
from igniter_store_cli.output import key_argument

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "remove",
        run,
        help="remove keys",
        description="Remove all KEYs in one round trip, and print how many of them existed. A "
        "missing key isn't an error.",
        example="  igniter-store remove user:1 user:2\n  removed 2 of 2",
    )
    parser.add_argument(
        "keys",
        metavar="KEY",
        nargs="+",
        type=key_argument,
        help="a key within the service and scope",
    )
    add_store_options(parser)


async def run(options: Namespace, output: Output) -> int:
    """Remove the keys."""
    async with opened_store(options, output) as store:
        removed = await store.batch.remove(options.keys)
    asked = len(set(options.keys))
    output.answer(
        {"keys": options.keys, "removed": removed},
        lambda console: console.print(f"removed {removed} of {asked}"),
    )
    return 0
