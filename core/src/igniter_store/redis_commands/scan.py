"""Scans: SCAN, and deletion by prefix.

Rule: a cursor is the server's cursor, followed by a checksum. The server would accept any number,
    and would start at an arbitrary place (SCN-4).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract.errors import ErrorCode, store_error
from igniter_store.contract.patterns import escape
from igniter_store.contract.scan import START, Scan, ScanPage
from igniter_store.redis_commands.client import Unknown
from igniter_store.redis_commands.keyvalue import all_of
from igniter_store.redis_commands.replies import count as number
from igniter_store.redis_commands.reply_errors import ConnectionLost, failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from igniter_store.redis_commands.client import CommandClient

_STEP: Final = 1000  # keys that delete_prefix examines in one round trip


class CommandScan(Scan):
    """Implements `Scan` with commands."""

    _commands: CommandClient

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        following, keys = await self._commands.scan(
            _opened(cursor, self.name), pattern, count, ErrorCode.STORE_SCAN_FAILED
        )
        # Keys of other software may not be valid UTF-8; they must not make the page fail.
        return ScanPage(
            _sealed(following), [key.decode("utf-8", "surrogateescape") for key in keys]
        )

    async def delete_prefix(self, prefix: str) -> int:
        commands, pattern = self._commands, f"{escape(prefix)}*"
        deleted, cursor = 0, START
        while True:
            cursor, keys = await commands.scan(
                cursor, pattern, _STEP, ErrorCode.STORE_OPERATION_FAILED
            )
            removing = [
                self._removed([keys[place] for place in group])
                for group in commands.group_by_slot(keys)
            ]
            deleted += sum(await all_of(removing, write=True))
            if cursor == START:
                return deleted

    async def _removed(self, keys: Sequence[bytes]) -> int:
        removed = await self._commands.write_if_supported("UNLINK", "UNLINK", *keys, read=number)
        if not isinstance(removed, Unknown):
            return removed
        again = await self._commands.write("DEL", *keys, read=number)
        # Some keys may have been deleted before the connection was lost.
        if removed.is_lost and again < len(keys):
            code = ErrorCode.STORE_OPERATION_FAILED
            raise failure(
                ConnectionLost(is_sent=True),
                code,
                0,
                backend=self.name,
                writes=True,
                words=("UNLINK",),
            )
        return again


async def scan_nodes(
    cursor: str,
    primaries: Sequence[tuple[int, str]],
    look: Callable[[str, str], Awaitable[tuple[str, list[bytes]]]],
    code: ErrorCode,
    backend: str,
) -> tuple[str, list[bytes]]:
    """Return one page of a scan over all primaries of a cluster, and the next cursor.

    A replica that takes over has the slots of its primary, but not its cursor, which is meaningless
    on another node. So if the node of a scan is no longer a primary, the scan must restart. A key
    whose slot moves during the scan may be returned twice or not at all.

    Args:
        cursor: the cursor of the previous page.
        primaries: the first slot and the name of each primary, in the order of the slots.
        look: reads a page of one node: accepts its name and cursor, and returns the next cursor and
            the keys.
        code: the error code if the scan can't continue.
        backend: the backend's name.
    """
    place, number = 0, START
    if cursor != START:
        slot, node, number = cursor.split("/")
        place = next(
            (at for at, primary in enumerate(primaries) if primary == (int(slot), node)), -1
        )
        if place < 0:
            message = 'The cluster has changed since the previous page. Restart the scan with "0".'
            raise store_error(code, message, backend=backend, retryable=True)
    following, keys = await look(primaries[place][1], number)
    if following == START:
        place += 1
        if place == len(primaries):
            return START, keys
    first, name = primaries[place]
    return f"{first}/{name}/{following}", keys


def _sealed(cursor: str) -> str:
    return cursor if cursor == START else f"{cursor}-{zlib.crc32(cursor.encode()):08x}"


def _opened(cursor: str, backend: str) -> str:
    own = cursor if cursor == START else cursor.rpartition("-")[0]
    if _sealed(own) != cursor:
        message = (
            "The cursor is invalid. Continue with the cursor of the previous page, or restart "
            'with "0".'
        )
        raise store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=backend)
    return own
