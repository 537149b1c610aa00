"""`igniter-store claims`: lists the held claims and their owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import SerializationError

from igniter_store_cli.command import Commands, add_command, add_group, add_store_options
from igniter_store_cli.opening import opened_store
from igniter_store_cli.output import as_text, shown_key, table

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store.store import Store

    from igniter_store_cli.output import Output

_UNDECODABLE: Final = "(can't be decoded)"


def add(commands: Commands) -> None:
    """Declare the commands."""
    group = add_group(commands, "claims", help="list claims and their owners")
    listing = add_command(
        group,
        "ls",
        ls,
        help="list the held claims",
        description="List the claims that match PATTERN, with their owners and the time until "
        "they expire. An owner may have changed by the time you read the list.",
        example="  igniter-store claims ls 'job:*' --service api",
    )
    listing.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="*",
        help="pattern of the claims (default: all)",
    )
    add_store_options(listing)


async def ls(options: Namespace, output: Output) -> int:
    """List the claims."""
    found: list[dict[str, Any]] = []
    async with opened_store(options, output) as store:
        # A scan may return a key twice if other keys change meanwhile.
        for key in sorted(
            {key async for key in store.dev.iterate(options.pattern, namespace="claim")}
        ):
            claim = await _claim(store, key)
            if claim is not None:
                found.append(claim)
    rows = [
        (
            shown_key(claim["key"]),
            _UNDECODABLE if "error" in claim else as_text(claim["owner"]),
            _left(claim["ttl"]),
        )
        for claim in found
    ]
    output.answer(
        {"pattern": options.pattern, "claims": found},
        lambda console: table(console, ("claim", "owner", "ends in"), rows, "No claim is held."),
    )
    return 0


async def _claim(store: Store[Any], key: str) -> dict[str, Any] | None:
    ttl = await store.claim.ttl(key)
    try:
        owner = await store.claim.owner(key)
    except SerializationError as error:  # from other software; the rest is still listed
        return {"key": key, "owner": None, "ttl": ttl, "error": str(error.code)}
    # The owner is None if the claim was released since the scan.
    return None if owner is None else {"key": key, "owner": owner, "ttl": ttl}


def _left(ttl: float | None) -> str:
    return "never" if ttl is None else f"{ttl:.3f} s"
