"""What a play is, and what it stands on: a store of its own, the orders, and a list of checks that
may fail.

Rule: a check compares what was expected with what was found; nothing is claimed without one.
Rule: the keys of a play are shown as they are on the wire, as they lay there at the moment of
    `show_keys`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from msgspec import Struct

from igniter_store_cli.demo.wire import channel, keys_on_the_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from igniter_store.store import Store

    from igniter_store_cli.demo.orders import Orders
    from igniter_store_cli.demo.workers import Action, Tasks

T = TypeVar("T")
Perform: TypeAlias = "Callable[[Stage], Awaitable[None]]"


class Play(Struct, frozen=True):
    """One real use, from beginning to end.

    Attributes:
        name: as `--only` takes it.
        claim: what is proven, in one line.
        perform: does it.
    """

    name: str
    claim: str
    perform: Perform


class Check(Struct, frozen=True):
    """One comparison."""

    name: str
    expected: Any
    found: Any
    ok: bool


class Stage:
    """Where a play performs.

    Attributes:
        store: a store whose service is the demo's alone.
        orders: what happened at the shop.
        checks: the comparisons so far.
        keys: the keys that were shown so far, in their wire form.
        measured: the numbers that the summary says.
    """

    def __init__(self, store: Store[str], orders: Orders, workers: Tasks) -> None:
        self.store: Final = store
        self.orders: Final = orders
        self._workers: Final = workers
        self.checks: Final[list[Check]] = []
        self.keys: Final[list[str]] = []
        self.measured = ""

    def check(self, name: str, *, expected: Any, found: Any) -> None:
        """Compare, and remember the result under `name`, which is a sentence that is true when the
        check is ok.
        """
        self.checks.append(Check(name, expected, found, ok=bool(expected == found)))

    async def at_once(
        self,
        action: Action[T],
        arguments: Iterable[tuple[Any, ...]],
        *,
        store: Store[str] | None = None,
    ) -> list[T]:
        """Let many workers do something in the same moment, in several processes where the backend
        is shared by them.

        Args:
            action: what they do, a function of a module; called with a store and its arguments.
            arguments: those of each worker.
            store: the store, or one of its scopes.
        """
        return await self._workers.at_once(
            self.store if store is None else store, action, arguments
        )

    async def show_keys(self, store: Store[str], *namespaces: str) -> None:
        """Keep for the report which keys `store` has in `namespaces` now."""
        self.keys.extend(await keys_on_the_wire(store, namespaces))

    def show_channels(self, store: Store[str], *events: str) -> None:
        """Keep for the report where on the wire these events go: a channel is no key, and is gone
        with its message.
        """
        self.keys.extend(channel(store, event) for event in events)
