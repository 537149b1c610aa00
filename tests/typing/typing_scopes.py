# pyright: reportUnnecessaryTypeIgnoreComment=error
"""How type checkers see scopes. Checked by mypy and pyright, never run.

mypy reads `LiteralString` as `str`, so only pyright reports an undeclared scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from igniter_store import Store

if TYPE_CHECKING:
    from igniter_store.contract import Adapter


def without_declared_scopes_any_is_taken(adapter: Adapter) -> None:
    store = Store.create().with_adapter(adapter).with_service("api").build()

    assert_type(store, Store[str])
    assert_type(store.scope("anything", 1), Store[str])


def a_url_gives_a_store_that_takes_any() -> None:
    assert_type(Store.from_url("memory://", service="api"), Store[str])


def declared_scopes_are_taken_and_others_are_errors(adapter: Adapter) -> None:
    store = (
        Store.create()
        .with_adapter(adapter)
        .add_scope("organization", required=True)
        .with_service("api")
        .add_scope("workspace", description="Project workspace")
        .build()
    )

    organization = store.scope("organization", "org_1")
    workspace = organization.scope("workspace", 7).as_actor("u1", type="user")
    workspace.scope("organization", 1)
    store.scope("nope", 1)  # pyright: ignore[reportArgumentType]  # the checker must refuse it
    # the test: nor on the scopes below
    organization.scope("nope", 1)  # pyright: ignore[reportArgumentType]
    # the test: nor after an actor
    workspace.scope("nope", 1)  # pyright: ignore[reportArgumentType]


def an_identifier_is_text_or_a_number(store: Store[str]) -> None:
    store.scope("organization", 1.5)  # type: ignore[arg-type]  # the checker must refuse it
    store.scope("organization", None)  # type: ignore[arg-type]  # the checker must refuse it
