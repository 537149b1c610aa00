"""Calls a method with drawn arguments, and lists the rules that the outcome breaks."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from igniter_store import (
    ConfigurationError,
    EventError,
    Events,
    InvalidArgument,
    RecordingAdapter,
    ScopeError,
    SerializationError,
    Store,
    StoreError,
)
from igniter_store.backends import adapter_from_url

from .strategies import Point

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis import strategies as st

# These errors are raised before anything is sent.
BEFORE_SENDING = (InvalidArgument, ScopeError, EventError, ConfigurationError)


@dataclass(frozen=True)
class Method:
    """How to call a method, and its possible arguments."""

    call: Callable[[Any, Any], Any]
    arguments: dict[str, st.SearchStrategy[Any]]

    def draw(self, data: st.DataObject) -> dict[str, Any]:
        return {name: data.draw(values, name) for name, values in self.arguments.items()}


def method(call: Callable[[Any, Any], Any], **arguments: st.SearchStrategy[Any]) -> Method:
    return Method(call, arguments)


def make_store(recorder: RecordingAdapter, **switches: bool) -> Any:
    events = Events.create("user").event("created", Point).build()
    return (
        Store.create()
        .with_adapter(recorder)
        .with_service("test")
        .add_events(events, **switches)
        .build()
    )


def grouped(store: Any) -> Any:
    return store.streams.group("g", "c")


def broken_rules(error: StoreError, recorder: RecordingAdapter) -> list[str]:
    is_early = isinstance(error, BEFORE_SENDING) or (
        isinstance(error, SerializationError) and "Can't encode" in error.message
    )
    rules = {
        # The memory backend raises only StoreErrors. A translated exception means that a bad
        # argument, or a bad result, passed the checks.
        "an error isn't a translated exception": "instead of a StoreError" not in error.message,
        "a refused call sends nothing": not is_early or recorder.calls == [],
        "an error can be printed": bool(str(error) and repr(error)),
    }
    return [rule for rule, is_kept in rules.items() if not is_kept]


async def _outcome(call: Callable[[Any, Any], Any], arguments: dict[str, Any]) -> list[str]:
    recorder = RecordingAdapter(adapter_from_url("memory://"))
    store = make_store(recorder)
    group = grouped(store)
    await store.kv.set("k", 1)
    await group.ensure("s")
    await store.streams.append("s", {"a": 1})
    recorder.calls.clear()
    broken: list[str] = []
    try:
        answer = call(store, arguments)
        if inspect.isawaitable(answer):
            await answer
    except StoreError as error:
        broken += broken_rules(error, recorder)
    await store.close()
    return broken if len(asyncio.all_tasks()) == 1 else [*broken, "closing ends every task"]


def outcome(call: Callable[[Any, Any], Any], arguments: dict[str, Any]) -> list[str]:
    """Call a method of a new store, and return the rules that its outcome breaks.

    An exception that isn't a `StoreError` is raised.
    """
    with asyncio.Runner() as runner:
        return runner.run(_outcome(call, arguments))
