# pyright: reportUnnecessaryTypeIgnoreComment=error
"""How type checkers see values. Checked by mypy and pyright, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from igniter_store import (
    JSON,
    MSGPACK,
    BatchEntry,
    GroupInfo,
    PendingMessage,
    ScanPage,
    Store,
    StreamMessage,
)


@dataclass
class User:
    name: str


async def what_is_read_has_the_type_that_was_asked_for(store: Store[str]) -> None:
    assert_type(await store.kv.get("k", User), User | None)
    assert_type(await store.kv.get("k", list[int]), list[int] | None)
    assert_type(await store.kv.get("k", User, default=User("nobody")), User)
    assert_type(await store.kv.get("k", User, default=0), User | int)
    assert_type(await store.kv.get("k"), Any)
    assert_type(await store.kv.get("k", default=0), Any)
    assert_type(await store.kv.pop("k", User), User | None)
    assert_type(await store.kv.pop("k"), Any)
    assert_type(await store.batch.get(["k"], User), list[User | None])
    assert_type(await store.batch.get(["k"]), list[Any | None])


async def messages_have_the_type_that_was_asked_for(store: Store[str]) -> None:
    group = store.streams.group("g", "c")

    assert_type(await store.streams.range("s", type=User), list[StreamMessage[User]])
    assert_type((await store.streams.range("s", type=User))[0].message, User)
    assert_type(await store.streams.range("s"), list[StreamMessage[Any]])
    assert_type(await group.read("s", type=User), list[StreamMessage[User]])
    assert_type(await group.claim("s", min_idle=60, type=User), list[StreamMessage[User]])


async def answers_have_their_types(store: Store[str]) -> None:
    assert_type(await store.kv.set("k", 1, ttl=1.5, only_if="absent"), bool)
    assert_type(await store.kv.ttl("k"), float | None)
    assert_type(await store.counter.increment("k", 5, ttl=60), int)
    assert_type(await store.counter.get("k"), int | None)
    assert_type(await store.claim.once("k", "w"), bool)
    assert_type(await store.batch.set([BatchEntry("k", 1), {"key": "k", "value": 1}]), None)
    assert_type(await store.streams.append("s", 1), str)
    assert_type(await store.streams.groups("s"), list[GroupInfo])
    assert_type(await store.streams.group("g", "c").pending("s"), list[PendingMessage])
    assert_type(await store.dev.scan("*"), ScanPage)
    assert_type([key async for key in store.dev.iterate("*")], list[str])
    assert_type(await store.ping(), float)


def encoder(value: Any) -> Any:
    return value.name if isinstance(value, User) else NotImplemented


def decoder(type: Any, plain: Any) -> Any:
    return User(plain) if type is User else NotImplemented


def serializers_take_hooks() -> None:
    builder = Store.create().with_url("memory://").with_service("s")

    assert_type(builder.with_serializer(JSON).with_serializer(MSGPACK).build(), Store[str])
    assert_type(builder.with_serializer(JSON(encoder=encoder, decoder=decoder)).build(), Store[str])
    builder.with_serializer(MSGPACK(encoder=encoder))
    JSON(encoder=5)  # type: ignore[arg-type]  # the checker must refuse it


async def wrong_arguments_are_errors(store: Store[str]) -> None:
    # the test: one of two literals
    await store.kv.set("k", 1, only_if="never")  # type: ignore[arg-type]
    # the test: a number or a timedelta
    await store.kv.set("k", 1, ttl="60")  # type: ignore[arg-type]
    await store.kv.get(7)  # type: ignore[call-overload]  # the checker must refuse it
    await store.counter.increment("k", 1.5)  # type: ignore[arg-type]  # the checker must refuse it
