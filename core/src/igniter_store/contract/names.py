"""Keys and other names as bytes, for backends that store or send them as such.

Rule: a name is text, and the bytes of other software's keys needn't be UTF-8. Such a byte is
    spelled as a lone surrogate, as Python's
`surrogateescape` does, so that every key that a scan gives goes back as it was (SCN-8).
"""

from __future__ import annotations

from igniter_store.contract.errors import ErrorCode, store_error


def name_to_bytes(name: str) -> bytes:
    """The bytes that a key, channel, group or field is named by.

    Raises:
        InvalidArgument: `STORE_KEY_INVALID` for a surrogate that stands for no byte.
    """
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass  # the exception holds the name, so it must not become the cause
    message = "A key or another name contains a lone surrogate, which UTF-8 can't encode. Decode your text with errors='strict'."
    raise store_error(ErrorCode.STORE_KEY_INVALID, message)


def name_from_bytes(data: bytes) -> str:
    """The name that `name_to_bytes` makes these bytes of."""
    return data.decode("utf-8", "surrogateescape")
