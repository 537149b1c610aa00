"""What people see of the tour where rich is not installed: the same words as plain text.

Rules as in `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from igniter_store.cli.output import table, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.cli.demo.orders import Orders
    from igniter_store.cli.demo.stage import Check
    from igniter_store.cli.demo.tour import Outcome
    from igniter_store.cli.output import Screen
    from igniter_store.store import Store

SHOWN: Final = 2  # keys of each namespace
_LISTED: Final = 4  # items of a list


def show_beginning(console: Screen, store: Store[str], orders: Orders, processes: int) -> None:
    """Say what the tour is about, and which lines of the file it leaves out."""
    crowd = f", with callers in {processes} processes" if processes > 1 else ""
    console.print(f"igniter-store demo on {store.adapter.name}, as service {store.service}{crowd}")
    console.print(
        f"{len(orders.accepted)} orders of {len(orders.customers)} customers in {len(orders.organizations)} organizations, "
        f"from {orders.source}"
    )
    if orders.rejected:
        console.print(f"{len(orders.rejected)} orders of the file are rejected:")
        for rejected in orders.rejected:
            console.print(visible(f"  line {rejected.line}, {rejected.order.id}: {rejected.reason}"))


def show_outcome(console: Screen, number: int, outcome: Outcome) -> None:
    """Show one play."""
    console.print()
    console.print(f"{number}. {outcome.play.name}  {outcome.play.claim}")
    for check in outcome.checks:
        console.print(f"   {_verdict(ok=check.ok)}  {_told(check)}")
    if outcome.error is not None:
        console.print(f"   {_verdict(ok=False)}  {visible(outcome.error)}")
    console.print(f"   on the wire ({len(outcome.keys)}):" if outcome.keys else "   nothing on the wire")
    for keys in by_namespace(outcome.keys):
        for key in keys[:SHOWN]:
            console.print(f"     {visible(key)}")
        if len(keys) > SHOWN:
            console.print(f"     ... and {len(keys) - SHOWN} more like these")


def show_end(console: Screen, outcomes: Sequence[Outcome]) -> None:
    """Show what was proven."""
    console.print()
    rows = [(outcome.play.name, outcome.play.claim, outcome.measured or "-", _verdict(ok=outcome.ok)) for outcome in outcomes]
    table(console, ("play", "proven", "measured", ""), rows, "")
    checks = [check for outcome in outcomes for check in outcome.checks]
    failed = [outcome.play.name for outcome in outcomes if not outcome.ok]
    console.print(
        f"{sum(check.ok for check in checks)} of {len(checks)} checks held, in {sum(outcome.seconds for outcome in outcomes):.1f} s; "
        f"{sum(outcome.removed for outcome in outcomes)} keys were taken away again."
    )
    if failed:
        console.print(f"FAILED: {', '.join(failed)}")


def _verdict(*, ok: bool) -> str:
    return "ok    " if ok else "FAILED"


def _told(check: Check) -> str:
    if check.ok:
        return check.name if isinstance(check.found, bool) else f"{check.name}: {short(check.found)}"
    return f"{check.name}: expected {short(check.expected)}, found {short(check.found)}"


def short(value: Any) -> str:
    """What a check expected or found, on a part of a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {short(part)}" for name, part in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        items = [short(item) for item in cast("list[Any]", value)]
        return ", ".join(items if len(items) <= _LISTED else [*items[: _LISTED - 1], f"... {items[-1]} ({len(items)} in all)"])
    return visible(str(value))


def by_namespace(keys: Sequence[str]) -> list[list[str]]:
    """The keys in groups of those that are for the same."""
    # Three parts of a key are fixed: igniter, store and the service. Those of the scopes, the namespace and the first of the user's key
    # tell what the key is for.
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.rpartition(":")[0], []).append(key)
    return list(groups.values())
