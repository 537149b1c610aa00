"""Counters as decimal text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import Counters, count_on, name_to_bytes

from igniter_store_sqlite import keyspace
from igniter_store_sqlite.errors import ERRORS, NAME

if TYPE_CHECKING:
    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker


class SQLiteCounters(Counters):
    """`Counters` on a table."""

    _writes: Worker

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await self._writes.call(add, name_to_bytes(key), delta, ttl)


def add(  # noqa: PLR0913 - arguments of INCRBY, plus those of a fencing token
    session: Session,
    key: bytes,
    delta: int,
    ttl: float | None,
    *,
    start: int = 0,
    renew: bool = False,
) -> int:
    """Add `delta` to the counter under `key`.

    A missing counter starts at `start`. `ttl` applies only if the key has none, unless `renew`.
    """
    found = keyspace.find(session, key)
    text, stream, until, since = (b"%d" % start, None, None, None) if found is None else found
    if stream is not None or text is None:
        raise ERRORS.no_number()
    value = count_on(text, delta, backend=NAME)
    until = (
        keyspace.deadline(session, ttl)
        if until is None or renew
        else keyspace.bounded(session, until, since)
    )
    keyspace.put(session, key, b"%d" % value, until)
    return value
