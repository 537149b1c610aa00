"""The in-memory backend of igniter-store: it passes the suite that the servers pass, so tests
against it mean something.
"""

from igniter_store_memory.adapter import MemoryAdapter

__all__ = ["MemoryAdapter"]
