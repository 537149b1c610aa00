"""Describes the tests of clauses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store_conformance.engine.trial import Trial
from igniter_store_conformance.spec.clauses import CAPABILITY_OF, CLAUSES

if TYPE_CHECKING:
    from igniter_store.contract import Adapter


Body: TypeAlias = Callable[[Any, Trial], Coroutine[Any, Any, None]] | Callable[[Any, Trial], None]


class ClauseTest:
    """The description of one test.

    Attributes:
        clause: the clause that it tests.
        name: the name of the method.
        promise: the docstring up to the hint.
        hint: where to look if the test fails.
        needs: the capabilities that it uses.
        since: the version of the contract that introduced it.
    """

    def __init__(
        self,
        clause_id: str,
        body: Body,
        needs: tuple[type[Adapter], ...],
        since: str | None,
        limit: float,
    ) -> None:
        self.clause: Final = CLAUSES[clause_id]
        self.name: Final = body.__name__
        self.body: Final = body
        own = CAPABILITY_OF[clause_id]
        self.needs: Final = (own, *(capability for capability in needs if capability is not own))
        self.since: Final = self.clause.since if since is None else since
        self.limit: Final = limit
        promise, _, hint = inspect.cleandoc(body.__doc__ or "").partition("If this fails, ")
        self.promise: Final = promise.strip()
        self.hint: Final = hint.strip()


def clause_test_of(member: object) -> ClauseTest | None:
    """Return the description of a method, if it is a test of the suite."""
    found = getattr(member, "clause_test", None)
    return found if isinstance(found, ClauseTest) else None
