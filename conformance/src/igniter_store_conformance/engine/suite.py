"""The base class of test suites, with the harness and the author's declarations."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from msgspec import Struct

from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.spec.clauses import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import Adapter

    from igniter_store_conformance.engine.harness import Harness


class SuiteError(TypeError):
    """Raised when a suite class omits a test, or declares something impossible.

    The message includes the fix.
    """


class LentClient(Struct, frozen=True):
    """A client that the adapter's user has created and will close.

    Attributes:
        adapter: an adapter around the client, not opened yet.
        still_works: sends the client a request and returns whether it answered.
        close_client: closes the client.
    """

    adapter: Adapter
    still_works: Callable[[], Awaitable[bool]]
    close_client: Callable[[], Awaitable[None]]


class Suite:
    """The base class of all test suites.

    Attributes:
        contract: the version of the contract that the adapter is tested against. Pin it: newer
            clauses then still run and appear in the report, but never fail the adapter.
        known_failing: the tests that fail today, by method name, each with the reason. They still
            run and must fail: an entry whose test passes is stale and makes the run red.
        patience: the factor by which the tests' time limits are multiplied. Use more than 1 for a
            slow backend, and less than 1 for a backend with many tests that hang.
    """

    contract: ClassVar[str] = VERSIONS[-1]
    known_failing: ClassVar[Mapping[str, str]] = {}
    patience: ClassVar[float] = 1.0

    def harness(self) -> Harness:
        """Return the backend under test; called once for every test."""
        message = (
            f"{type(self).__name__} has to say which backend it tests: def harness(self) -> "
            "Harness: return Harness(connect=...)"
        )
        raise TypeError(message)

    def lent_client(self) -> LentClient | Awaitable[LentClient] | None:
        """Return an adapter around a client that its user created (LIF-6).

        Override it if your adapters accept such a client. It may be `async def`, for a client that
        must be created in an event loop.
        """
        return None

    def second_oracle(self) -> Harness | None:
        """Return a backend that is correct by definition, such as a real Redis.

        Override it to have one. The model sends it the same commands (MDL-1).
        """
        return None

    @classmethod
    def imported(cls) -> tuple[str, str]:
        """Return how a script gets the harness: its import statement, and the call it makes."""
        name = cls.__qualname__.partition(".")[0]
        return f"{_found_from_here(cls)}from {cls.__module__} import {name}", f"{name}().harness()"

    @classmethod
    def clause_tests(cls) -> list[str]:
        """Return the names of all tests of this class, in the order of the contract."""
        return [
            name
            for base in reversed(cls.__mro__)
            for name, member in vars(base).items()
            if clause_test_of(member) is not None
        ]

    def __init_subclass__(cls) -> None:
        """Refuse a class that omits a test undeclared, or declares a test that doesn't exist."""
        super().__init_subclass__()
        _check_contract(cls.contract)
        _check_known_failing(cls)
        inherited = {
            name: member
            for base in cls.__mro__[1:]
            for name, member in vars(base).items()
            if clause_test_of(member) is not None
        }
        replaced = [
            name
            for name, member in inherited.items()
            if getattr(cls, name, None) is not member and name not in cls.known_failing
        ]
        if replaced:
            message = (
                f"{cls.__name__} leaves out or replaces {', '.join(sorted(replaced))}. Every "
                "adapter runs every test; what fails today belongs into known_failing, with its "
                "reason, and still runs."
            )
            raise SuiteError(message)
        unknown = sorted(set(cls.known_failing) - set(cls.clause_tests()))
        if unknown and inherited:
            near = [
                name
                for wrong in unknown
                for name in difflib.get_close_matches(wrong, cls.clause_tests(), n=1)
            ]
            hint = (
                f" Is it {' or '.join(near)}?"
                if near
                else " It lists tests by name: `igniter-conformance list` prints them."
            )
            message = (
                f"{cls.__name__}.known_failing lists {', '.join(unknown)}, and the suite has no "
                f"such test.{hint}"
            )
            raise SuiteError(message)


def _check_contract(contract: Any) -> None:
    if contract not in VERSIONS:
        hint = f' It is text: contract = "{contract}".' if str(contract) in VERSIONS else ""
        message = (
            f"contract = {contract!r}: there is no such version of the contract. There is "
            f"{', '.join(VERSIONS)}.{hint}"
        )
        raise SuiteError(message)


def _check_known_failing(cls: type[Suite]) -> None:
    known: Any = cls.known_failing
    if not isinstance(known, Mapping):
        message = (
            f"{cls.__name__}.known_failing is a dict of tests and reasons, such as "
            f'{{"test_a_missing_key_is_none": "ticket 12"}}.'
        )
        raise SuiteError(message)
    for name, reason in cast("Mapping[Any, Any]", known).items():
        if not isinstance(reason, str) or not reason.strip():
            message = (
                f"{cls.__name__}.known_failing[{name!r}] has no reason. Say why it fails, or "
                "where that is being worked on."
            )
            raise SuiteError(message)


def _found_from_here(cls: type) -> str:
    """Return the statements that a script in the current directory needs to import the module."""
    try:
        root = Path(inspect.getfile(cls)).parents[cls.__module__.count(".")].relative_to(Path.cwd())
    # The class is defined in no file, or in a file elsewhere.
    except (TypeError, OSError, ValueError, IndexError):
        return ""
    return "" if root == Path() else f"import sys\n\nsys.path.insert(0, {root.as_posix()!r})\n"
