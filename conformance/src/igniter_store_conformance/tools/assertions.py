"""Assertions that several tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import BackendFailed, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def refused(call: Awaitable[object], code: ErrorCode, what: str, *others: ErrorCode) -> None:
    """Check that the call raises `BackendFailed` with this code, or with one of the others."""
    try:
        answer = await call
    except BackendFailed as error:
        # the message names the call, which may be one of many
        assert error.code in (code, *others), f"{what}: refused with {error.code}"  # noqa: PT017
        return
    message = f"{what}: not refused, but answered with {answer!r}"
    raise AssertionError(message)
