"""What nobody sees any more is removed in the background, in small steps: expired keys, what streams have left, messages that were read.

Rule: first it is looked, on the connection that reads, so that an idle database isn't written.
Rule: a step is short, and others have their turn between two; so a million expired keys hold up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import StoreError
from igniter_store.contract.affinity import forget_task
from sqlalchemy import bindparam, delete, exists, select

from igniter_store_sqlite import pubsub
from igniter_store_sqlite.log import remove_group
from igniter_store_sqlite.statements import NONE, constant, sql
from igniter_store_sqlite.tables import ENTRIES, GROUPS, KEYS, PENDING, STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_sqlite.worker import Session, Worker

_PAUSE: Final = 1.0  # seconds between two looks
_STEP: Final = 500  # rows that a step removes
_LOOKED_AT: Final = 200  # streams that a look goes through
_PAGES: Final = 200  # that a step gives back to the file system
_FREE: Final = 1_000  # pages that may be free before any is given back, and a quarter of all: they are soon filled again

_EXPIRED: Final = (
    select(KEYS.c.key).where(KEYS.c.deadline <= bindparam("now")).order_by(KEYS.c.deadline).limit(bindparam("count")).offset(NONE)
)
_IS_EXPIRED: Final = sql(_EXPIRED)
_DELETE_EXPIRED: Final = sql(delete(KEYS).where(KEYS.c.key.in_(_EXPIRED)))
_IS_HELD: Final = exists().where(KEYS.c.key == STREAMS.c.key, KEYS.c.stream == STREAMS.c.number)
_STREAMS: Final = sql(
    select(STREAMS.c.number, _IS_HELD)
    .where(STREAMS.c.number > bindparam("after"))
    .order_by(STREAMS.c.number)
    .limit(constant(_LOOKED_AT))
    .offset(NONE)
)
_ENTRIES: Final = sql(
    delete(ENTRIES).where(
        ENTRIES.c.stream == bindparam("number"),
        ENTRIES.c.id.in_(select(ENTRIES.c.id).where(ENTRIES.c.stream == bindparam("number")).limit(constant(_STEP)).offset(NONE)),
    )
)
_GROUPS: Final = sql(select(GROUPS.c.number).where(GROUPS.c.stream == bindparam("number")))
_PENDING: Final = sql(
    delete(PENDING).where(
        PENDING.c.group == bindparam("number"),
        PENDING.c.id.in_(select(PENDING.c.id).where(PENDING.c.group == bindparam("number")).limit(constant(_STEP)).offset(NONE)),
    )
)
_STREAM: Final = sql(delete(STREAMS).where(STREAMS.c.number == bindparam("number")))


class Sweeper:
    """Sweeps as long as it runs.

    Args:
        reads: to look with.
        writes: to remove with.
    """

    def __init__(self, reads: Worker, writes: Worker) -> None:
        self._reads = reads
        self._writes = writes
        self._looked_at = 0  # the number of the last stream that was looked at
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._sweeping = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End; what is under way is finished."""
        sweeping, self._sweeping = self._sweeping, None
        if sweeping is not None:
            sweeping.cancel()
            await asyncio.wait({sweeping})

    def abandon(self) -> None:
        """As `close`, when the event loop is closed."""
        forget_task(self._sweeping)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            # A disk that is full or a lock that somebody holds is told to those who write; here it is tried again.
            with contextlib.suppress(StoreError):
                await self.sweep()

    async def sweep(self) -> None:
        """Remove all that is there to be removed, but look at some of the streams only."""
        is_expired, is_read, held, has_room = await self._reads.call(_look, self._looked_at)
        if is_expired:
            await self._all_of(_drop_expired)
            held = await self._reads.call(_streams, self._looked_at)  # some of them have gone just now
        if is_read:
            await self._writes.call(pubsub.forget_silent)
            await self._all_of(pubsub.drop_read)
        self._looked_at = held[-1][0] if len(held) == _LOOKED_AT else 0
        for number, is_held in held:
            if not is_held:
                await self._all_of(_drop_part, number)
        while has_room and await self._writes.call(_give_back):
            has_room = await self._reads.call(_has_room)

    async def _all_of(self, work: Callable[..., bool], *arguments: Any) -> None:
        """Do a step of it until there is nothing left; between two of them those who have called meanwhile have their turn."""
        while await self._writes.call(work, *arguments):
            pass


def _look(session: Session, after: int) -> tuple[bool, bool, list[tuple[int, int]], bool]:
    """Whether there are expired keys, whether there are messages nobody needs, some streams, and whether there are many free pages."""
    is_expired = session.execute(_IS_EXPIRED, {"now": session.now, "count": 1}).fetchone() is not None
    return is_expired, pubsub.is_anything_read(session), _streams(session, after), _has_room(session)


def _streams(session: Session, after: int) -> list[tuple[int, int]]:
    return session.execute(_STREAMS, {"after": after}).fetchall()


def _drop_expired(session: Session) -> bool:
    """Remove a step of expired keys; whether there may be more."""
    return session.execute(_DELETE_EXPIRED, {"now": session.now, "count": _STEP}).rowcount == _STEP


def _drop_part(session: Session, number: int) -> bool:
    """Remove a step of what a stream has left that no key holds any more; whether there is more."""
    if session.execute(_ENTRIES, {"number": number}).rowcount:
        return True
    for (group,) in session.execute(_GROUPS, {"number": number}).fetchall():
        if session.execute(_PENDING, {"number": group}).rowcount:
            return True
        remove_group(session, group)
    session.execute(_STREAM, {"number": number})
    return False


def _has_room(session: Session) -> bool:
    [free] = session.execute("PRAGMA freelist_count").fetchone()
    [pages] = session.execute("PRAGMA page_count").fetchone()
    return bool(free > _FREE and free > pages / 4)


def _give_back(session: Session) -> bool:
    """Give pages back to the file system; False when the database was not made for that."""
    [mode] = session.execute("PRAGMA auto_vacuum").fetchone()
    if mode:
        session.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return bool(mode)
