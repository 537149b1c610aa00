"""Turns `module:harness` into a class of tests, with an error message for any other name.

Rule: the process that runs the tests looks up the name, never the process that shows the progress.
    Importing the user's module may start a server, and once is enough.
"""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from igniter_store.contract import Adapter
from igniter_store.contract.errors import described_type

from igniter_store_conformance.engine.failure_location import places
from igniter_store_conformance.engine.harness import Harness
from igniter_store_conformance.engine.suite import Suite, SuiteError
from igniter_store_conformance.suite.adapter_suite import AdapterSuite

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_VARIABLE: Final = "IGNITER_CONFORMANCE_HARNESS"
CONTRACT_VARIABLE: Final = "IGNITER_CONFORMANCE_CONTRACT"
"""The environment variables for the process that runs the tests.

Workers of pytest-xdist inherit both.
"""

_CURE: Final = (
    "Name a Harness, a function that returns one, or a class that inherits AdapterSuite: "
    "def harness(): return Harness(connect=lambda: MyAdapter(...))"
)


class WrongName(Exception):  # noqa: N818 - named as the user sees it
    """Raised when the name doesn't refer to anything that can be tested.

    The message has the reason and the fix.
    """


def suite_named(name: str, contract: str | None = None) -> type[Suite]:
    """Return the class of tests for `module:harness`.

    Args:
        name: the name, as the user typed it.
        contract: the version of the contract to pin, instead of the class's own.

    Raises:
        WrongName: the name doesn't refer to anything that can be tested.
    """
    found = _found(name)
    attributes: dict[str, Any] = {"__module__": __name__, "__doc__": None}
    if contract is not None:
        attributes["contract"] = contract
    parent: type[Suite] = AdapterSuite
    if _is_class_of(found, Suite):
        parent = cast("type[Suite]", found)
    else:
        attributes["harness"] = _asking(name, found)
    attributes["imported"] = classmethod(lambda _: _imported(name, found))
    return cast("type[Suite]", type("TestAdapter", (parent,), attributes))


def suite_of_environment() -> type[Suite]:
    """Return the class of tests that the program named in the environment."""
    return suite_named(os.environ[NAME_VARIABLE], os.environ.get(CONTRACT_VARIABLE) or None)


def check_named() -> None:
    """Call the harness once, to refuse an invalid one before any test runs.

    Raises:
        WrongName: the named object isn't a harness, and doesn't return one.
    """
    suite = suite_of_environment()
    try:
        suite().harness()
    except WrongName:
        raise
    # the harness may raise anything
    except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001
        return  # such as the skip of a missing server; each test will report it


def _found(name: str) -> object:
    module_name, colon, path = name.replace("::", ":").partition(":")
    if (
        "::" in name
        or not colon
        or not module_name
        or not path
        or "/" in module_name
        or module_name.endswith(".py")
    ):
        dotted = module_name.removesuffix(".py").replace("/", ".").strip(".") or "my_module"
        raise WrongName(
            f"{name!r} has to be module:harness, as one would import it: "
            f"{dotted}:{path or 'harness'}"
        )
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (
            module_name == error.name or module_name.startswith(f"{error.name}.")
        ):
            message = (
                f"There is no module {error.name!r}. Modules are looked for in the directory that "
                "the command is called in, and among what is installed in this Python."
            )
            raise WrongName(message) from error
        raise WrongName(
            f"{module_name} can't be imported: it needs the module {error.name!r}, which is not "
            "installed."
        ) from error
    except SuiteError as error:
        raise WrongName(str(error)) from error
    except Exception as error:
        described = f"{type(error).__name__}: {error}".rstrip(".")
        message = (
            f"{module_name} can't be imported ({_place(error)}): {described}. Does "
            f"`python -c 'import {module_name}'` work?"
        )
        raise WrongName(message) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise WrongName(f"{module_name} has no {path}. {_offers(found)}{_CURE}")
        found = getattr(found, part)
    return found


def _asking(name: str, found: object) -> Callable[[Suite], Harness]:
    """Return the method `harness` of the class of tests."""
    if isinstance(found, Harness):
        return lambda _: found
    if isinstance(found, Adapter) or _is_class_of(found, Adapter):
        raise WrongName(
            f"{name} is an adapter, and the kit makes its own: harness = Harness(connect=lambda: "
            "MyAdapter(...))"
        )
    if not callable(found) or inspect.isclass(found):
        raise WrongName(f"{name} is {described_type(found)}. {_CURE}")
    if inspect.iscoroutinefunction(found):
        raise WrongName(
            f"{name} is a coroutine function. Make it a plain one: def, without async; `connect` "
            "needs no await."
        )
    ask = cast("Callable[[], object]", found)
    try:
        inspect.signature(ask).bind()
    except (TypeError, ValueError) as error:
        raise WrongName(f"{name} can't be called without arguments ({error}). {_CURE}") from error

    def harness(_: Suite) -> Harness:
        made = ask()
        if not isinstance(made, Harness):
            raise WrongName(f"{name} has returned {described_type(made)}. {_CURE}")
        return made

    return harness


def _imported(name: str, found: object) -> tuple[str, str]:
    """See `Suite.imported`."""
    module, _, path = name.partition(":")
    call = (
        "().harness()" if _is_class_of(found, Suite) else "" if isinstance(found, Harness) else "()"
    )
    return f"from {module} import {path.partition('.')[0]}", path + call


def _is_class_of(thing: Any, parent: type) -> bool:
    return inspect.isclass(thing) and issubclass(thing, parent)


def _offers(module: object) -> str:
    fitting = [
        name
        for name, member in vars(module).items()
        if isinstance(member, Harness)
        or (_is_class_of(member, Suite) and member.__module__ == getattr(module, "__name__", ""))
        or (inspect.isfunction(member) and "harness" in name.lower())
    ]
    return f"It has {', '.join(fitting)}. " if fitting else ""


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    found = places(error)
    return found[-1] if found else "nowhere"
