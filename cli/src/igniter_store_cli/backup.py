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
        help="copy a database file while it is in use",
        description="Write a copy of the whole database, as it is at one moment, while other "
        "programs use it. The copy is either complete or isn't created. It replaces an existing "
        "file. To restore it, stop all programs that use the database and put the copy in its "
        "place. The command supports backends that are a file; for a server, use its own tools.",
        example="  igniter-store backup state-today.db --url sqlite:///state.db\n"
        "  copied to state-today.db, 24,576 bytes",
    )
    parser.add_argument("path", metavar="PATH", help="the file to write the copy to")
    add_url_option(parser)


async def run(options: Namespace, output: Output) -> int:
    """Copy the database."""
    place = Path(options.path)
    async with Store.from_url(chosen_url(options), service="backup") as store:
        back_up: Any = getattr(store.adapter, "backup", None)
        if back_up is None:
            message = (
                f"Can't copy the {store.adapter.name} backend, because it isn't a file. Use the "
                "backup tools of the server instead."
            )
            raise CommandFailure(message, USAGE)
        await back_up(place)
    size = (await asyncio.to_thread(place.stat)).st_size
    output.answer(
        {"path": str(place), "bytes": size},
        lambda console: console.print(f"copied to {place}, {size:,} bytes"),
    )
    return 0
