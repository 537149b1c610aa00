"""A run of the model as a script.

The script reproduces the same failure without hypothesis and without pytest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Entry, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_conformance.engine.suite import Suite
    from igniter_store_conformance.model.reference import Id

_TOKEN_KEY: Final = """\
def token_key(name):
    return key("token:{" + key(name) + "}")
"""
_LET_TIME_PASS: Final = """\
async def let_time_pass(seconds):
    if harness.advance is None:
        await asyncio.sleep(seconds)
    elif inspect.isawaitable(waiting := harness.advance(seconds)):
        await waiting
"""
_ANSWER: Final = """\
async def answer(call):
    try:
        return await call
    except StoreError as error:
        return error.code
"""
_HELPERS: Final = {
    "token_key(": _TOKEN_KEY,
    "let_time_pass(": _LET_TIME_PASS,
    "answer(": _ANSWER,
}
"""What a script needs if it has this text."""
_IMPORTED: Final = {"inspect.": "import inspect", "math.": "import math"}
_END: Final = """\
    await adapter.close()


asyncio.run(main())
# End of the script.
"""


class Script:
    """The lines of one run."""

    def __init__(self, suite: type[Suite]) -> None:
        self._suite = suite
        self._lines: list[str] = []
        self._names: dict[Id, str] = {}

    def advance(self, seconds: float) -> None:
        """Add a line that moves time."""
        self._lines.append(f"await let_time_pass({seconds!r})")

    def call(
        self, name: str, arguments: Sequence[Any], options: Mapping[str, Any], expected: Any
    ) -> None:
        """Add a call, with the answer that the contract requires."""
        first, *rest = arguments
        keyed = _keyed(first)
        written = [keyed, *(self._written(argument) for argument in rest)]
        written += [f"{option}={self._written(value)}" for option, value in options.items()]
        if name == "acquire":
            written.append(f"token_key=token_key({first!r})")
        question = f"adapter.{name}({', '.join(written)})"
        if isinstance(expected, ErrorCode):
            question = f"answer({question})"
        question = f"await {question}"
        if name == "xadd" and isinstance(expected, tuple):
            self._names[expected] = f"id_{len(self._names) + 1}"
            self._lines.append(f"{self._names[expected]} = {question}")
            return
        self._lines += [f"got = {question}", self._check(name, expected)]

    def append(self, stream: str, number: int) -> None:
        """Add a loop that appends many entries."""
        fields = '{"field": b"%d" % number}'
        self._lines += [
            f"for number in range({number}):",
            f"    await adapter.xadd({_keyed(stream)}, {fields})",
        ]

    def note(self, text: str) -> None:
        """Add a comment about a step that the script can't do by itself."""
        self._lines.append(f"# {text}")

    def text(self) -> str:
        """Return the script."""
        imports, harness = self._suite.imported()
        body = "".join(f"    {line}\n" for line in self._lines)
        helpers = [helper for text, helper in _HELPERS.items() if text in body]
        code = "\n\n".join(
            [
                f"harness = {harness}  # or however your tests make it\n",
                'def key(name):\n    return harness.namespace + "replay:" + name\n',
                *helpers,
                "async def main():\n    adapter = harness.connect()\n    await adapter.open()\n",
            ]
        )
        standard = [line for text, line in _IMPORTED.items() if text in code + body]
        names = [name for name in ("Entry", "StoreError") if f"{name}" in code + body]
        contract = f"from igniter_store.contract import {', '.join(names)}\n\n" if names else ""
        first = "\n".join(["import asyncio", *standard])
        return f"{first}\n\n{contract}{imports}\n\n{code}{body}{_END}"

    def _check(self, name: str, expected: Any) -> str:
        match expected:
            case ErrorCode():
                return f"assert got == {str(expected)!r}, got"
            case float() if name == "ttl" and expected != math.inf:
                return f"assert got is not None and abs(got - {expected!r}) < 40, got"
            case list() if expected and isinstance(expected[0], tuple):
                # answers are anything
                parts: list[Any] = [part[0] for part in expected]  # pyright: ignore[reportUnknownVariableType]
                if name == "xgroups":
                    # the same
                    named = [(part[0], part[1]) for part in expected]  # pyright: ignore[reportUnknownVariableType]
                    return (
                        f"assert [(group.name, group.pending) for group in got] == {named!r}, got"
                    )
                return (
                    "assert [entry.id for entry in got] == "
                    f"[{', '.join(self._written(part) for part in parts)}], got"
                )
            case None | bool():
                got = (
                    "(type(got) is int or got)" if name == "acquire" else "got"
                )  # True stands for a token
                return f"assert {got} is {expected}, got"
            case _:
                return f"assert got == {_literal(expected)}, got"

    def _written(self, value: Any) -> str:
        if isinstance(value, tuple):
            # arguments are anything
            return self._names.get(value) or repr(f"{value[0]}-{value[1]}")  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(value, list):
            # the same
            return f"[{', '.join(self._written(part) for part in value)}]"  # pyright: ignore[reportUnknownVariableType]
        return repr(value)


def _keyed(first: Any) -> str:
    if isinstance(first, str):
        return f"key({first!r})"
    return f"[{', '.join(_keyed_part(part) for part in first)}]"


def _keyed_part(part: str | Entry) -> str:
    return (
        f"Entry(key({part.key!r}), {part.value!r}, {part.ttl!r})"
        if isinstance(part, Entry)
        else f"key({part!r})"
    )


def _literal(value: Any) -> str:
    return "math.inf" if value == math.inf else repr(value)
