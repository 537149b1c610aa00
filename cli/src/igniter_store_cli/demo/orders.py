"""Reads the orders for the plays from a file of JSON lines, one order per line.

Rule: An invalid line stops the reading, with its line number. The file is broken, and guessing
    would hide that.
Rule: An impossible order (a quantity of 0, no items, a repeated id) is left out, and reported with
    its line.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from igniter_store_cli.failures import FAILED, USAGE, CommandFailure

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE: Final = "orders.jsonl"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Customer(Struct, frozen=True):
    """The buyer of an order."""

    id: str
    name: str


class Item(Struct, frozen=True):
    """One item of an order; the price per piece is in the currency's smallest unit."""

    sku: str
    name: str
    quantity: int
    unit_price: int


class Order(Struct, frozen=True):
    """A customer's order from one organization, the tenant."""

    id: str
    organization: str
    customer: Customer
    items: tuple[Item, ...]
    currency: str
    status: Literal["placed", "paid", "shipped", "delivered", "cancelled"]
    placed_at: datetime
    channel: str

    @property
    def total(self) -> int:
        """Return the amount that the customer pays, in the currency's smallest unit."""
        return sum(item.quantity * item.unit_price for item in self.items)


class Rejected(Struct, frozen=True):
    """An order that was read and left out."""

    line: int
    order: Order
    reason: str


class Orders(Struct, frozen=True, dict=True):
    """The content of a file.

    Attributes:
        source: the file's name.
        accepted: the orders to work with; never empty.
        rejected: the orders that were left out.
    """

    source: str
    accepted: tuple[Order, ...]
    rejected: tuple[Rejected, ...] = ()

    @cached_property
    def customers(self) -> list[Customer]:
        """All buyers, without duplicates, in the order of their first purchase."""
        return list({order.customer.id: order.customer for order in self.accepted}.values())

    @cached_property
    def organizations(self) -> list[str]:
        """The tenants, the one with the most orders first."""
        names = [order.organization for order in self.accepted]
        return sorted(dict.fromkeys(names), key=names.count, reverse=True)

    def of(self, organization: str) -> list[Order]:
        """Return the orders of one tenant."""
        return [order for order in self.accepted if order.organization == organization]


def read_orders(path: Path | None) -> Orders:
    """Read the orders from the file at `path`, or from the sample that comes with the library.

    Raises:
        CommandFailure: if the file is missing (wrong usage), is empty, or has a line that isn't an
            order.
    """
    if path is None:
        return parsed_orders(files("igniter_store_cli.demo").joinpath(SAMPLE).read_bytes(), SAMPLE)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = (
            f"The orders can't be read from {path}: {error.strerror or type(error).__name__}. Give "
            "a file of JSON lines."
        )
        raise CommandFailure(message, USAGE) from None
    return parsed_orders(content, path.name)


def parsed_orders(content: bytes, source: str) -> Orders:
    """Parse the orders in `content`; messages refer to it as `source`.

    Raises the errors of `read_orders`.
    """
    accepted: dict[str, Order] = {}
    rejected: list[Rejected] = []
    for number, line in enumerate(content.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), start=1):
        if not line.strip():
            continue
        order = _parsed(line, number, source)
        reason = _why_not(order, accepted)
        if reason is None:
            accepted[order.id] = order
        else:
            rejected.append(Rejected(number, order, reason))
    if accepted:
        return Orders(source, tuple(accepted.values()), tuple(rejected))
    if rejected:
        first = rejected[0]
        message = (
            f"{source} has no order to work with: all {len(rejected)} are rejected, line "
            f"{first.line} because of {first.reason}."
        )
        raise CommandFailure(message, FAILED)
    message = f"{source} is empty. It has to hold at least one order, as one line of JSON."
    raise CommandFailure(message, FAILED)


def _parsed(line: bytes, number: int, source: str) -> Order:
    try:
        return msgspec.json.decode(line, type=Order)
    except (msgspec.MsgspecError, UnicodeError) as error:
        message = (
            f"{source}, line {number}: this isn't an order. {error}. Fix the line or remove it."
        )
        raise CommandFailure(message, FAILED) from None


def _why_not(order: Order, accepted: dict[str, Order]) -> str | None:
    for name, id in (
        ("order", order.id),
        ("organization", order.organization),
        ("customer", order.customer.id),
    ):
        if not id:
            return f"an empty id of the {name}"
    if order.id in accepted:
        return f"the repeated id {order.id}"
    if not order.items:
        return "no items"
    for item in order.items:
        if item.quantity < 1:
            return f"a quantity of {item.quantity} of {item.sku}"
        if item.unit_price < 0:
            return f"a unit price of {item.unit_price} for {item.sku}"
    return None
