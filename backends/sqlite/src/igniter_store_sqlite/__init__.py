"""The SQLite backend of igniter-store.

It keeps the data in a file that the processes of one machine share, or in memory.
"""

from igniter_store_sqlite.adapter import SQLiteAdapter

__all__ = ["SQLiteAdapter"]
