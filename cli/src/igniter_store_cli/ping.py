"""`igniter-store ping`: measures the round trip to the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.store import Store

from igniter_store_cli.command import Commands, add_command, add_url_option
from igniter_store_cli.opening import chosen_url

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "ping",
        run,
        help="check that the backend answers",
        description="Ping the backend, and print how long the answer took. The exit code is 1 if "
        "the backend doesn't answer.",
        example="  igniter-store ping --url redis://localhost:6379/0\n  redis answered in 0.21 ms",
    )
    add_url_option(parser)


async def run(options: Namespace, output: Output) -> int:
    """Ping the backend."""
    async with Store.from_url(chosen_url(options), service="ping") as store:
        seconds = await store.ping()
        name = store.adapter.name
    output.answer(
        {"backend": name, "seconds": seconds},
        lambda console: console.print(f"{name} answered in {seconds * 1000:.2f} ms"),
    )
    return 0
