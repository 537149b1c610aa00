"""Scopes: the tenants that a store's keys belong to.

Rule: a scope is a pair of a declared key and an identifier. Both stand between colons in every key,
    so neither contains a colon.
Rule: if a declared scope is required, a store whose chain lacks it refuses every operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from igniter_store.arguments import plain_int, plain_text
from igniter_store.contract import ErrorCode, store_error
from igniter_store.keys import NAMESPACES, OWN_NAMESPACES, ROOT, is_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from igniter_store.contract import StoreError


class Scope(Struct, frozen=True):
    """One step of a scope chain; events carry it."""

    key: str
    identifier: str


class ScopeDefinition(Struct, frozen=True):
    """A scope declared with the builder."""

    key: str
    required: bool = False
    description: str | None = None


def scope_key(key: Any) -> str:
    """Return `key` if it is a valid name of a scope."""
    name = plain_text(key)
    if key is None or name == "":
        raise store_error(
            ErrorCode.STORE_SCOPE_KEY_REQUIRED,
            "The scope's key is missing. Give a str such as 'organization'.",
        )
    if name is None or not is_part(name) or name in {*NAMESPACES, *OWN_NAMESPACES}:
        words = ", ".join((*NAMESPACES, *OWN_NAMESPACES))
        raise store_error(
            ErrorCode.STORE_INVALID_SCOPE_KEY,
            "A scope's key is a str without ':' and control characters, and none of the words "
            f"{words}.",
        )
    return name


def make_scope(key: Any, identifier: Any, definitions: Mapping[str, ScopeDefinition]) -> Scope:
    """Return the scope with this key and identifier.

    If `definitions` isn't empty, the key must be one of them.
    """
    name = scope_key(key)
    if definitions and name not in definitions:
        raise store_error(
            ErrorCode.STORE_INVALID_SCOPE_KEY,
            f"The scope {name!r} isn't declared. Use one of {', '.join(definitions)}, or declare "
            "it with add_scope().",
            details={"scope_key": name, "declared": list(definitions)},
        )
    text = identifier_text(identifier)
    if identifier is None or text == "":
        raise store_error(
            ErrorCode.STORE_SCOPE_IDENTIFIER_REQUIRED,
            (f"The identifier of scope {name!r} is missing. Pass a str or an int."),
        )
    if text is None:
        raise store_error(
            ErrorCode.STORE_SCOPE_INVALID,
            f"The identifier of scope {name!r} {_no_text(identifier)}",
        )
    if not is_part(text):
        raise store_error(
            ErrorCode.STORE_SCOPE_INVALID,
            f"The identifier of scope {name!r} contains ':', a control character or a lone "
            "surrogate, so it could be mistaken for another scope. Encode it first.",
        )
    return Scope(name, text)


def missing_scope(
    chain: Sequence[Scope], definitions: Mapping[str, ScopeDefinition]
) -> Callable[[], StoreError] | None:
    """Return a factory for the error of a store whose chain lacks a required scope.

    `None` when no required scope is missing.
    """
    present = {scope.key for scope in chain}
    missing = [
        key for key, definition in definitions.items() if definition.required and key not in present
    ]
    if not missing:
        return None
    return lambda: store_error(
        ErrorCode.STORE_SCOPE_REQUIRED,
        f"This store lacks the required scope {missing[0]!r}. Use the store that "
        f"store.scope({missing[0]!r}, identifier) returns.",
        details={"missing": missing},
    )


def _no_text(identifier: Any) -> str:
    kind = type(identifier).__name__
    is_binary = isinstance(identifier, bytes | bytearray | memoryview)
    cure = "Decode it first." if is_binary else "Make it one with str(...)."
    return f"must be a str or an int, not {kind}. {cure}"


def prefix_of(service: str, chain: Sequence[Scope]) -> str:
    """Return the common prefix of the keys of this service and chain.

    It ends with the colon before the namespace.
    """
    return (
        ":".join(
            (ROOT, service, *(part for scope in chain for part in (scope.key, scope.identifier)))
        )
        + ":"
    )


def identifier_text(identifier: Any) -> str | None:
    """Return a `str` or an `int` as text, and `None` for any other type."""
    number = plain_int(identifier)
    return plain_text(identifier) if number is None else str(number)
