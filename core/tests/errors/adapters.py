"""Adapters that fail, and stores over them."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from igniter_store import RecordingAdapter, Store
from igniter_store.backends import GROUP
from igniter_store.contract import Adapter, Subscription

if TYPE_CHECKING:
    import pytest


class Broken(RecordingAdapter):
    """Raises `error` from every method, once it is set."""

    error: BaseException | None = None

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.error is not None:
            raise self.error
        return await super().pass_on(method, *args, **kwargs)


class Uncancellable(RecordingAdapter):
    """An adapter whose subscriptions can't be cancelled."""

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super().pass_on(method, *args, **kwargs)
        return UncancellableSubscription() if isinstance(answer, Subscription) else answer


class UncancellableSubscription(Subscription):
    async def cancel(self) -> None:
        raise ValueError("driver")


class Remote(Adapter):
    """A backend with sockets."""

    name = "remote"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> float:
        return 0.0


class Bench:
    """The fixtures of the scenarios."""

    def __init__(self, recorder: RecordingAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = Broken(recorder)
        self.monkeypatch = monkeypatch
        self.store: Any = self.over(recorder)
        self.recorder = recorder

    def over(self, adapter: Adapter) -> Store[str]:
        return Store.create().with_adapter(adapter).with_service("test").build()

    def failing(self, error: BaseException) -> Any:
        self.broken.error = error
        return self.over(self.broken)


def install(monkeypatch: pytest.MonkeyPatch, scheme: str, adapter: type[Adapter]) -> None:
    class Point(EntryPoint):
        def load(self) -> type[Adapter]:
            return adapter

    def entry_points(group: str, **_: str) -> list[EntryPoint]:
        return [Point(scheme, "a.module:Adapter", group)] if group == GROUP else []

    monkeypatch.setattr("igniter_store.backends.entry_points", entry_points)
