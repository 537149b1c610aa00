"""The SQLite backend of igniter-store: a file that the processes of one machine share, or a
database in memory.
"""

from igniter_store_sqlite.adapter import SQLiteAdapter

__all__ = ["SQLiteAdapter"]
