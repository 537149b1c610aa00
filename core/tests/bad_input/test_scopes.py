"""Scopes and actors: bad keys, identifiers and declarations are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from igniter_store import ErrorCode, Store, StoreError

from .wrong_values import NOT_BOOLEANS, NOT_PARTS, NOT_TEXT, SURROGATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store import RecordingAdapter

BAD_ACTORS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "bool": True,
    "float": 1.5,
    "bytes": b"u1",
    "surrogate": SURROGATE,
    "list": ["u1"],
}


@pytest.mark.parametrize("bad", BAD_ACTORS)
def test_a_bad_actor_is_refused(bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.as_actor(BAD_ACTORS[bad])

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


@pytest.mark.parametrize("bad", ["", 5, b"user", True, SURROGATE], ids=ascii)
def test_a_bad_type_of_an_actor_is_refused(bad: Any, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.as_actor("u1", type=bad)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


BAD_KEYS: dict[str, Any] = {
    **NOT_TEXT,
    **NOT_PARTS,
    **{
        f"namespace {word}": word
        for word in ("kv", "counter", "claim", "events", "streams", "fence", "dead")
    },
}
TAKES_SCOPE_KEY: dict[str, Callable[[Any, Any], Any]] = {
    "scope": lambda store, key: store.scope(key, 1),
    "add_scope": lambda _, key: Store.create().add_scope(key),
}


@pytest.mark.parametrize("bad", BAD_KEYS)
@pytest.mark.parametrize("method", TAKES_SCOPE_KEY)
def test_a_bad_scope_key_is_refused(method: str, bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        TAKES_SCOPE_KEY[method](igniter_store, BAD_KEYS[bad])

    assert caught.value.code == ErrorCode.STORE_INVALID_SCOPE_KEY


@pytest.mark.parametrize("missing", [None, ""])
def test_a_scope_needs_a_key(missing: Any, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope(missing, 1)
    with pytest.raises(StoreError) as declared:
        Store.create().add_scope(missing)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_SCOPE_KEY_REQUIRED}


@pytest.mark.parametrize("missing", [None, ""])
def test_a_scope_needs_an_identifier(missing: Any, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", missing)

    assert caught.value.code == ErrorCode.STORE_SCOPE_IDENTIFIER_REQUIRED


BAD_IDENTIFIERS: dict[str, Any] = {
    **NOT_PARTS,
    **{name: value for name, value in NOT_TEXT.items() if name not in {"int", "zero"}},
}


@pytest.mark.parametrize("bad", BAD_IDENTIFIERS)
def test_bad_scope_identifier_is_refused(bad: str, igniter_store: Any) -> None:
    """Otherwise a key of one scope could also be a key of another scope."""
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", BAD_IDENTIFIERS[bad])

    assert caught.value.code == ErrorCode.STORE_SCOPE_INVALID


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (UUID(int=0), "must be a str or an int, not UUID. Make it one with str(...)."),
        (1.5, "must be a str or an int, not float. Make it one with str(...)."),
        (b"acme", "must be a str or an int, not bytes. Decode it first."),
    ],
    ids=["uuid", "float", "bytes"],
)
def test_non_text_scope_identifier_error_names_cure(
    bad: Any, words: str, igniter_store: Any
) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", bad)

    assert caught.value.message == f"The identifier of scope 'org' {words}"


def test_a_scope_that_was_not_declared_is_refused(igniter_recorder: RecordingAdapter) -> None:
    store: Any = (
        Store.create().with_adapter(igniter_recorder).with_service("test").add_scope("org").build()
    )

    with pytest.raises(StoreError) as caught:
        store.scope("workspace", 1)

    assert caught.value.code == ErrorCode.STORE_INVALID_SCOPE_KEY
    assert caught.value.details == {"scope_key": "workspace", "declared": ["org"]}


def test_a_scope_is_declared_once() -> None:
    builder = Store.create().add_scope("org")

    with pytest.raises(StoreError) as caught:
        builder.add_scope("org")

    assert caught.value.code == ErrorCode.STORE_DUPLICATE_SCOPE


@pytest.mark.parametrize("bad", NOT_BOOLEANS)
def test_add_scope_refuses_non_boolean_required(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().add_scope("org", required=NOT_BOOLEANS[bad])

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


@pytest.mark.parametrize("bad", [0, b"for people", ["text"]], ids=str)
def test_a_scope_is_described_in_text(bad: Any) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().add_scope("org", description=bad)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID
