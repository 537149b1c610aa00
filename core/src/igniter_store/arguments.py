"""Checks of plain arguments, so that a wrong one is refused with words before anything is sent.

Rule: what Python would answer with `TypeError` or `ValueError` is `STORE_ARGUMENT_INVALID` here,
    unless the argument has a code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from igniter_store.contract import ErrorCode, StoreError, store_error


def is_a(value: Any, *kinds: type) -> bool:
    """`isinstance` for values of any class: not by the `__class__` that a mock or a proxy shows,
    which may lie, or raise.
    """
    return issubclass(type(value), kinds)


def plain_text(value: Any) -> str | None:
    """`value` when it is a `str`, as a plain one, so that a StrEnum or another subclass can't
    change what it looks like.
    """
    return str.__str__(value) if is_a(value, str) else None


def plain_int(value: Any) -> int | None:
    """`value` when it is an `int` and no `bool`, as a plain one."""
    return int.__int__(value) if is_a(value, int) and not is_a(value, bool) else None


def invalid(message: str) -> StoreError:
    """The error for an argument that has no code of its own."""
    return store_error(ErrorCode.STORE_ARGUMENT_INVALID, message)


def whole_number(value: Any, name: str, *, least: int) -> int:
    """`value` when it is an `int`, no `bool`, of at least `least`, that fits a signed 64 bit
    number.
    """
    number = plain_int(value)
    if number is None or not least <= number < 2**63:
        raise invalid(f"`{name}` must be an integer of {least} or more.")
    return number


def optional_whole_number(value: Any, name: str, *, least: int) -> int | None:
    """As `whole_number`; `None` stays `None`."""
    return None if value is None else whole_number(value, name, least=least)


def boolean(value: Any, name: str) -> bool:
    """`value` when it is True or False."""
    if value is not True and value is not False:
        raise invalid(f"`{name}` must be True or False.")
    return value is True


def items(
    values: Any, name: str, missing: ErrorCode = ErrorCode.STORE_ARGUMENT_INVALID
) -> list[Any]:
    """The items of `values`, when it is an iterable of several things and not one text or mapping."""
    if is_a(values, str, bytes, bytearray, memoryview, Mapping) or not is_a(values, Iterable):
        raise store_error(
            missing, (f"`{name}` must be a list or another iterable, but not text or a mapping.")
        )
    try:
        # its items are checked one by one
        return list(values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    except Exception as error:
        # A generator of the caller's that fails is the caller's failure, told as one of ours.
        raise store_error(missing, f"Iterating over `{name}` failed. See the cause.") from error
