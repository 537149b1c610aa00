"""What a class of tests for an adapter is: a harness, and what its author says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from igniter_store_conformance.clauses import VERSIONS
from igniter_store_conformance.running import check_version, clause_test_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from igniter_store.contract import Adapter

    from igniter_store_conformance.harness import Harness


class LentClient(Struct, frozen=True):
    """A client that the adapter's user has made and will close.

    Attributes:
        adapter: an adapter around the client, not opened yet.
        still_works: asks the client something and says whether it answered.
        close_client: closes the client.
    """

    adapter: Adapter
    still_works: Callable[[], Awaitable[bool]]
    close_client: Callable[[], Awaitable[None]]


class Suite:
    """The base of all classes of tests.

    Attributes:
        contract: the version of the contract that the adapter is judged by. Pin it: then newer clauses run, and are shown, and fail nobody.
        known_failing: tests that fail today, by the method's name, each with the reason. They run and have to fail: one that passes is
            stale and makes the run red.
        patience: how much longer than usual tests may take, for a backend that is slow; less than 1 for one of which much hangs.
    """

    contract: ClassVar[str] = VERSIONS[-1]
    known_failing: ClassVar[Mapping[str, str]] = {}
    patience: ClassVar[float] = 1.0

    def harness(self) -> Harness:
        """The backend under test; asked once for every test."""
        message = f"{type(self).__name__} has to say which backend it tests: def harness(self) -> Harness: return Harness(connect=...)"
        raise TypeError(message)

    def lent_client(self) -> LentClient | None:
        """An adapter around a client that its user made, for backends whose adapters take one (LIF-6). Override it where yours does."""
        return None

    def second_oracle(self) -> Harness | None:
        """A backend that is right by definition, such as a real Redis, which the model asks the same (MDL-1). Override it to have one."""
        return None

    @classmethod
    def imported(cls) -> tuple[str, str]:
        """How a script comes by the harness: what it imports, and what it calls then."""
        name = cls.__qualname__.partition(".")[0]
        return f"from {cls.__module__} import {name}", f"{name}().harness()"

    @classmethod
    def clause_tests(cls) -> list[str]:
        """The names of all tests of this class, in the order of the contract."""
        return [name for base in reversed(cls.__mro__) for name, member in vars(base).items() if clause_test_of(member) is not None]

    def __init_subclass__(cls) -> None:
        """Refuse a class that leaves out a test without saying so, or says so of one that there isn't."""
        super().__init_subclass__()
        check_version(cls.contract)
        inherited = {name: member for base in cls.__mro__[1:] for name, member in vars(base).items() if clause_test_of(member) is not None}
        replaced = [name for name, member in inherited.items() if getattr(cls, name, None) is not member and name not in cls.known_failing]
        if replaced:
            message = (
                f"{cls.__name__} leaves out or replaces {', '.join(sorted(replaced))}. Every adapter runs every test; "
                f"what fails today belongs into known_failing, with its reason, and still runs."
            )
            raise TypeError(message)
        unknown = sorted(set(cls.known_failing) - set(cls.clause_tests()))
        if unknown and inherited:
            message = f"{cls.__name__}.known_failing lists {', '.join(unknown)}, and the suite has no such test."
            raise TypeError(message)
