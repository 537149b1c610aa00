"""Computes the cluster slot of a key."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

from igniter_store.redis_commands.encoding import encoded

SLOTS: Final = 16_384


def slot_of(key: str | bytes) -> int:
    """Return the slot of a key.

    It is the CRC16 of the text in the first braces, or of the whole key if there is none.
    """
    data = encoded(key) if isinstance(key, str) else key
    _, opened, rest = data.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else data, 0) % SLOTS
