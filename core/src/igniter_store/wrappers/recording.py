"""An adapter that records every call, for tests that check which commands were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from igniter_store.contract import CAPABILITIES, Adapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import Affinity


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call: the contract's method and its arguments.

    It is recorded when the call is made, whether or not the call succeeds.
    """

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class RecordingAdapter(Adapter):
    """Records every call and passes it on to `inner`.

    The object has the capabilities of `inner`: it is an instance of the same capability classes.

    Args:
        inner: the adapter that executes the calls.

    Attributes:
        inner: the same adapter.
        calls: all calls so far, in order; `calls.clear()` resets it.
    """

    name = "recording"

    def __new__(cls, inner: Adapter) -> Self:
        capabilities = tuple(
            capability for capability in CAPABILITIES if isinstance(inner, capability)
        )
        methods = {
            method: _recorded(method)
            for capability in capabilities
            for method in _own_methods(capability)
        }
        shaped = type(
            cls.__name__,
            (cls, *capabilities),
            methods | {"name": inner.name, "in_process": inner.in_process},
        )
        return object.__new__(cast("type[Self]", shaped))

    def __init__(self, inner: Adapter) -> None:
        self.inner: Final = inner
        self.calls: list[RecordedCall] = []
        # If `inner` is already open, its opener closes it. The recorder then starts as open too, so
        # that a store doesn't open it, and so doesn't close `inner` through it.
        self.is_open: bool = inner.is_open

    def named(self, *methods: str) -> list[RecordedCall]:
        """Return the calls of these methods, in order."""
        return [call for call in self.calls if call.method in methods]

    async def open(self) -> None:
        await self.pass_on("open")
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False
        await self.pass_on("close")

    def abandon(self) -> None:
        self.calls.append(RecordedCall("abandon", (), {}))
        self.inner.abandon()
        self.is_open = self.is_open and self.inner.is_open

    @property
    def affinity(self) -> Affinity | None:
        """The inner adapter's affinity."""
        return self.inner.affinity

    async def ping(self) -> float:
        seconds: float = await self.pass_on("ping")
        return seconds

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Record a call and execute it."""
        self.calls.append(RecordedCall(method, args, kwargs))
        return await getattr(self.inner, method)(*args, **kwargs)


def _own_methods(capability: type) -> list[str]:
    return [
        name
        for name, member in vars(capability).items()
        if getattr(member, "__isabstractmethod__", False)
    ]


def _recorded(method: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: RecordingAdapter, *args: Any, **kwargs: Any) -> Any:
        return await self.pass_on(method, *args, **kwargs)

    call.__name__ = call.__qualname__ = method
    return call
