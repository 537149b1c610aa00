"""The data that all questions store: a JSON object of 40 bytes, under keys of one length."""

from __future__ import annotations

from typing import Any, Final

SERVICE: Final = "benchmark"


def key_of(number: int) -> str:
    """Return the key with that number, below ten million."""
    return f"user:{number:07}"


def value_of(key: str) -> dict[str, Any]:
    """Return the value of `key`. Each key has a different value, and all have the same length."""
    return {"id": 10_000_000 + int(key[5:]), "name": "Ada L", "ok": True}


KEY: Final = key_of(1)
VALUE: Final = value_of(KEY)
