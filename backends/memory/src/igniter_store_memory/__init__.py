"""The in-memory backend of igniter-store.

It passes the same conformance suite as the server backends, so tests that use it are meaningful.
"""

from igniter_store_memory.adapter import MemoryAdapter

__all__ = ["MemoryAdapter"]
