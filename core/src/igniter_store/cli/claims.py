"""`igniter-store claims`: who holds what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.cli.command import Commands, add_command, add_group, add_store_options
from igniter_store.cli.opening import opened_store
from igniter_store.cli.output import as_text, table

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store.cli.output import Output


def add(commands: Commands) -> None:
    """Declare the commands."""
    group = add_group(commands, "claims", help="who holds what")
    listing = add_command(
        group,
        "ls",
        ls,
        help="the claims that are held",
        description="List the claims that match PATTERN, with their owners. Each may have changed hands by the time you read it.",
        example="  igniter-store claims ls 'job:*' --service api",
    )
    listing.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="which claims (default: all)")
    add_store_options(listing)


async def ls(options: Namespace, output: Output) -> int:
    """List the claims."""
    found: dict[str, Any] = {}
    async with opened_store(options, output) as store:
        async for key in store.dev.iterate(options.pattern, namespace="claim"):
            owner = await store.claim.owner(key)
            if owner is not None:  # it may have been released since the scan saw it
                found[key] = owner
    rows = [(key, as_text(owner)) for key, owner in sorted(found.items())]
    output.answer(
        {"pattern": options.pattern, "claims": [{"key": key, "owner": owner} for key, owner in sorted(found.items())]},
        lambda console: table(console, ("claim", "owner"), rows, "No claim is held."),
    )
    return 0
