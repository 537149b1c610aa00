"""`igniter-store ttl`: prints the remaining lifetime of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store_cli.command import Commands, add_command, add_store_options
from igniter_store_cli.failures import FAILED
from igniter_store_cli.opening import opened_store, place_of
from igniter_store_cli.output import key_argument

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "ttl",
        run,
        help="how long a key has still to live",
        description="Print the seconds that KEY has left, or that it stays. Exit code 1 when "
        "there is no such key.",
        example="  igniter-store ttl session:9\n  41.873 s",
    )
    parser.add_argument(
        "key", metavar="KEY", type=key_argument, help="the key within the service and scope"
    )
    add_store_options(parser)


async def run(options: Namespace, output: Output) -> int:
    """Print the time to live."""
    async with opened_store(options, output) as store:
        seconds = await store.kv.ttl(options.key)
        # `kv.ttl` returns None both for a key without a TTL and for a missing key.
        is_there = seconds is not None or await store.kv.exists(options.key)
    if not is_there:
        output.note(f"no key {options.key!r} in {place_of(options)}")
    answer = (
        "" if not is_there else "no TTL: the key stays" if seconds is None else f"{seconds:.3f} s"
    )
    output.answer(
        {"key": options.key, "found": is_there, "ttl": seconds},
        lambda console: console.print(answer) if is_there else None,
    )
    return 0 if is_there else FAILED
