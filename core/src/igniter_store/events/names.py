"""Checks the names of events.

Rule: the rules are those of `@igniter-js/store`, so that both libraries accept the same registries.
Rule: the full name of an event is `<namespace>:[<group>:]...<event>`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from igniter_store.arguments import plain_text
from igniter_store.contract import ErrorCode, store_error
from igniter_store.keys import checked_name, is_encodable

_RESERVED: Final = ("igniter", "ign", "__internal", "__")
_RESERVED_STARTS: Final = ("igniter", "ign", "__")
_GLOB: Final = frozenset("*?[\\")


def namespace_name(name: Any) -> str:
    """Return `name` if it is valid as the namespace of a registry.

    Raises:
        EventError: `STORE_INVALID_NAMESPACE`, `STORE_RESERVED_NAMESPACE`.
    """
    text = plain_text(name)
    if not text or "." in text or ":" in text or not is_encodable(text):
        raise store_error(
            ErrorCode.STORE_INVALID_NAMESPACE,
            "An events namespace must be a non-empty str without '.' and ':'. The colon before "
            "the event's name is added automatically.",
        )
    lower = text.lower()
    if any(lower == word or lower.startswith((f"{word}-", f"{word}_")) for word in _RESERVED):
        raise store_error(
            ErrorCode.STORE_RESERVED_NAMESPACE,
            f"The events namespace {text!r} is reserved, as are {', '.join(_RESERVED)}. Choose "
            "another.",
        )
    return text


def event_name(name: Any, what: str) -> str:
    """Return `name` if it is valid for an event or a group (`what`).

    Raises:
        EventError: `STORE_INVALID_EVENT_NAME`, `STORE_RESERVED_NAMESPACE`.
    """
    text = plain_text(name)
    if not text or "." in text or " " in text or is_pattern(text) or not is_encodable(text):
        raise store_error(
            ErrorCode.STORE_INVALID_EVENT_NAME,
            f"The name of an {what} must be a non-empty str without '.', spaces and the glob "
            "characters * ? [ \\. Use kebab-case or snake_case.",
        )
    if text.lower().startswith(_RESERVED_STARTS):
        raise store_error(
            ErrorCode.STORE_RESERVED_NAMESPACE,
            f"The {what} name {text!r} begins with a reserved word "
            f"({', '.join(_RESERVED_STARTS)}). Choose another.",
        )
    return text


def is_pattern(name: str) -> bool:
    """Return whether `name` is a glob pattern and not a single name."""
    return not _GLOB.isdisjoint(name)


def name_to_publish(name: Any) -> str:
    """Return `name` if it is valid for publishing.

    Raises:
        EventError: `STORE_INVALID_EVENT_NAME`.
    """
    return _name_to_publish(name) if type(name) is str else _name_to_publish.__wrapped__(name)


@lru_cache(maxsize=1024)  # a service publishes few different events, each very often
def _name_to_publish(name: Any) -> str:
    checked = name_to_subscribe(name)
    if is_pattern(checked):
        raise store_error(
            ErrorCode.STORE_INVALID_EVENT_NAME,
            f"Can't publish under {checked!r}: it contains glob characters (* ? [ \\), which are "
            "only for subscribing. Use a plain name.",
        )
    return checked


def name_to_subscribe(name: Any) -> str:
    """Return `name` if it is valid for subscribing, as one name or as a pattern.

    Raises:
        EventError: `STORE_INVALID_EVENT_NAME`.
    """
    return checked_name(
        name,
        "event's name",
        ErrorCode.STORE_INVALID_EVENT_NAME,
        invalid=ErrorCode.STORE_INVALID_EVENT_NAME,
    )
