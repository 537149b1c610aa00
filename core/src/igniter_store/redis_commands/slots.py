"""Which slot of a cluster a key is in."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

from igniter_store.redis_commands.encoding import encoded

SLOTS: Final = 16_384


def slot_of(key: str | bytes) -> int:
    """The slot of a key: CRC16 of what stands in its first braces, if anything does, else of all of
    it.
    """
    data = encoded(key) if isinstance(key, str) else key
    _, opened, rest = data.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else data, 0) % SLOTS
