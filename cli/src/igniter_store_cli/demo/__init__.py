"""`igniter-store demo`: eight real uses with real concurrency, which check their own claims."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igniter_store.backends import adapter_from_url

from igniter_store_cli.command import Commands, add_command, add_url_option
from igniter_store_cli.demo.orders import Orders, read_orders
from igniter_store_cli.demo.tour import PLAYS, PlayResult, own_store, perform
from igniter_store_cli.demo.workers import workers
from igniter_store_cli.failures import FAILED
from igniter_store_cli.opening import chosen_url
from igniter_store_cli.output import print_json

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store.store import Store

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "demo",
        run,
        help="run a tour of real uses that check themselves",
        description="Play eight real uses of a store with the orders of a coffee shop and "
        "hundreds of concurrent tasks: a price cache, a flash sale, a rate limit, leader "
        "election, typed events, a chat, presence, course enrolment. Each play checks its claim "
        "and shows its keys in their wire form. A table at the end lists the results. The exit "
        "code is 1 if a check failed. The demo runs in memory, or on the backend that --url "
        "names. If several processes can share that backend, buyers, applicants, requests and "
        "workers are spread over them. The demo uses its own service, and removes its keys at "
        "the end.\n\n"
        f"plays: {', '.join(PLAYS)}",
        example="  igniter-store demo\n"
        "  igniter-store demo --url redis://localhost:6379/0 --only flash-sale\n"
        "  igniter-store demo --url demo.db\n"
        "  igniter-store demo --json | jq '.plays[] | {name, ok, measured}'",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(PLAYS),
        help="run only this play; repeat it for several",
    )
    parser.add_argument(
        "--orders",
        metavar="FILE",
        type=_path,
        help="a file of orders, as JSON lines (default: a sample of 300 orders)",
    )
    add_url_option(parser)


async def run(options: Namespace, output: Output) -> int:
    """Perform the plays."""
    orders = read_orders(options.orders)
    plays = [play for name, play in PLAYS.items() if name in (options.only or PLAYS)]
    outcomes: list[PlayResult] = []
    url = chosen_url(options)
    async with own_store(adapter_from_url(url)) as store, workers(url, store) as crowd:
        if output.as_json:
            outcomes = [outcome async for outcome in perform(store, plays, orders, crowd)]
            print_json(_document(store, orders, outcomes, crowd.processes))
        else:
            # The module imports rich, which `--json` doesn't need.
            from igniter_store_cli.demo import report  # noqa: PLC0415

            report.show_beginning(output.console, store, orders, crowd.processes)
            async for outcome in perform(store, plays, orders, crowd):
                outcomes.append(outcome)
                report.show_outcome(output.console, len(outcomes), outcome)
            report.show_end(output.console, outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else FAILED


def _path(text: str) -> Path:
    if "://" in text:
        # Most likely the URL of a backend. A message about a missing file would repeat it with its
        # password.
        message = "expected the path of a file; use --url for the URL of a backend"
        raise ArgumentTypeError(message)
    return Path(text)


def _document(
    store: Store[str], orders: Orders, outcomes: list[PlayResult], processes: int
) -> dict[str, Any]:
    return {
        "backend": store.adapter.name,
        "service": store.service,
        "processes": processes,
        "orders": {
            "source": orders.source,
            "accepted": len(orders.accepted),
            "rejected": [
                {"line": order.line, "id": order.order.id, "reason": order.reason}
                for order in orders.rejected
            ],
        },
        "ok": all(outcome.ok for outcome in outcomes),
        "plays": [outcome.document() for outcome in outcomes],
    }
