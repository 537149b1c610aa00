"""Defines a play and its environment: its own store, the orders, and a list of checks.

Rule: A check compares an expected with a found value; every claim has one.
Rule: The keys of a play are shown in their wire form, as they exist when `show_keys` is called.
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
        name: the name for `--only`.
        claim: the claim that the play proves, in one line.
        perform: the coroutine function that runs the play.
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
    """The environment of a play.

    Attributes:
        store: a store whose service is used only by the demo.
        orders: the orders of the shop.
        checks: the comparisons so far.
        keys: the keys shown so far, in their wire form.
        measured: the numbers for the summary.
    """

    def __init__(self, store: Store[str], orders: Orders, workers: Tasks) -> None:
        self.store: Final = store
        self.orders: Final = orders
        self._workers: Final = workers
        self.checks: Final[list[Check]] = []
        self.keys: Final[list[str]] = []
        self.measured = ""

    def check(self, name: str, *, expected: Any, found: Any) -> None:
        """Compare two values, and record the result under `name`.

        The name is a sentence that is true if the check passes.
        """
        self.checks.append(Check(name, expected, found, ok=bool(expected == found)))

    async def at_once(
        self,
        action: Action[T],
        arguments: Iterable[tuple[Any, ...]],
        *,
        store: Store[str] | None = None,
    ) -> list[T]:
        """Run an action in many workers at the same moment.

        If several processes share the backend, the workers are spread over them.

        Args:
            action: the function to run, defined in a module; called with a store and its arguments.
            arguments: the arguments of each worker.
            store: the store, or one of its scopes.
        """
        return await self._workers.at_once(
            self.store if store is None else store, action, arguments
        )

    async def show_keys(self, store: Store[str], *namespaces: str) -> None:
        """Record the current keys of `store` in `namespaces`, for the report."""
        self.keys.extend(await keys_on_the_wire(store, namespaces))

    def show_channels(self, store: Store[str], *events: str) -> None:
        """Record the channels of these events on the wire, for the report.

        A channel isn't a key, and disappears with its message.
        """
        self.keys.extend(channel(store, event) for event in events)
