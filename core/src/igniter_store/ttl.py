"""Converts times given by users to seconds.

Rule: a time to live is greater than 0 and at most 10^10 seconds (317 years). Zero, NaN, infinity,
    bool and larger values are refused before anything is sent, because backends interpret them
    differently.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.arguments import plain_int
from igniter_store.contract import ErrorCode, store_error

if TYPE_CHECKING:
    from igniter_store.contract import StoreError

Ttl: TypeAlias = int | float | timedelta
"""Seconds, or a `timedelta`."""

MAX_SECONDS: Final = 10_000_000_000

OMIT: Final = "; omit it for none"
"""The cure in the message for an invalid TTL that is optional."""


def ttl_seconds(ttl: Ttl, *, cure: str = "") -> float:
    """Return `ttl` in seconds.

    Raises:
        InvalidArgument: `STORE_TTL_INVALID`.
    """
    seconds = _seconds(ttl)
    if seconds is None or not 0 < seconds <= MAX_SECONDS:
        raise _invalid("A TTL", ttl, seconds, cure=cure)
    return seconds


def optional_ttl_seconds(ttl: Ttl | None) -> float | None:
    """Return `ttl` in seconds, or `None` for `None`."""
    return None if ttl is None else ttl_seconds(ttl, cure=OMIT)


def waiting_seconds(time: Ttl, name: str) -> float:
    """Return a time to wait, or an idle time, in seconds; it may be 0."""
    seconds = _seconds(time)
    if seconds is None or not 0 <= seconds <= MAX_SECONDS:
        raise _invalid(f"`{name}`", time, seconds, least="at least 0")
    return seconds


def _seconds(time: Any) -> float | None:
    """Return a number or a `timedelta` in seconds; `None` for any other type."""
    if isinstance(time, timedelta):
        return time.total_seconds()
    if isinstance(time, float):
        return float(time)
    number = plain_int(time)
    return None if number is None else float(number)


def _invalid(
    name: str, time: Any, seconds: float | None, *, least: str = "more than 0", cure: str = ""
) -> StoreError:
    hint = ""
    if seconds is None:
        hint = f" Its type is {type(time).__name__}."
    elif MAX_SECONDS < seconds < math.inf:
        hint = " Is this value in milliseconds?"
    return store_error(
        ErrorCode.STORE_TTL_INVALID,
        f"{name} must be a number of seconds or a timedelta, {least} and at most 317 years{cure}."
        f"{hint}",
    )
