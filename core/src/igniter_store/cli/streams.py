"""`igniter-store streams`: append to a stream, follow it, and see how far its groups are.

Rule: looking changes nothing: no group, no consumer and no delivery comes of any of these commands but `append`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from igniter_store.cli.command import Commands, add_command, add_following_options, add_group, add_store_options, whole
from igniter_store.cli.opening import opened_store
from igniter_store.cli.output import as_text, table
from igniter_store.cli.set import parsed

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterator

    from igniter_store.cli.output import Output
    from igniter_store.namespaces.messages import StreamMessage
    from igniter_store.store import Store

_PAGE: Final = 500
_PAUSE: Final = 0.25  # seconds between two looks


def add(commands: Commands) -> None:
    """Declare the commands."""
    group = add_group(commands, "streams", help="append to a stream, follow it, and see how far its groups are")
    appending = add_command(
        group,
        "append",
        append,
        help="append a message",
        description="Append MESSAGE to STREAM and print its id. MESSAGE is JSON where it can be read as JSON, and text otherwise.",
        example="  igniter-store streams append orders '{\"id\": 7}' --service api\n  1700000000000-0",
    )
    appending.add_argument("stream", metavar="STREAM", help="the stream within the service and scope")
    appending.add_argument("message", metavar="MESSAGE", help="JSON, or text; put -- before one that begins with a dash")
    appending.add_argument("--string", action="store_true", help="take MESSAGE as text, whatever it looks like")
    appending.add_argument("--max-len", metavar="N", type=whole, help="drop the oldest beyond about so many")
    add_store_options(appending)
    tailing = add_command(
        group,
        "tail",
        tail,
        help="print messages as they come",
        description="Print the newest messages of STREAM, then those that are appended, until Ctrl-C. It takes nothing from any group. "
        "With --json each line is a document.",
        example='  igniter-store streams tail orders -n 2 --service api\n  1700000000000-0 {"id": 7}',
    )
    tailing.add_argument("stream", metavar="STREAM", help="the stream within the service and scope")
    tailing.add_argument("-n", "--last", metavar="N", type=whole, default=10, help="begin with the newest N (default: 10)")
    add_following_options(tailing)
    add_store_options(tailing)
    listing = add_command(
        group,
        "groups",
        groups,
        help="the groups of a stream",
        description="List the groups of STREAM: how many consumers each has, how many messages are pending, up to which it has read, and "
        "how many it has still to read, where the backend knows.",
        example="  igniter-store streams groups orders --service api",
    )
    listing.add_argument("stream", metavar="STREAM", help="the stream within the service and scope")
    add_store_options(listing)
    waiting = add_command(
        group,
        "pending",
        pending,
        help="what a group has taken and not acknowledged",
        description="List the messages of STREAM that GROUP has taken and not acknowledged: who has each, since how many seconds, and how "
        "often it was delivered.",
        example="  igniter-store streams pending orders billing --service api",
    )
    waiting.add_argument("stream", metavar="STREAM", help="the stream within the service and scope")
    waiting.add_argument("group", metavar="GROUP", help="the group")
    add_store_options(waiting)


async def append(options: Namespace, output: Output) -> int:
    """Append it."""
    message = options.message if options.string else parsed(options.message)
    async with opened_store(options, output) as store:
        added = await store.streams.append(options.stream, message, max_len=options.max_len)
    output.answer({"stream": options.stream, "id": added}, lambda console: console.print(added))
    return 0


async def tail(options: Namespace, output: Output) -> int:
    """Print messages until it is told to stop."""
    async with opened_store(options, output) as store:
        async for message in output.followed(_messages(store, options.stream, options.last), options):
            output.line({"id": message.id, "message": message.message}, f"{message.id} {as_text(message.message)}")
    return 0


async def groups(options: Namespace, output: Output) -> int:
    """List the groups."""
    async with opened_store(options, output) as store:
        found = await store.streams.groups(options.stream)
    rows = [(group.name, group.consumers, group.pending, group.last_delivered_id, group.lag) for group in found]
    header = ("group", "consumers", "pending", "last read", "still to read")
    output.answer(
        {"stream": options.stream, "groups": [structs.asdict(group) for group in found]},
        lambda console: table(console, header, rows, "There is no group."),
    )
    return 0


async def pending(options: Namespace, output: Output) -> int:
    """List what is pending."""
    async with opened_store(options, output) as store:
        # A consumer has to be named, and looking makes none.
        found = await store.streams.group(options.group, "igniter-store").pending(options.stream)
    rows = [(message.id, message.consumer, f"{message.idle:.3f}", message.deliveries) for message in found]
    header = ("id", "consumer", "idle seconds", "deliveries")
    output.answer(
        {"stream": options.stream, "group": options.group, "pending": [structs.asdict(message) for message in found]},
        lambda console: table(console, header, rows, "Nothing is pending."),
    )
    return 0


async def _messages(store: Store[Any], stream: str, last: int) -> AsyncIterator[StreamMessage[Any]]:
    """The newest ones, the oldest of them first, and then all that come."""
    newest = await store.streams.range(stream, reverse=True, count=max(last, 1))
    start = f"({newest[0].id}" if newest else "-"
    for message in reversed(newest[:last]):
        yield message
    while True:
        page = await store.streams.range(stream, start=start, count=_PAGE)
        for message in page:
            start = f"({message.id}"
            yield message
        if len(page) < _PAGE:
            await asyncio.sleep(_PAUSE)
