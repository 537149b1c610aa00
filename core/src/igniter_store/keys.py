"""Builds the keys that are sent to the backend; no other module does.

Rule: a key is `igniter:store:<service>[:<scope key>:<scope identifier>]...:<namespace>:<user key>`.
    User keys are opaque. The parts before them contain neither `:` nor control characters, so two
    different locations never share a key.
Rule: a key of other software may contain bytes that aren't UTF-8. A scan returns them as Python's
    `surrogateescape` does, and every operation accepts the key in that form (SCN-8).
"""

from __future__ import annotations

from typing import Any, Final

from igniter_store.arguments import plain_text
from igniter_store.contract import ErrorCode, name_from_bytes, name_to_bytes, store_error

ROOT: Final = "igniter:store"
NAMESPACES: Final = ("kv", "counter", "claim", "events", "streams")
OWN_NAMESPACES: Final = ("fence", "dead")
"""Namespaces that `@igniter-js/store` lacks: token counters of claims, dead letters of streams."""


def full_key(prefix: str, key: Any) -> str:
    """Return `prefix` followed by `key`, after checking `key`.

    Raises:
        InvalidArgument: `STORE_KEY_REQUIRED` when the key is missing; `STORE_KEY_INVALID` when it
            isn't text, or contains a surrogate that stands for no byte.
    """
    return prefix + checked_key(key, "key", ErrorCode.STORE_KEY_REQUIRED)


def checked_key(name: Any, what: str, missing: ErrorCode) -> str:
    """Check a name like `checked_name`, and also accept bytes that aren't UTF-8.

    A scan or another reply returns such a byte as a lone surrogate.
    """
    # The fast path for nearly every name.
    if type(name) is str and name and name.isascii():
        return name
    text = plain_text(name)
    if not text or is_encodable(text):
        return checked_name(name, what, missing)
    # Adjacent escaped bytes may form valid UTF-8. Decode them, so that each key has one form.
    return name_from_bytes(name_to_bytes(text))


def shown_name(name: str) -> str:
    """Return `name` for telemetry, without lone surrogates.

    Sinks encode it as UTF-8, which can't represent them.
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def checked_name(
    name: Any, what: str, missing: ErrorCode, *, invalid: ErrorCode = ErrorCode.STORE_KEY_INVALID
) -> str:
    """Return `name` if it is non-empty text that UTF-8 can encode.

    `name` is a key or another name that a user chose.
    """
    text = plain_text(name)
    if name is None or text == "":
        raise store_error(missing, f"The {what} is missing. Give a str of at least one character.")
    if text is None:
        raise store_error(invalid, f"The {what} has to be a str, not {type(name).__name__}.")
    if not is_encodable(text):
        raise store_error(
            invalid,
            f"The {what} holds a lone surrogate, which UTF-8 can't encode. Decode your text with "
            "errors='strict'.",
        )
    return text


def is_encodable(text: str) -> bool:
    """Return whether UTF-8 can encode `text`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_part(text: str) -> bool:
    """Return whether `text` can stand between two colons of a key.

    Such parts are the service, and a scope's key and identifier.
    """
    # `str.isprintable` would also refuse spaces other than " ", which are harmless.
    return (
        ":" not in text
        # Unicode's control characters
        and not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)  # noqa: PLR2004
        and is_encodable(text)
    )
