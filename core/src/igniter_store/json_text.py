"""Reads and writes JSON that msgspec refuses, as Node does.

Rule: The cases are deep nesting, lone surrogates, and numbers that don't fit into a float.
Rule: This module is the fallback for reading and writing. msgspec tries first; only values that it
    refuses come here.
Rule: No function here recurses, so deep values can't exhaust Python's stack.
"""

from __future__ import annotations

import re
from json import decoder
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Reads the rest of a string, and returns it with the position after it. It exists in the standard
# library but is missing from the type stubs.
_scan_string: Final[Callable[[str, int, bool], tuple[str, int]]] = decoder.__dict__["scanstring"]
MAX_DEPTH: Final = 10_000
"""The deepest nesting that is read or written.

V8 reads any depth and writes fewer than 5,000 levels.
"""

_skip: Final = re.compile(r"[ \t\n\r]*").match
_number: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?").match
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_WORDS: Final = (("null", None), ("true", True), ("false", False))


class NotJSON(ValueError):  # noqa: N818 - named for what the text is
    """Raised for text that `JSON.parse` also refuses."""


class TooDeep(ValueError):  # noqa: N818 - named for what the value is
    """Raised for more than `MAX_DEPTH` levels."""


class SplitSurrogates(ValueError):  # noqa: N818 - named for what the value holds
    """Raised for a `str` that contains the two halves of one character separately.

    JSON would join them into one character.
    """


class ForeignKey(ValueError):  # noqa: N818 - named for what the value holds
    """Raised for a mapping with a key that isn't a `str`."""


def read(text: str, *, integers: bool = False) -> Any:
    """Return the same value as `JSON.parse(text)`.

    `1e400` becomes infinity, and a lone surrogate is kept.

    Args:
        text: the JSON.
        integers: return `5.0` and `1e21` as `int`, because JavaScript has only one number type.

    Raises:
        NotJSON: if the text isn't JSON.
        TooDeep: if the text has more than `MAX_DEPTH` levels.
    """
    try:
        return _Reader(text, integers=integers).value()
    except ValueError as error:
        # The error from _scan_string contains the whole text, so it isn't chained.
        raise (error if isinstance(error, NotJSON | TooDeep) else NotJSON()) from None


class _Reader:
    def __init__(self, text: str, *, integers: bool) -> None:
        self._text = text
        self._position = 0
        self._integers = integers
        self._open: list[list[Any] | dict[str, Any]] = []
        self._keys: list[str] = []  # the keys of the mappings in `_open`, the innermost last

    def value(self) -> Any:
        self._skip()
        while True:
            # A value begins here. A container that isn't empty is entered; any other value is
            # complete.
            opened = self._enter()
            if opened is not None:
                continue
            value = self._complete()
            while self._open:
                value, is_done = self._put(value)
                if not is_done:
                    break
            else:
                self._skip()
                if self._position != len(self._text):
                    raise NotJSON
                return value

    def _enter(self) -> Any:
        """Enter the container that begins here, unless it is empty or the value is a scalar."""
        first = self._peek()
        if first not in ("[", "{"):
            return None
        end = "]" if first == "[" else "}"
        after = cast("re.Match[str]", _skip(self._text, self._position + 1)).end()
        if self._text[after : after + 1] == end:
            return None
        if len(self._open) >= MAX_DEPTH:
            raise TooDeep
        self._position = after
        container: list[Any] | dict[str, Any] = [] if first == "[" else {}
        self._open.append(container)
        if first == "{":
            self._keys.append(self._key())
        return container

    def _complete(self) -> Any:
        """Return the scalar or the empty container that begins here."""
        text, position = self._text, self._position
        first = self._peek()
        if first == '"':
            string, self._position = _scan_string(text, position + 1, True)
            return string
        if first in ("[", "{"):
            self._position = cast("re.Match[str]", _skip(text, position + 1)).end() + 1
            return [] if first == "[" else {}
        for word, value in _WORDS:
            if text.startswith(word, position):
                self._position += len(word)
                return value
        match = _number(text, position)
        if match is None:
            raise NotJSON
        self._position = match.end()
        return self._as_number(match)

    def _as_number(self, match: re.Match[str]) -> int | float:
        whole, fraction, exponent = match.groups()
        if fraction is None and exponent is None:
            try:
                return int(whole)
            except ValueError:  # more digits than Python converts
                return float(whole)
        number = float(match[0])
        return int(number) if self._integers and number.is_integer() else number

    def _put(self, value: Any) -> tuple[Any, bool]:
        """Add `value` to the innermost container; if that ends here, return it and True."""
        container = self._open[-1]
        is_mapping = isinstance(container, dict)
        if isinstance(container, dict):
            container[self._keys[-1]] = value
        else:
            container.append(value)
        self._skip()
        after = self._peek()
        self._position += 1
        if after == ",":
            self._skip()
            if is_mapping:
                self._keys[-1] = self._key()
            return None, False
        if after != ("}" if is_mapping else "]"):
            raise NotJSON
        self._open.pop()
        if is_mapping:
            self._keys.pop()
        return container, True

    def _key(self) -> str:
        if self._peek() != '"':
            raise NotJSON
        key, self._position = _scan_string(self._text, self._position + 1, True)
        self._skip()
        if self._peek() != ":":
            raise NotJSON
        self._position += 1
        self._skip()
        return key

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _skip(self) -> None:
        self._position = cast("re.Match[str]", _skip(self._text, self._position)).end()


def write(value: Any, leaf: Callable[[Any], Any]) -> bytes:
    r"""Return `value` as compact JSON, with lone surrogates as `\udXXX` like `JSON.stringify`.

    Args:
        value: plain data of any depth, including subclasses of `dict`, `list` and `tuple`.
        leaf: converts every other object to plain data; called once for each object.

    Raises:
        TooDeep: if the value has more than `MAX_DEPTH` levels or contains itself.
        SplitSurrogates: if a `str` contains the two halves of one character separately.
        ForeignKey: if a mapping has a key that isn't a `str`.
    """
    parts: list[str] = []
    open_: list[tuple[Iterator[Any], str]] = []
    waiting: list[Any] = [value]
    while True:
        if waiting:
            item = waiting.pop()
            opened = _opened(item)
            if opened is not None:
                if len(open_) >= MAX_DEPTH:
                    raise TooDeep
                parts.append(opened[0])
                open_.append((opened[1], opened[2]))
            else:
                text = _scalar(item)
                if text is None:
                    waiting.append(leaf(item))
                    continue
                parts.append(text)
        if not open_:
            return "".join(parts).encode()
        children, end = open_[-1]
        try:
            prefix, child = next(children)
        except StopIteration:
            open_.pop()
            parts.append(end)
            continue
        parts.append(prefix)
        waiting.append(child)


def _opened(item: Any) -> tuple[str, Iterator[Any], str] | None:
    if isinstance(item, dict):
        return "{", _members(cast("dict[Any, Any]", item)), "}"
    if isinstance(item, list | tuple):
        return "[", _elements(cast("list[Any]", item)), "]"
    return None


def _members(mapping: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    comma = ""
    for key, child in mapping.items():
        if not isinstance(key, str):
            raise ForeignKey
        yield f"{comma}{_text(key)}:", child
        comma = ","


def _elements(items: list[Any]) -> Iterator[tuple[str, Any]]:
    comma = ""
    for child in items:
        yield comma, child
        comma = ","


def _scalar(item: Any) -> str | None:
    if item is None:
        return "null"
    if item is True:
        return "true"
    if item is False:
        return "false"
    kind = item.__class__
    if kind is str:
        return _text(item)
    if kind is int or (kind is float and item - item == 0.0):
        return repr(item)
    # The caller scans the whole value and refuses all other floats.
    return "null" if kind is float else None


def _text(text: str) -> str:
    quoted = encode_basestring(text)
    if _SURROGATE.search(quoted) is None:
        return quoted
    if _SURROGATE_PAIR.search(quoted) is not None:
        raise SplitSurrogates
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", quoted)
