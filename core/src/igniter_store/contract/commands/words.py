"""Text as bytes: what goes to the server as a word of a command.

Rule: keys and channels of others may be no UTF-8. They are read with surrogates for the bytes that are none, and go back as they were.
"""

from __future__ import annotations

from igniter_store.contract.errors import ErrorCode, store_error


def encoded(text: str) -> bytes:
    """The bytes of a word.

    Raises:
        InvalidArgument: `STORE_KEY_INVALID` for a surrogate that stands for no byte.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass  # it holds the text, so it is no cause
    message = "A key or another name holds a lone surrogate, which UTF-8 can't encode. Decode your text with errors='strict'."
    raise store_error(ErrorCode.STORE_KEY_INVALID, message)


def decoded(word: bytes) -> str:
    """The text that `encoded` makes these bytes of."""
    return word.decode("utf-8", "surrogateescape")
