"""Removes unused rows in the background, in small steps.

These are expired keys, rows of deleted streams, and messages that every listener has read. The
sweeper also shortens deadlines that were set before the clock was set back.

Rule: the sweeper looks first, on the read connection, so an idle database isn't written.
Rule: a step is short, and other calls run between two steps, so a million expired keys don't delay
    any call.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from igniter_store.contract import StoreError
from igniter_store.contract.affinity import background, forget_task
from sqlalchemy import bindparam, delete, exists, func, select, update

from igniter_store_sqlite import pubsub
from igniter_store_sqlite.log import remove_group
from igniter_store_sqlite.statements import NONE, constant, sql
from igniter_store_sqlite.tables import ENTRIES, GROUPS, KEYS, PENDING, STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_sqlite.log_files import LogFile
    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_PAUSE: Final = 1.0  # seconds between two sweeps
_STEP: Final = 500  # rows that a step removes
_BEFORE_ALL: Final = -(2**63)
_LOOKED_AT: Final = 200  # streams checked in one sweep
_LOOKED_AT_KEYS: Final = 1_000  # deadlines checked in one sweep
# Microseconds by which the clock may be set back without a check of every deadline
_SLACK: Final = 1_000_000
_PAGES: Final = 200  # pages that a step returns to the file system
# Free pages that are kept, as is a quarter of all pages: they are soon filled again
_FREE: Final = 1_000

_EXPIRED: Final = (
    select(KEYS.c.key)
    .where(KEYS.c.deadline <= bindparam("now"))
    .order_by(KEYS.c.deadline)
    .limit(bindparam("count"))
    .offset(NONE)
)
_IS_EXPIRED: Final = sql(_EXPIRED)
_DELETE_EXPIRED: Final = sql(delete(KEYS).where(KEYS.c.key.in_(_EXPIRED)))
_NEXT_DEADLINES: Final = (
    select(KEYS.c.deadline, KEYS.c.since)
    .where(KEYS.c.deadline > bindparam("after"))
    .order_by(KEYS.c.deadline)
    .limit(bindparam("count"))
    .offset(NONE)
    .subquery()
)
_DEADLINES: Final = sql(
    select(func.count(), func.max(_NEXT_DEADLINES.c.deadline), func.max(_NEXT_DEADLINES.c.since))
)
_SET_IN_THE_FUTURE: Final = (
    select(KEYS.c.key)
    .where(
        KEYS.c.deadline > bindparam("after"),
        KEYS.c.deadline <= bindparam("last"),
        KEYS.c.since > bindparam("now"),
    )
    .limit(bindparam("count"))
    .offset(NONE)
)
_BOUND: Final = sql(
    update(KEYS)
    .where(KEYS.c.key.in_(_SET_IN_THE_FUTURE))
    .values(deadline=bindparam("now") + KEYS.c.deadline - KEYS.c.since, since=bindparam("now"))
)
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
        ENTRIES.c.id.in_(
            select(ENTRIES.c.id)
            .where(ENTRIES.c.stream == bindparam("number"))
            .limit(constant(_STEP))
            .offset(NONE)
        ),
    )
)
_GROUPS: Final = sql(select(GROUPS.c.number).where(GROUPS.c.stream == bindparam("number")))
_PENDING: Final = sql(
    delete(PENDING).where(
        PENDING.c.group == bindparam("number"),
        PENDING.c.id.in_(
            select(PENDING.c.id)
            .where(PENDING.c.group == bindparam("number"))
            .limit(constant(_STEP))
            .offset(NONE)
        ),
    )
)
_STREAM: Final = sql(delete(STREAMS).where(STREAMS.c.number == bindparam("number")))


class _SweepWork(NamedTuple):
    """The work that a sweep has found.

    Attributes:
        now: the wall clock, in microseconds.
        is_expired: whether there are expired keys.
        is_read: whether there are messages that every listener has read.
        silent: the listeners that may be dead.
        deadlines: the number of deadlines checked, the last of them, and the latest time at which
            one of them was set.
        streams: some streams, and whether a key holds each of them.
        has_room: whether there are many free pages.
    """

    now: int
    is_expired: bool
    is_read: bool
    silent: pubsub.Doubts
    deadlines: tuple[int, int, int]
    streams: list[tuple[int, int]]
    has_room: bool


class Sweeper:
    """Sweeps as long as it runs.

    Args:
        reads: worker that looks for work.
        writes: worker that removes rows.
        log_file: the database's WAL; `None` in memory.
    """

    def __init__(self, reads: Worker, writes: Worker, log_file: LogFile | None) -> None:
        self._reads = reads
        self._writes = writes
        self._log_file = log_file
        self._looked_at = 0  # number of the last stream checked
        self._last_deadline = _BEFORE_ALL  # last deadline checked
        self._doubts: pubsub.Doubts = {}  # as found by the last sweep
        self._ahead: int | None = None  # wall clock minus monotonic clock
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sweeping."""
        self._sweeping = asyncio.create_task(background(self._run))

    async def close(self) -> None:
        """Stop, after the step in progress."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
            self._sweeping = None

    def abandon(self) -> None:
        """Do as `close`, for a closed event loop."""
        forget_task(self._sweeping)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            # Writers get the error of a full disk or a held lock; this only tries again.
            with contextlib.suppress(StoreError):
                await self.sweep()
            if self._log_file is not None:
                with contextlib.suppress(StoreError, sqlite3.Error):
                    await self._log_file.tend()

    async def sweep(self) -> None:
        """Remove all unused rows, but check only some of the streams and deadlines."""
        look = await self._reads.call(_look, self._looked_at, self._last_deadline)
        held, has_room = look.streams, look.has_room
        if look.is_expired:
            await self._all_of(_drop_expired)
            # Some of them have just expired.
            held = await self._reads.call(_streams, self._looked_at)
        is_judged = pubsub.is_to_be_judged(look.silent, self._doubts)
        self._doubts = (
            await self._writes.call(pubsub.judge, self._doubts) if is_judged else look.silent
        )
        if is_judged or look.is_read:
            await self._all_of(pubsub.drop_read)
        await self._bound(look)
        self._looked_at = held[-1][0] if len(held) == _LOOKED_AT else 0
        for number, is_held in held:
            if not is_held:
                await self._all_of(_drop_part, number)
        while has_room and await self._writes.call(_give_back):
            has_room = await self._reads.call(_has_room)

    async def _bound(self, look: _SweepWork) -> None:
        """Shorten deadlines that were set before the clock was set back.

        So no key lives longer than its TTL from now.
        """
        ahead = look.now - time.monotonic_ns() // 1000
        was_set_back, self._ahead = self._ahead is not None and ahead < self._ahead - _SLACK, ahead
        deadlines = look.deadlines
        # This sweeper has seen the change itself, so it checks every deadline from the first one.
        if was_set_back and self._last_deadline != _BEFORE_ALL:
            self._last_deadline = _BEFORE_ALL
            deadlines = await self._reads.call(_deadlines, self._last_deadline)
        while True:
            count, last, since = deadlines
            if since > look.now + _SLACK:
                await self._all_of(_bring_nearer, self._last_deadline, last)
            self._last_deadline = last if count == _LOOKED_AT_KEYS else _BEFORE_ALL
            if not was_set_back or self._last_deadline == _BEFORE_ALL:
                return
            deadlines = await self._reads.call(_deadlines, self._last_deadline)

    async def _all_of(self, work: Callable[..., bool], *arguments: Any) -> None:
        """Repeat a step until nothing is left; other calls run between two steps."""
        while await self._writes.call(work, *arguments):
            pass


def _look(session: Session, stream: int, deadline: int) -> _SweepWork:
    return _SweepWork(
        now=session.now,
        is_expired=session.execute(_IS_EXPIRED, {"now": session.now, "count": 1}).fetchone()
        is not None,
        is_read=pubsub.is_anything_read(session),
        silent=pubsub.silent(session),
        deadlines=_deadlines(session, deadline),
        streams=_streams(session, stream),
        has_room=_has_room(session),
    )


def _deadlines(session: Session, after: int) -> tuple[int, int, int]:
    count, last, since = session.execute(
        _DEADLINES, {"after": after, "count": _LOOKED_AT_KEYS}
    ).fetchone()
    return count, last or _BEFORE_ALL, since or 0


def _bring_nearer(session: Session, after: int, last: int) -> bool:
    """Shorten a batch of deadlines in the range that were set in the future.

    It returns whether there may be more.
    """
    return (
        session.execute(
            _BOUND, {"after": after, "last": last, "now": session.now, "count": _STEP}
        ).rowcount
        == _STEP
    )


def _streams(session: Session, after: int) -> list[tuple[int, int]]:
    return session.execute(_STREAMS, {"after": after}).fetchall()


def _drop_expired(session: Session) -> bool:
    """Remove a batch of expired keys; return whether there may be more."""
    return session.execute(_DELETE_EXPIRED, {"now": session.now, "count": _STEP}).rowcount == _STEP


def _drop_part(session: Session, number: int) -> bool:
    """Remove a batch of the rows of a deleted stream; return whether there are more."""
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
    """Return pages to the file system; False if the database wasn't created for that."""
    [mode] = session.execute("PRAGMA auto_vacuum").fetchone()
    if mode:
        session.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return bool(mode)
