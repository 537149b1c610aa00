"""Computes the cluster slots of keys."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING, Final

from igniter_store.redis_commands.encoding import encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS: Final = 16_384


def slot_of(key: str | bytes) -> int:
    """Return the slot of a key.

    It is the CRC16 of the text in the first braces, or of the whole key if there is none.
    """
    data = encoded(key) if isinstance(key, str) else key
    _, opened, rest = data.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else data, 0) % SLOTS


def grouped_by_slot(keys: Sequence[str | bytes]) -> list[list[int]]:
    """Return indices of `keys`, one group for each slot."""
    groups: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(slot_of(key), []).append(place)
    return list(groups.values())
