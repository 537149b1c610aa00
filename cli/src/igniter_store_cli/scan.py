"""`igniter-store scan`: lists the existing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store_cli.command import Commands, add_command, add_store_options
from igniter_store_cli.opening import opened_store
from igniter_store_cli.output import print_json, shown_key

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output

_NAMESPACES: Final = ("kv", "counter", "claim", "streams")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "scan",
        run,
        help="list the keys that match a pattern",
        description="List the keys that match PATTERN, one per line, in no particular order. `*` "
        "matches anything, `?` one byte, and [ab] one of several. Only keys of this service and "
        "scope are listed. The other commands accept the keys as printed: characters that a "
        "terminal can't show are escaped, for example as \\udcff.",
        example="  igniter-store scan 'user:*' --service api\n"
        "  igniter-store scan --namespace streams",
    )
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="*",
        help="pattern of the keys (default: all)",
    )
    parser.add_argument(
        "--namespace", choices=_NAMESPACES, default="kv", help="namespace of the keys (default: kv)"
    )
    add_store_options(parser)


async def run(options: Namespace, output: Output) -> int:
    """List the keys."""
    async with opened_store(options, output) as store:
        keys = store.dev.iterate(options.pattern, namespace=options.namespace)
        if output.as_json:
            # A scan may return a key twice if other keys change meanwhile. A program gets each key
            # once.
            found = dict.fromkeys([key async for key in keys])
            print_json(
                {"namespace": options.namespace, "pattern": options.pattern, "keys": list(found)}
            )
        else:
            async for key in keys:
                output.console.print(shown_key(key))
    return 0
