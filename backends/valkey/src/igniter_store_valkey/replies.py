"""Converts glide's replies to those of RESP 2, which the commands of the contract expect.

glide turns stream replies into maps, one item per entry, OK into text, and some integers into True
and False.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

# Commands whose integer reply glide converts to True or False
_FLAGS: Final = {"DELEX", "DELIFEQ", "PEXPIRE", "PERSIST"}
_Entries: TypeAlias = Mapping[bytes, list[list[bytes]] | None]


def plain(words: tuple[Any, ...], answer: Any) -> Any:
    """The reply to a command, as RESP 2 has it."""
    unmade = _UNMADE.get(words[0])
    if unmade is not None and isinstance(answer, Mapping):
        return unmade(answer)
    if isinstance(answer, str):
        return answer.encode()
    return int(answer) if isinstance(answer, bool) and words[0] in _FLAGS else answer


def _entries(answer: _Entries) -> list[list[Any]]:
    # A deleted entry has no fields.
    return [
        [id, None if pairs is None else [part for pair in pairs for part in pair]]
        for id, pairs in answer.items()
    ]


def _streams(answer: Mapping[bytes, _Entries]) -> list[list[Any]]:
    return [[name, _entries(entries)] for name, entries in answer.items()]


_UNMADE: Final[dict[str, Callable[[Any], Any]]] = {
    "XRANGE": _entries,
    "XREVRANGE": _entries,
    "XREADGROUP": _streams,
}
