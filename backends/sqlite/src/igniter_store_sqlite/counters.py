"""Counters as decimal text, with Redis's idea of what an integer looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import Counters, ErrorCode, store_error

from igniter_store_sqlite import keyspace
from igniter_store_sqlite.errors import NAME, other_kind

if TYPE_CHECKING:
    from igniter_store_sqlite.worker import Session, Worker

# Python's int() takes more: spaces, "+1", "01", "1_000".
_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_MAX: Final = 2**63 - 1
_MIN: Final = -(2**63)


class SQLiteCounters(Counters):
    """`Counters` over a table."""

    _writes: Worker

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await self._writes.call(add, key.encode(), delta, ttl)


def add(  # noqa: PLR0913 - what INCRBY lacks
    session: Session, key: bytes, delta: int, ttl: float | None, *, start: int = 0, renew: bool = False
) -> int:
    """Add `delta` to the counter under `key`, a missing one counting from `start`; `ttl` only where there is none, unless `renew`."""
    found = keyspace.find(session, key)
    value, until = start, None
    if found is not None:
        text, stream, until = found
        if stream is not None or text is None:
            raise other_kind(ErrorCode.STORE_INCREMENT_FAILED)
        if not _INTEGER.fullmatch(text):
            raise _refused(
                "The key holds something that is no 64 bit integer in decimal. Count under another key, or remove this one first."
            )
        value = _checked(int(text))
    value = _checked(value + delta)
    if until is None or renew:
        until = keyspace.deadline(session, ttl)
    keyspace.put(session, key, b"%d" % value, until)
    return value


def _checked(value: int) -> int:
    if _MIN <= value <= _MAX:
        return value
    raise _refused("The counter would leave the range of signed 64 bit integers, so nothing was changed. Remove it to start again from 0.")


def _refused(message: str) -> Exception:
    return store_error(ErrorCode.STORE_INCREMENT_FAILED, message, backend=NAME)
