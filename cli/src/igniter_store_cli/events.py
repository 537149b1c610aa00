"""`igniter-store events`: publishes an event, or prints published events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from igniter_store_cli.command import (
    Commands,
    add_command,
    add_following_options,
    add_group,
    add_store_options,
)
from igniter_store_cli.opening import opened_store
from igniter_store_cli.output import as_text, visible
from igniter_store_cli.set import parsed

if TYPE_CHECKING:
    from argparse import Namespace

    from igniter_store.events.envelope import EventContext

    from igniter_store_cli.output import Output


def add(commands: Commands) -> None:
    """Declare the commands."""
    group = add_group(commands, "events", help="publish an event, or print published events")
    publishing = add_command(
        group,
        "publish",
        publish,
        help="publish an event",
        description="Send DATA to all current subscribers of EVENT in this service and scope. DATA "
        "is parsed as JSON if possible, and is text otherwise. The event isn't stored for later "
        "subscribers.",
        example="  igniter-store events publish user:created '{\"id\": 7}' --service api\n"
        "  1 subscriber received it",
    )
    publishing.add_argument("event", metavar="EVENT", help="the full name, such as user:created")
    publishing.add_argument(
        "data", metavar="DATA", help="JSON or text; put -- before it if it begins with a dash"
    )
    publishing.add_argument(
        "--string", action="store_true", help="treat DATA as text, even if it is valid JSON"
    )
    add_store_options(publishing)
    tailing = add_command(
        group,
        "tail",
        tail,
        help="print events as they arrive",
        description="Print each event that is published as EVENT from now on, with its time, "
        "until Ctrl-C. In a pattern, `*` matches anything, `?` one byte, and [ab] one of several. "
        "With --json each line is a JSON document.",
        example="  igniter-store events tail 'user:*' --service api\n"
        '  2026-01-31T12:00:00.000Z user:created {"id": 7}',
    )
    tailing.add_argument(
        "event", metavar="EVENT", nargs="?", default="*", help="a name or a pattern (default: all)"
    )
    add_following_options(tailing)
    add_store_options(tailing)


async def publish(options: Namespace, output: Output) -> int:
    """Publish the event."""
    data = options.data if options.string else parsed(options.data)
    async with opened_store(options, output) as store:
        receivers = await store.events.publish(options.event, data)
    subscribers = "1 subscriber" if receivers == 1 else f"{receivers} subscribers"
    output.answer(
        {"event": options.event, "receivers": receivers},
        lambda console: console.print(f"{subscribers} received it"),
    )
    return 0


async def tail(options: Namespace, output: Output) -> int:
    """Print events until the user stops the command."""
    async with opened_store(options, output) as store, store.events.listen(options.event) as events:
        output.note(f"listening to {visible(options.event)}")
        reported = 0
        async for event in output.followed(events, options):
            if events.gaps > reported:
                reported = events.gaps
                output.note("the connection was lost; events published meanwhile are missing")
            output.line(
                _document(event), f"{_time(event)} {visible(event.type)} {as_text(event.data)}"
            )
    return 0


def _time(event: EventContext[object]) -> str:
    return event.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _document(event: EventContext[object]) -> dict[str, object]:
    return {
        "type": event.type,
        "timestamp": _time(event),
        "data": event.data,
        "scopes": [structs.asdict(scope) for scope in event.scopes],
    }
