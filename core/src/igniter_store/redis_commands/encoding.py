"""The arguments of commands as bytes; text is encoded as `contract.names` does."""

from __future__ import annotations

from typing import Any

from igniter_store.contract.names import name_from_bytes as decoded
from igniter_store.contract.names import name_to_bytes as encoded

__all__ = ["as_bytes", "decoded", "encoded"]


def as_bytes(word: Any) -> bytes:
    """Encode an argument of a command: text, bytes of any kind, or a number."""
    if isinstance(word, str):
        return encoded(word)
    if isinstance(word, bytes):
        return word
    if isinstance(word, (bytearray, memoryview)):
        # a memoryview of any format
        return bytes(word)  # pyright: ignore[reportUnknownArgumentType]
    return str(word).encode()
