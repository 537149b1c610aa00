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
        help="print the remaining time of a key",
        description="Print the seconds until KEY expires, or that it has no TTL. The exit code is "
        "1 if the key doesn't exist.",
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
        is_found = seconds is not None or await store.kv.exists(options.key)
    if not is_found:
        output.note(f"no key {options.key!r} in {place_of(options)}")
    answer = (
        "" if not is_found else "no TTL: the key stays" if seconds is None else f"{seconds:.3f} s"
    )
    output.answer(
        {"key": options.key, "found": is_found, "ttl": seconds},
        lambda console: console.print(answer) if is_found else None,
    )
    return 0 if is_found else FAILED
