"""Keys as they are on the wire: built here and nowhere else.

Rule: `igniter:store:<service>[:<scope key>:<scope identifier>]...:<namespace>:<user key>`. User
    keys are opaque; the parts before them hold
neither `:` nor control characters, so no two different places make one key.
Rule: a key of other software may hold bytes that aren't UTF-8. A scan gives them as Python's
    `surrogateescape` does, and every operation
takes them back in that form (SCN-8).
"""

from __future__ import annotations

from typing import Any, Final

from igniter_store.arguments import plain_text
from igniter_store.contract import ErrorCode, name_from_bytes, name_to_bytes, store_error

ROOT: Final = "igniter:store"
NAMESPACES: Final = ("kv", "counter", "claim", "events", "streams")
OWN_NAMESPACES: Final = ("fence", "dead")
"""Namespaces that `@igniter-js/store` doesn't have: token counters of claims, dead letters of
streams.
"""


def full_key(prefix: str, key: Any) -> str:
    """`prefix` and `key`, which is checked.

    Raises:
        InvalidArgument: `STORE_KEY_REQUIRED` when there is none, `STORE_KEY_INVALID` when it is no
            text, or holds a surrogate that stands for no byte.
    """
    return prefix + checked_key(key, "key", ErrorCode.STORE_KEY_REQUIRED)


def checked_key(name: Any, what: str, missing: ErrorCode) -> str:
    """As `checked_name`, for what a scan or another reply may have given: a byte that isn't UTF-8
    is a lone surrogate in it.
    """
    if (
        type(name) is str and name and name.isascii()
    ):  # nearly every one; a mock can say that its __class__ is str
        return name
    text = plain_text(name)
    if not text or is_encodable(text):
        return checked_name(name, what, missing)
    # Two such bytes beside each other may be UTF-8 after all; one key has one spelling.
    return name_from_bytes(name_to_bytes(text))


def shown_name(name: str) -> str:
    """`name` as telemetry gets it: sinks encode it as UTF-8, which has no lone surrogates."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def checked_name(
    name: Any, what: str, missing: ErrorCode, *, invalid: ErrorCode = ErrorCode.STORE_KEY_INVALID
) -> str:
    """`name`, a key or another name that a user chose, when it is non-empty text that UTF-8 can
    encode.
    """
    text = plain_text(name)
    if name is None or text == "":
        raise store_error(missing, f"The {what} is missing. Give a str of at least one character.")
    if text is None:
        raise store_error(invalid, f"The {what} has to be a str, not {type(name).__name__}.")
    if not is_encodable(text):
        raise store_error(
            invalid,
            f"The {what} holds a lone surrogate, which UTF-8 can't encode. Decode your text with errors='strict'.",
        )
    return text


def is_encodable(text: str) -> bool:
    """True when `text` has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_part(text: str) -> bool:
    """True when `text` may stand between the colons: a service, a scope's key or identifier."""
    # str.isprintable would refuse spaces other than " ", which are harmless.
    return (
        ":" not in text
        # Unicode's control characters
        and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)  # noqa: PLR2004
        and is_encodable(text)
    )
