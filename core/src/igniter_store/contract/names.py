"""Converts keys and other names to bytes and back, for backends that store or send bytes.

Rule: a name is text, but the keys of other software may not be valid UTF-8. Each invalid byte is
    represented by a lone surrogate, as Python's `surrogateescape` does. So every key that a scan
    returns can be passed back unchanged (SCN-8).
"""

from __future__ import annotations

from igniter_store.contract.errors import ErrorCode, store_error


def name_to_bytes(name: str) -> bytes:
    """Return the bytes of a key, channel, group or field name.

    Raises:
        InvalidArgument: `STORE_KEY_INVALID` for a surrogate that doesn't represent a byte.
    """
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass  # the exception contains the name, so it must not become the cause
    message = (
        "A key or another name contains a lone surrogate, which UTF-8 can't encode. "
        "Decode your text with errors='strict'."
    )
    raise store_error(ErrorCode.STORE_KEY_INVALID, message)


def name_from_bytes(data: bytes) -> str:
    """Return the name that `name_to_bytes` converts to these bytes."""
    return data.decode("utf-8", "surrogateescape")
