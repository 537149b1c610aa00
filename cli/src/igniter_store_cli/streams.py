"""`igniter-store streams`: appends to a stream, follows it, lists its groups, or removes either.

Rule: Reading changes nothing: it creates no group, no consumer and no delivery.
Rule: An entry that can't be decoded is marked as such; the other entries are still shown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from igniter_store_cli.command import (
    Commands,
    add_command,
    add_following_options,
    add_group,
    add_store_options,
    seconds,
    whole,
)
from igniter_store_cli.failures import FAILED
from igniter_store_cli.opening import opened_store, place_of
from igniter_store_cli.output import as_text, key_argument, shown_key, table
from igniter_store_cli.set import parsed

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterator

    from igniter_store.namespaces.messages import StreamMessage
    from igniter_store.store import Store

    from igniter_store_cli.output import Output

_PAGE: Final = 500
_PAUSE: Final = 0.25  # seconds between two reads


def add(commands: Commands) -> None:
    """Declare the commands."""
    group = add_group(
        commands,
        "streams",
        help="append to a stream, follow it, list its groups, or remove it",
    )
    appending = add_command(
        group,
        "append",
        append,
        help="append a message",
        description="Append MESSAGE to STREAM and print its id. MESSAGE is parsed as JSON if "
        "possible, and is text otherwise.",
        example="  igniter-store streams append orders '{\"id\": 7}' --service api\n"
        "  1700000000000-0",
    )
    appending.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    appending.add_argument(
        "message",
        metavar="MESSAGE",
        help="JSON or text; put -- before it if it begins with a dash",
    )
    appending.add_argument(
        "--string", action="store_true", help="treat MESSAGE as text, even if it is valid JSON"
    )
    appending.add_argument(
        "--max-len", metavar="N", type=whole, help="keep only about the newest N messages"
    )
    add_store_options(appending)
    tailing = add_command(
        group,
        "tail",
        tail,
        help="print messages as they arrive",
        description="Print the newest messages of STREAM, then new ones as they are appended, "
        "until Ctrl-C. This affects no group. With --json each line is a JSON document.",
        example="  igniter-store streams tail orders -n 2 --service api\n"
        '  1700000000000-0 {"id": 7}',
    )
    tailing.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    tailing.add_argument(
        "-n",
        "--last",
        metavar="N",
        type=whole,
        default=10,
        help="start with the newest N messages (default: 10)",
    )
    add_following_options(tailing)
    add_store_options(tailing)
    listing = add_command(
        group,
        "groups",
        groups,
        help="list the groups of a stream",
        description="List the groups of STREAM. For each group, print the number of consumers, "
        "the number of pending messages, the id of the last message that it has read, and the "
        "number of messages still to read, if the backend reports it.",
        example="  igniter-store streams groups orders --service api",
    )
    listing.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    add_store_options(listing)
    waiting = add_command(
        group,
        "pending",
        pending,
        help="list the pending messages of a group",
        description="List the messages of STREAM that GROUP has read and not acknowledged. For "
        "each message, print its consumer, the seconds since its delivery, and the number of "
        "deliveries.",
        example="  igniter-store streams pending orders billing --service api",
    )
    waiting.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    waiting.add_argument("group", metavar="GROUP", type=key_argument, help="the group")
    waiting.add_argument(
        "--consumer", metavar="NAME", type=key_argument, help="only messages of this consumer"
    )
    waiting.add_argument(
        "--min-idle",
        metavar="SECONDS",
        type=seconds,
        help="only messages delivered at least SECONDS ago",
    )
    waiting.add_argument(
        "--count", metavar="N", type=whole, help="at most N messages, oldest first (default: all)"
    )
    add_store_options(waiting)
    dropping = add_command(
        group,
        "drop",
        drop,
        help="remove a stream with its groups",
        description="Remove STREAM with its messages, its groups and their pending lists. The "
        "exit code is 1 if the stream doesn't exist.",
        example="  igniter-store streams drop orders --service api\n  removed the stream orders",
    )
    dropping.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    add_store_options(dropping)
    destroying = add_command(
        group,
        "destroy",
        destroy,
        help="remove a group of a stream",
        description="Remove GROUP of STREAM with its position and its pending list. The messages "
        "and the other groups stay. The exit code is 1 if the group doesn't exist.",
        example="  igniter-store streams destroy orders billing --service api\n"
        "  removed the group billing of orders",
    )
    destroying.add_argument(
        "stream",
        metavar="STREAM",
        type=key_argument,
        help="the stream within the service and scope",
    )
    destroying.add_argument("group", metavar="GROUP", type=key_argument, help="the group")
    add_store_options(destroying)


async def append(options: Namespace, output: Output) -> int:
    """Append the message."""
    message = options.message if options.string else parsed(options.message)
    async with opened_store(options, output) as store:
        added = await store.streams.append(options.stream, message, max_len=options.max_len)
    output.answer({"stream": options.stream, "id": added}, lambda console: console.print(added))
    return 0


async def tail(options: Namespace, output: Output) -> int:
    """Print messages until the user stops the command."""
    async with opened_store(options, output) as store:
        async for message in output.followed(
            _messages(store, options.stream, options.last), options
        ):
            output.line(_document(message), f"{message.id} {_text(message)}")
    return 0


async def groups(options: Namespace, output: Output) -> int:
    """List the groups."""
    async with opened_store(options, output) as store:
        found = await store.streams.groups(options.stream)
    rows = [
        (shown_key(group.name), group.consumers, group.pending, group.last_delivered_id, group.lag)
        for group in found
    ]
    header = ("group", "consumers", "pending", "last read", "still to read")
    output.answer(
        {"stream": options.stream, "groups": [structs.asdict(group) for group in found]},
        lambda console: table(console, header, rows, "There are no groups."),
    )
    return 0


async def pending(options: Namespace, output: Output) -> int:
    """List the pending messages."""
    async with opened_store(options, output) as store:
        # The API requires a consumer name, but reading doesn't create a consumer.
        group = store.streams.group(options.group, "igniter-store")
        found = await group.pending(
            options.stream,
            count=options.count,
            consumer=options.consumer,
            min_idle=options.min_idle,
        )
    rows = [
        (message.id, shown_key(message.consumer), f"{message.idle:.3f}", message.deliveries)
        for message in found
    ]
    header = ("id", "consumer", "idle seconds", "deliveries")
    output.answer(
        {
            "stream": options.stream,
            "group": options.group,
            "pending": [structs.asdict(message) for message in found],
        },
        lambda console: table(console, header, rows, "Nothing is pending."),
    )
    return 0


async def drop(options: Namespace, output: Output) -> int:
    """Remove the stream."""
    async with opened_store(options, output) as store:
        is_removed = await store.streams.drop(options.stream)
    if not is_removed:
        output.note(f"no stream {options.stream!r} in {place_of(options)}")
    output.answer(
        {"stream": options.stream, "removed": is_removed},
        lambda console: (
            console.print(f"removed the stream {shown_key(options.stream)}") if is_removed else None
        ),
    )
    return 0 if is_removed else FAILED


async def destroy(options: Namespace, output: Output) -> int:
    """Remove the group."""
    async with opened_store(options, output) as store:
        # The API requires a consumer name, but removing doesn't create a consumer.
        is_removed = await store.streams.group(options.group, "igniter-store").destroy(
            options.stream
        )
    if not is_removed:
        output.note(
            f"no group {options.group!r} of stream {options.stream!r} in {place_of(options)}"
        )
    done = f"removed the group {shown_key(options.group)} of {shown_key(options.stream)}"
    output.answer(
        {"stream": options.stream, "group": options.group, "removed": is_removed},
        lambda console: console.print(done) if is_removed else None,
    )
    return 0 if is_removed else FAILED


def _text(message: StreamMessage[Any]) -> str:
    if message.raw is None:
        return as_text(message.message)
    return f"(can't be decoded) {as_text(_fields(message.raw))}"


def _document(message: StreamMessage[Any]) -> dict[str, Any]:
    if message.error is None or message.raw is None:
        return {"id": message.id, "message": message.message}
    return {
        "id": message.id,
        "message": None,
        "error": str(message.error.code),
        "fields": _fields(message.raw),
    }


def _fields(raw: dict[str, bytes]) -> dict[str, str]:
    return {name: value.decode("utf-8", "backslashreplace") for name, value in raw.items()}


async def _messages(store: Store[Any], stream: str, last: int) -> AsyncIterator[StreamMessage[Any]]:
    """Yield the newest messages, oldest first, and then every new one."""
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
