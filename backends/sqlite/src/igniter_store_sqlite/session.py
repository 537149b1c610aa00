"""The arguments of work in a transaction: the connection and the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


class Session:
    """The connection, within a transaction, and the time.

    Attributes:
        execute: runs one statement with its parameters, and returns a cursor.
        execute_many: runs one statement for each set of parameters.
        now: microseconds since 1970, constant during a transaction.
    """

    __slots__ = ("execute", "execute_many", "now")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.execute_many: Callable[..., sqlite3.Cursor] = connection.executemany
        self.now: int = time.time_ns() // 1000
