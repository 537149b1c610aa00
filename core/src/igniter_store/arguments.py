"""Checks of plain arguments, so that a wrong one is refused with words before anything is sent.

Rule: what Python would answer with `TypeError` or `ValueError` is `STORE_ARGUMENT_INVALID` here, unless the argument has a code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from igniter_store.contract import ErrorCode, StoreError, store_error


def invalid(message: str) -> StoreError:
    """The error for an argument that has no code of its own."""
    return store_error(ErrorCode.STORE_ARGUMENT_INVALID, message)


def whole_number(value: Any, name: str, *, least: int) -> int:
    """`value` when it is an `int`, no `bool`, of at least `least`, that fits a signed 64 bit number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise invalid(f"`{name}` is a whole number of at least {least}.")
    return value


def optional_whole_number(value: Any, name: str, *, least: int) -> int | None:
    """As `whole_number`; `None` stays `None`."""
    return None if value is None else whole_number(value, name, least=least)


def boolean(value: Any, name: str) -> bool:
    """`value` when it is True or False."""
    if not isinstance(value, bool):
        raise invalid(f"`{name}` is True or False.")
    return value


def items(values: Any, name: str, missing: ErrorCode = ErrorCode.STORE_ARGUMENT_INVALID) -> list[Any]:
    """The items of `values`, when it is an iterable of several things and not one text or mapping."""
    if isinstance(values, str | bytes | bytearray | memoryview | Mapping) or not isinstance(values, Iterable):
        raise store_error(missing, f"`{name}` is a list, or another iterable that is neither text nor a mapping.")
    try:
        return list(values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # its items are checked one by one
    except Exception as error:
        # A generator of the caller's that fails is the caller's failure, told as one of ours.
        raise store_error(missing, f"`{name}` could not be read to its end.") from error
