"""Assertions that several tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import BackendFailed, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def refused(call: Awaitable[object], code: ErrorCode, what: str, *others: ErrorCode) -> None:
    """Check that the backend refuses, with this code or one of the others."""
    try:
        answer = await call
    except BackendFailed as error:
        # says which of many calls it was
        assert error.code in (code, *others), f"{what}: refused with {error.code}"  # noqa: PT017
        return
    message = f"{what}: not refused, but answered with {answer!r}"
    raise AssertionError(message)
