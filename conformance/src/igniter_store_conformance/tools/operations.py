"""Every operation of the contract, as a call with a known result.

Tests use the list to run all operations in one situation.

Rule: each operation has its own keys, prepared beforehand by a working client, so its result can't
    be that of another call.
Rule: the list is complete. A test of the kit compares it with the abstract methods of the contract.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract import (
    Adapter,
    Claims,
    Counters,
    Entry,
    ErrorCode,
    KeyValue,
    PubSub,
    Scan,
    ScanPage,
    StoreError,
    Streams,
    Subscription,
    escape,
)
from msgspec import Struct

from igniter_store_conformance.engine.trial import FullAdapter

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


Names: TypeAlias = Callable[[str], str]
Ask: TypeAlias = Callable[[FullAdapter, Names], Awaitable[Any]]

_ID: Final = re.compile(r"[0-9]+-[0-9]+")


class AdapterOperation(Struct, frozen=True):
    """A method of the contract, called in one way.

    Attributes:
        title: names the operation in messages.
        capability: the class that has the method.
        method: the name of the method.
        prepare: creates the keys that the call needs.
        ask: makes the call.
        accepts: checks whether a result, which isn't an error, is the expected one.
        is_whole: checks after a cancelled call that it was applied completely or not at all; `None`
            for operations that change nothing.
    """

    title: str
    capability: type[Adapter]
    method: str
    prepare: Ask
    ask: Ask
    accepts: Callable[[Any], bool]
    is_whole: Ask | None = None

    def is_right(self, answer: Any) -> bool:
        """Whether the result is the expected one; an error code never is."""
        return not isinstance(answer, ErrorCode) and self.accepts(answer)


async def _nothing(adapter: FullAdapter, names: Names) -> None:
    del adapter, names


async def _ping(adapter: FullAdapter, names: Names) -> float:
    del names
    return await adapter.ping()


async def _value(adapter: FullAdapter, names: Names) -> None:
    await adapter.mset([Entry(names("a"), b"value of a", 3_000), Entry(names("b"), b"value of b")])


async def _old_or_new(adapter: FullAdapter, names: Names) -> bool:
    value, left = await adapter.get(names("a")), await adapter.ttl(names("a"))
    if value == b"new":
        return left == math.inf
    return value == b"value of a" and left is not None and left <= 3_000


async def _is_gone_or_whole(adapter: FullAdapter, names: Names) -> bool:
    value, left = await adapter.get(names("a")), await adapter.ttl(names("a"))
    if value is None:
        return left is None
    return value == b"value of a" and left is not None and left <= 3_000


async def _absent_or_new(adapter: FullAdapter, names: Names) -> bool:
    value, left = await adapter.get(names("new")), await adapter.ttl(names("new"))
    return (value is None and left is None) or (
        value == b"new" and left is not None and left <= 3_000
    )


async def _each_old_or_new(adapter: FullAdapter, names: Names) -> bool:
    return all(
        value in {b"value of a", b"value of b", b"new"}
        for value in await adapter.mget([names("a"), names("b")])
    )


async def _still_both(adapter: FullAdapter, names: Names) -> bool:
    return await adapter.mget([names("a"), names("b")]) == [b"value of a", b"value of b"]


async def _counter(adapter: FullAdapter, names: Names) -> None:
    await adapter.increment(names("counter"), 41)


async def _counted_once_or_not(adapter: FullAdapter, names: Names) -> bool:
    return await adapter.increment(names("counter"), 0) in {41, 42}


async def _window_or_none(adapter: FullAdapter, names: Names) -> bool:
    value, left = await adapter.get(names("window")), await adapter.ttl(names("window"))
    return (value is None and left is None) or (
        value == b"5" and left is not None and left <= 3_000
    )


async def _claim(adapter: FullAdapter, names: Names) -> None:
    await adapter.set_nx(names("held"), b"owner", ttl=3_000)


async def _held_or_free(adapter: FullAdapter, names: Names) -> bool:
    # Exactly one caller holds the claim: the cancelled one, or this one.
    return await adapter.set_nx(
        names("free"), b"next", ttl=3_000
    ) is not await adapter.compare_delete(names("free"), b"owner")


async def _released_or_held(adapter: FullAdapter, names: Names) -> bool:
    return await adapter.set_nx(
        names("held"), b"next", ttl=3_000
    ) is not await adapter.compare_delete(names("held"), b"owner")


async def _still_held(adapter: FullAdapter, names: Names) -> bool:
    return await adapter.compare_delete(names("held"), b"owner")


async def _subscribe(adapter: FullAdapter, names: Names) -> Subscription:
    return await adapter.subscribe(names("channel"), _ignore)


async def _psubscribe(adapter: FullAdapter, names: Names) -> Subscription:
    return await adapter.psubscribe(escape(names("channel")) + "*", _ignore)


def _ignore(channel: str, payload: bytes) -> None:
    del channel, payload


async def _stream(adapter: FullAdapter, names: Names) -> None:
    for number in range(3):
        await adapter.xadd(names("stream"), {"n": b"%d" % number})
    await adapter.xgroup_create(names("stream"), "group")
    await adapter.xgroup_create(names("stream"), "other")
    await adapter.xreadgroup(names("stream"), "group", "consumer", count=2)


async def _three_or_four(adapter: FullAdapter, names: Names) -> bool:
    found = [entry.fields["n"] for entry in await adapter.xrange(names("stream"))]
    return found in ([b"0", b"1", b"2"], [b"0", b"1", b"2", b"3"])


async def _three_or_one(adapter: FullAdapter, names: Names) -> bool:
    found = [entry.fields["n"] for entry in await adapter.xrange(names("stream"))]
    return found in ([b"0", b"1", b"2"], [b"2"])


async def _new_or_pending(adapter: FullAdapter, names: Names) -> bool:
    """Check that nothing was lost: undelivered entries are read now, delivered ones are pending."""
    new = [entry.id for entry in await adapter.xreadgroup(names("stream"), "group", "next")]
    pending = [entry.id for entry in await adapter.xpending(names("stream"), "group")]
    return len(pending) == 3 and set(new) <= set(pending)


async def _two_pending_or_fewer(adapter: FullAdapter, names: Names) -> bool:
    return len(await adapter.xpending(names("stream"), "group")) in {0, 2}


async def _two_groups_or_three(adapter: FullAdapter, names: Names) -> bool:
    found = [group.name for group in await adapter.xgroups(names("stream"))]
    return found in (["group", "other"], ["group", "new", "other"])


async def _two_groups_or_one(adapter: FullAdapter, names: Names) -> bool:
    return [group.name for group in await adapter.xgroups(names("stream"))] in (
        ["group", "other"],
        ["group"],
    )


async def _acknowledge_all(adapter: FullAdapter, names: Names) -> int:
    ids = [entry.id for entry in await adapter.xrange(names("stream"))]
    return await adapter.xack(names("stream"), "group", ids)


async def _delete_first_two(adapter: FullAdapter, names: Names) -> int:
    ids = [entry.id for entry in await adapter.xrange(names("stream"))]
    return await adapter.xdel(names("stream"), ids[:2])


async def _scan(adapter: FullAdapter, names: Names) -> ScanPage:
    return await adapter.scan(escape(names("")) + "*", count=1_000)


def _numbers(answer: Any) -> list[bytes]:
    return [entry.fields["n"] for entry in answer]


OPERATIONS: Final = (
    AdapterOperation(
        "ping",
        Adapter,
        "ping",
        _nothing,
        _ping,
        lambda answer: isinstance(answer, float) and answer >= 0,
    ),
    AdapterOperation(
        "get",
        KeyValue,
        "get",
        _value,
        lambda a, n: a.get(n("a")),
        lambda answer: answer == b"value of a",
    ),
    AdapterOperation(
        "getdel",
        KeyValue,
        "getdel",
        _value,
        lambda a, n: a.getdel(n("a")),
        lambda answer: answer == b"value of a",
        _is_gone_or_whole,
    ),
    AdapterOperation(
        "set",
        KeyValue,
        "set",
        _value,
        lambda a, n: a.set(n("a"), b"new"),
        lambda answer: answer is True,
        _old_or_new,
    ),
    AdapterOperation(
        "set if absent",
        KeyValue,
        "set",
        _value,
        lambda a, n: a.set(n("new"), b"new", ttl=3_000, only_if="absent"),
        lambda answer: answer is True,
        _absent_or_new,
    ),
    AdapterOperation(
        "delete",
        KeyValue,
        "delete",
        _value,
        lambda a, n: a.delete([n("a"), n("c")]),
        lambda answer: answer == 1,
        _is_gone_or_whole,
    ),
    AdapterOperation(
        "exists",
        KeyValue,
        "exists",
        _value,
        lambda a, n: a.exists(n("a")),
        lambda answer: answer is True,
    ),
    AdapterOperation(
        "expire",
        KeyValue,
        "expire",
        _value,
        lambda a, n: a.expire(n("b"), 3_000),
        lambda answer: answer is True,
        _still_both,
    ),
    AdapterOperation(
        "persist",
        KeyValue,
        "persist",
        _value,
        lambda a, n: a.persist(n("a")),
        lambda answer: answer is True,
        _still_both,
    ),
    AdapterOperation(
        "ttl",
        KeyValue,
        "ttl",
        _value,
        lambda a, n: a.ttl(n("a")),
        lambda answer: answer is not None and 0 < answer <= 3_000,
    ),
    AdapterOperation(
        "mget",
        KeyValue,
        "mget",
        _value,
        lambda a, n: a.mget([n("b"), n("c"), n("a")]),
        lambda answer: answer == [b"value of b", None, b"value of a"],
    ),
    AdapterOperation(
        "mset",
        KeyValue,
        "mset",
        _value,
        lambda a, n: a.mset([Entry(n("a"), b"new"), Entry(n("b"), b"new")]),
        lambda answer: answer is None,
        _each_old_or_new,
    ),
    AdapterOperation(
        "increment",
        Counters,
        "increment",
        _counter,
        lambda a, n: a.increment(n("counter")),
        lambda answer: answer == 42,
        _counted_once_or_not,
    ),
    AdapterOperation(
        "increment with a TTL",
        Counters,
        "increment",
        _counter,
        lambda a, n: a.increment(n("window"), 5, ttl=3_000),
        lambda answer: answer == 5,
        _window_or_none,
    ),
    AdapterOperation(
        "set_nx",
        Claims,
        "set_nx",
        _claim,
        lambda a, n: a.set_nx(n("free"), b"owner", ttl=3_000),
        lambda answer: answer is True,
        _held_or_free,
    ),
    AdapterOperation(
        "set_nx of a held claim",
        Claims,
        "set_nx",
        _claim,
        lambda a, n: a.set_nx(n("held"), b"x"),
        lambda answer: answer is False,
        _still_held,
    ),
    AdapterOperation(
        "compare_delete",
        Claims,
        "compare_delete",
        _claim,
        lambda a, n: a.compare_delete(n("held"), b"owner"),
        lambda answer: answer is True,
        _released_or_held,
    ),
    AdapterOperation(
        "compare_expire",
        Claims,
        "compare_expire",
        _claim,
        lambda a, n: a.compare_expire(n("held"), b"owner", 3_000),
        lambda answer: answer is True,
        _still_held,
    ),
    AdapterOperation(
        "acquire",
        Claims,
        "acquire",
        _claim,
        lambda a, n: a.acquire(n("free"), b"owner", 3_000, token_key=n(f"token:{{{n('free')}}}")),
        lambda answer: type(answer) is int and answer > 0,
        _held_or_free,
    ),
    AdapterOperation(
        "publish",
        PubSub,
        "publish",
        _nothing,
        lambda a, n: a.publish(n("channel"), b"message"),
        lambda answer: type(answer) is int,
    ),
    AdapterOperation(
        "subscribe",
        PubSub,
        "subscribe",
        _nothing,
        _subscribe,
        lambda answer: isinstance(answer, Subscription),
    ),
    AdapterOperation(
        "psubscribe",
        PubSub,
        "psubscribe",
        _nothing,
        _psubscribe,
        lambda answer: isinstance(answer, Subscription),
    ),
    AdapterOperation(
        "xadd",
        Streams,
        "xadd",
        _stream,
        lambda a, n: a.xadd(n("stream"), {"n": b"3"}),
        lambda answer: isinstance(answer, str) and _ID.fullmatch(answer) is not None,
        _three_or_four,
    ),
    AdapterOperation(
        "xlen",
        Streams,
        "xlen",
        _stream,
        lambda a, n: a.xlen(n("stream")),
        lambda answer: answer == 3,
    ),
    AdapterOperation(
        "xtrim",
        Streams,
        "xtrim",
        _stream,
        lambda a, n: a.xtrim(n("stream"), 1, approximate=False),
        lambda answer: answer == 2,
        _three_or_one,
    ),
    AdapterOperation(
        "xdel",
        Streams,
        "xdel",
        _stream,
        _delete_first_two,
        lambda answer: answer == 2,
        _three_or_one,
    ),
    AdapterOperation(
        "xrange",
        Streams,
        "xrange",
        _stream,
        lambda a, n: a.xrange(n("stream")),
        lambda answer: _numbers(answer) == [b"0", b"1", b"2"],
    ),
    AdapterOperation(
        "xrevrange",
        Streams,
        "xrevrange",
        _stream,
        lambda a, n: a.xrevrange(n("stream"), count=2),
        lambda answer: _numbers(answer) == [b"2", b"1"],
    ),
    AdapterOperation(
        "xgroup_create",
        Streams,
        "xgroup_create",
        _stream,
        lambda a, n: a.xgroup_create(n("stream"), "new"),
        lambda answer: answer is True,
        _two_groups_or_three,
    ),
    AdapterOperation(
        "xgroup_destroy",
        Streams,
        "xgroup_destroy",
        _stream,
        lambda a, n: a.xgroup_destroy(n("stream"), "other"),
        lambda answer: answer is True,
        _two_groups_or_one,
    ),
    AdapterOperation(
        "xreadgroup",
        Streams,
        "xreadgroup",
        _stream,
        lambda a, n: a.xreadgroup(n("stream"), "group", "other"),
        lambda answer: _numbers(answer) == [b"2"],
        _new_or_pending,
    ),
    AdapterOperation(
        "xreadgroup that may wait",
        Streams,
        "xreadgroup",
        _stream,
        lambda a, n: a.xreadgroup(n("stream"), "group", "other", block=30),
        lambda answer: _numbers(answer) == [b"2"],
        _new_or_pending,
    ),
    AdapterOperation(
        "xreadgroup of the history",
        Streams,
        "xreadgroup",
        _stream,
        lambda a, n: a.xreadgroup(n("stream"), "group", "consumer", history=True),
        lambda answer: _numbers(answer) == [b"0", b"1"],
        _new_or_pending,
    ),
    AdapterOperation(
        "xgroups",
        Streams,
        "xgroups",
        _stream,
        lambda a, n: a.xgroups(n("stream")),
        lambda answer: [g.name for g in answer] == ["group", "other"],
    ),
    AdapterOperation(
        "xack",
        Streams,
        "xack",
        _stream,
        _acknowledge_all,
        lambda answer: answer == 2,
        _two_pending_or_fewer,
    ),
    AdapterOperation(
        "xpending",
        Streams,
        "xpending",
        _stream,
        lambda a, n: a.xpending(n("stream"), "group"),
        lambda answer: [entry.consumer for entry in answer] == ["consumer", "consumer"],
    ),
    AdapterOperation(
        "xautoclaim",
        Streams,
        "xautoclaim",
        _stream,
        lambda a, n: a.xautoclaim(n("stream"), "group", "heir", 0),
        lambda answer: _numbers(answer) == [b"0", b"1"],
        _new_or_pending,
    ),
    AdapterOperation(
        "scan", Scan, "scan", _nothing, _scan, lambda answer: isinstance(answer, ScanPage)
    ),
    AdapterOperation(
        "delete_prefix",
        Scan,
        "delete_prefix",
        _nothing,
        lambda a, n: a.delete_prefix(n("nothing begins so")),
        lambda answer: answer == 0,
    ),
)
"""Each method of the contract at least once, in the contract's order."""


async def answer_or_code(ask: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Return the result of a call, or the code of the error that it raises.

    A subscription is cancelled at once.
    """
    try:
        answer = await ask(*arguments)
    except StoreError as error:
        return error.code
    if isinstance(answer, Subscription):
        await answer.cancel()
    return answer


def operations_of(trial: Trial) -> list[AdapterOperation]:
    """Return the operations of the adapter's capabilities."""
    capabilities = (Adapter, *trial.capabilities)
    return [operation for operation in OPERATIONS if operation.capability in capabilities]


def names_for(trial: Trial, operation: AdapterOperation, turn: object = "") -> Names:
    """Return a function that makes keys for one call of the operation.

    The same name gives the same key.
    """
    return lambda name: trial.key(f"{operation.title} {turn}:{name}")


async def wrong_answers(
    trial: Trial, preparing: FullAdapter | None, asked: FullAdapter, turn: object
) -> list[str]:
    """Run all operations on `asked`, and return a line for each wrong result.

    `preparing` creates the keys first. If it is None, they were created before.
    """
    wrong: list[str] = []
    for operation in operations_of(trial):
        names = names_for(trial, operation, turn)
        if preparing is not None:
            await operation.prepare(preparing, names)
        answer = await answer_or_code(operation.ask, asked, names)
        if not operation.is_right(answer):
            wrong.append(f"{operation.title}: {answer!r}")
    return wrong
