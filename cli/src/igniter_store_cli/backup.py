"""`igniter-store backup`: copies a database file while it is in use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igniter_store.store import Store

from igniter_store_cli.command import Commands, add_command, add_url_option
from igniter_store_cli.failures import USAGE, CommandFailure
from igniter_store_cli.opening import chosen_url

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "backup",
        run,
        help="copy a database that is a file, while it is in use",
        description="Write a copy of the whole database, as it is at one moment, while others go "
        "on using it. The copy is complete or not there at all; it replaces a file that is there. "
        "To restore it, stop who uses the database and put the copy in its place. For backends "
        "that are a file; a server has its own ways.",
        example="  igniter-store backup state-today.db --url sqlite:///state.db\n"
        "  copied to state-today.db, 24,576 bytes",
    )
    parser.add_argument("path", metavar="PATH", help="where the copy shall be")
    add_url_option(parser)


async def run(options: Namespace, output: Output) -> int:
    """Copy the database."""
    place = Path(options.path)
    async with Store.from_url(chosen_url(options), service="backup") as store:
        back_up: Any = getattr(store.adapter, "backup", None)
        if back_up is None:
            message = (
                f"The {store.adapter.name} backend is no file, so there is nothing to copy. A "
                "server has ways of its own for that."
            )
            raise CommandFailure(message, USAGE)
        await back_up(place)
    size = (await asyncio.to_thread(place.stat)).st_size
    output.answer(
        {"path": str(place), "bytes": size},
        lambda console: console.print(f"copied to {place}, {size:,} bytes"),
    )
    return 0
