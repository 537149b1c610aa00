"""Prints the tour for people: each play with its checks and keys, then a table of the results.

Rule: A failed check shows the expected and the found value; a passed check shows only the found
    value.
Rule: Keys that differ in only one part are shown as a few examples and a number. Each example is
    complete, so that it can be copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from igniter_store_cli.output import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.store import Store
    from rich.console import Console, RenderableType

    from igniter_store_cli.demo.orders import Orders
    from igniter_store_cli.demo.stage import Check
    from igniter_store_cli.demo.tour import PlayResult

_SHOWN: Final = 2  # keys of each namespace
_LISTED: Final = 4  # items of a list


def show_beginning(console: Console, store: Store[str], orders: Orders, processes: int) -> None:
    """Print the subject of the tour, and the rejected lines of the file."""
    crowd = f", with callers in {processes} processes" if processes > 1 else ""
    _print(
        console,
        Text.assemble(
            ("igniter-store demo", "bold"),
            f" on {store.adapter.name}, as service {store.service}{crowd}",
        ),
    )
    _print(
        console,
        Text(
            f"{len(orders.accepted)} orders of {len(orders.customers)} customers in "
            f"{len(orders.organizations)} organizations, "
            f"from {orders.source}"
        ),
    )
    if orders.rejected:
        _print(
            console,
            Text(f"{len(orders.rejected)} orders of the file are rejected:", style="yellow"),
        )
        for rejected in orders.rejected:
            _print(
                console,
                Text(
                    visible(f"line {rejected.line}, {rejected.order.id}: {rejected.reason}"),
                    style="yellow",
                ),
                indent=2,
            )


def show_outcome(console: Console, number: int, outcome: PlayResult) -> None:
    """Print one play."""
    console.print()
    title = Table.grid(padding=(0, 1, 0, 0))
    title.add_row(
        Text(f"{number}.", style="cyan"),
        Text.assemble((outcome.play.name, "bold cyan"), "  ", (outcome.play.claim, "bold")),
    )
    _print(console, title)
    checks = Table.grid(padding=(0, 2, 0, 0))
    checks.add_column(no_wrap=True)
    checks.add_column()
    for check in outcome.checks:
        checks.add_row(_verdict(ok=check.ok), _described(check))
    if outcome.error is not None:
        checks.add_row(_verdict(ok=False), Text(visible(outcome.error), style="red"))
    _print(console, checks, indent=3)
    _print(
        console,
        Text(
            f"on the wire ({len(outcome.keys)}):" if outcome.keys else "nothing on the wire",
            style="dim",
        ),
        indent=3,
    )
    for keys in _by_namespace(outcome.keys):
        for key in keys[:_SHOWN]:
            _print(console, Text(visible(key), overflow="fold"), indent=5)
        if len(keys) > _SHOWN:
            _print(
                console,
                Text(f"... and {len(keys) - _SHOWN} more like these", style="dim"),
                indent=5,
            )


def show_end(console: Console, outcomes: Sequence[PlayResult]) -> None:
    """Print the table of results."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", show_lines=False
    )
    table.add_column("play", no_wrap=True)
    table.add_column("proven")
    table.add_column("measured")
    table.add_column("", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            Text(outcome.play.name),
            Text(outcome.play.claim),
            Text(visible(outcome.measured or "-")),
            _verdict(ok=outcome.ok),
        )
    _print(console, table)
    checks = [check for outcome in outcomes for check in outcome.checks]
    passed = sum(check.ok for check in checks)
    failed = [outcome.play.name for outcome in outcomes if not outcome.ok]
    seconds = sum(outcome.seconds for outcome in outcomes)
    removed = sum(outcome.removed for outcome in outcomes)
    _print(
        console,
        Text(
            f"{passed} of {len(checks)} checks passed in {seconds:.1f} s; {removed} keys were "
            "deleted."
        ),
    )
    if failed:
        _print(console, Text(f"FAILED: {', '.join(failed)}", style="bold red"))


def _print(console: Console, content: RenderableType, *, indent: int = 0) -> None:
    padded = Padding(content, (0, 0, 0, indent), expand=False)
    if console.is_terminal:
        console.print(padded, soft_wrap=False)
        return
    # Rich pads lines with spaces, which don't belong in a file.
    with console.capture() as captured:
        console.print(padded, soft_wrap=False)
    console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _verdict(*, ok: bool) -> Text:
    return Text("ok", style="green") if ok else Text("FAILED", style="bold red")


def _described(check: Check) -> Text:
    if check.ok:
        return (
            Text(check.name)
            if isinstance(check.found, bool)
            else Text.assemble(check.name, (f": {_short(check.found)}", "dim"))
        )
    return Text.assemble(
        check.name, (f": expected {_short(check.expected)}, found {_short(check.found)}", "red")
    )


def _short(value: Any) -> str:
    """Format an expected or found value for a part of a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {_short(part)}" for name, part in cast("dict[str, Any]", value).items()
        )
    if isinstance(value, list):
        items = [_short(item) for item in cast("list[Any]", value)]
        return ", ".join(
            items
            if len(items) <= _LISTED
            else [*items[: _LISTED - 1], f"... {items[-1]} ({len(items)} in all)"]
        )
    return visible(str(value))


def _by_namespace(keys: Sequence[str]) -> list[list[str]]:
    """Group the keys by their purpose."""
    # Three parts of a key are fixed: igniter, store and the service. The parts for the scopes, the
    # namespace and the first part of the user's key show its purpose.
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.rpartition(":")[0], []).append(key)
    return list(groups.values())
