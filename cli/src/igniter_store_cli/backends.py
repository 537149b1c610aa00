"""`igniter-store backends`: lists the installed adapters and their capabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from igniter_store.backends import installed
from igniter_store.contract import CAPABILITIES
from msgspec import structs

from igniter_store_cli.command import Commands, add_command
from igniter_store_cli.output import table

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store.backends import Backend
    from rich.console import Console

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    add_command(
        commands,
        "backends",
        run,
        help="list the installed backends and their capabilities",
        description="List the installed backends, each with its URL scheme, its distribution and "
        "its capabilities.",
        example="  igniter-store backends\n"
        "  igniter-store backends --json | jq -r '.backends[].scheme'",
    )


async def run(options: Namespace, output: Output) -> int:
    """List the backends."""
    del options
    found = installed()
    output.answer(
        {"backends": [structs.asdict(backend) for backend in found]},
        lambda console: _show(console, found),
    )
    return 0


def _show(console: Console, found: list[Backend]) -> None:
    if not found:
        console.print("No backend is installed. Run: pip install 'igniter-store[memory]'")
        return
    rows = [
        ("\n".join(brought.schemes), brought.distribution, brought.capabilities)
        for brought in _by_distribution(found)
    ]
    header = ("scheme", "distribution", "capabilities")
    table(console, header, rows, "", wrapped=header[1:])


@dataclass(frozen=True, slots=True)
class _Row:
    distribution: str
    capabilities: str
    schemes: list[str]


def _by_distribution(found: list[Backend]) -> list[_Row]:
    rows: dict[tuple[str, str], _Row] = {}
    for backend in found:
        capabilities = (
            "all"
            if len(backend.capabilities) == len(CAPABILITIES)
            else ", ".join(backend.capabilities) or "none"
        )
        row = rows.setdefault(
            (backend.distribution, capabilities), _Row(backend.distribution, capabilities, [])
        )
        row.schemes.append(f"{backend.scheme}://")
    return list(rows.values())
