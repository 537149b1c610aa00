"""Checks plain arguments, so that a wrong one raises a clear error before anything is sent.

Rule: Wrong arguments raise `STORE_ARGUMENT_INVALID` here instead of Python's `TypeError` or
    `ValueError`, unless the argument has an error code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from igniter_store.contract import ErrorCode, StoreError, store_error
from igniter_store.contract.errors import described_type


def plain_text(value: Any) -> str | None:
    """Return `value` as a plain `str` if it is a `str`, otherwise None.

    A StrEnum or another subclass therefore can't change how it is printed.
    """
    return str.__str__(value) if isinstance(value, str) else None


def plain_int(value: Any) -> int | None:
    """Return `value` as a plain `int` if it is an `int` and not a `bool`, otherwise None."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def invalid(message: str) -> StoreError:
    """Create the error for an argument that has no error code of its own."""
    return store_error(ErrorCode.STORE_ARGUMENT_INVALID, message)


def whole_number(value: Any, name: str, *, least: int) -> int:
    """Return `value` if it is an integer in the valid range.

    It must be an `int`, not a `bool`, at least `least`, and fit into a signed 64-bit integer.
    """
    number = plain_int(value)
    if number is None or not least <= number < 2**63:
        raise invalid(f"`{name}` must be an integer of {least} or more.")
    return number


def optional_whole_number(value: Any, name: str, *, least: int) -> int | None:
    """Like `whole_number`, but `None` stays `None`."""
    return None if value is None else whole_number(value, name, least=least)


def boolean(value: Any, name: str) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise invalid(f"`{name}` must be True or False.")
    return value


def items(
    values: Any,
    name: str,
    missing: ErrorCode = ErrorCode.STORE_ARGUMENT_INVALID,
    *,
    wanted: str = "a list or another iterable, but not text or a mapping",
) -> list[Any]:
    """Return the items of `values` if it is an iterable, and not text or a mapping."""
    untyped: Any = values
    if isinstance(values, str | bytes | bytearray | memoryview | Mapping) or not isinstance(
        values, Iterable
    ):
        raise store_error(missing, f"`{name}` must be {wanted}. It is {described_type(untyped)}.")
    try:
        # The caller checks the items one by one.
        return list(values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    except Exception as error:
        # The caller's own iterator failed. Raise the failure as a store error.
        raise store_error(missing, f"Iterating over `{name}` failed. See the cause.") from error
