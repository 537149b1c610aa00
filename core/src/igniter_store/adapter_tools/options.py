"""The options of an adapter: their names, their types, and the checks that reject bad values.

Options are written in the query of a URL, or passed to `from_url`.

Rule: an option has the same name and the same meaning on every backend. Every backend supports
    `timeout`, `connect_timeout` and `connections`.
Rule: an argument of `from_url` takes precedence over the query. An option that appears twice in one
    place is rejected.
Rule: a message names the option and never shows its value. It also omits text that doesn't look
    like the name of an option, because that text may be part of a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard
from urllib.parse import unquote_plus

from msgspec import Struct

from igniter_store.contract.errors import misconfigured

if TYPE_CHECKING:
    from igniter_store.contract.errors import StoreError

OptionReader: TypeAlias = Callable[[Any], Any]
"""Converts a written value to the value of an option.

It raises a ValueError that describes the valid values without quoting the invalid one.
"""

_LONGEST: Final = 1_000_000  # seconds; a larger number means that the caller used the wrong unit
_DURATION: Final = f"a number of seconds above 0 and below {_LONGEST}"
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[!-~]+")
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}", re.ASCII)


class Written(str):
    """Text from a URL's query, which may represent a number or a boolean.

    An argument of `from_url` must have the real type.
    """

    __slots__ = ()


def seconds(value: Any) -> float:
    """Read a duration: a number of seconds, or a timedelta."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, Written) and _NUMBER.fullmatch(number):
        number = float(number)
    if not _is_duration(number):
        raise ValueError(_DURATION)
    return number


def check_seconds(option: str, value: Any, backend: str) -> None:
    """Reject an argument of an adapter's class that isn't a number of seconds.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`, with the option's name.
    """
    if not _is_duration(value):
        raise misconfigured(f"{option} must be {_DURATION}.", backend)


def _is_duration(value: Any) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 < value < _LONGEST


def whole(least: int, most: int) -> OptionReader:
    """Create a reader for an integer from `least` to `most`."""

    def number(value: Any) -> int:
        found = int(value) if isinstance(value, Written) and _WHOLE.fullmatch(value) else value
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return found

    return number


def truth(value: Any) -> bool:
    """Read a boolean; in a URL, "true", "false", "1" or "0" in any case."""
    found = _TRUTHS.get(value.lower()) if isinstance(value, Written) else value
    if not isinstance(found, bool):
        raise ValueError("true or false")  # noqa: TRY004 - readers raise ValueError
    return found


def text(value: Any) -> str:
    """Read a non-empty text."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text that isn't empty")
    return str(value)


def printable(value: Any) -> str:
    """Read a text of printable ASCII characters without spaces."""
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise ValueError("printable ASCII without spaces")
    return str(value)


def one_of(*words: str) -> OptionReader:
    """Create a reader for one of `words`, in any case."""

    def word(value: Any) -> str:
        found = value.lower() if isinstance(value, str) else value
        if found not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(found)

    return word


COMMON: Final[Mapping[str, OptionReader]] = MappingProxyType(
    {"timeout": seconds, "connect_timeout": seconds, "connections": whole(1, 10_000)}
)
"""Options that every backend supports.

A backend without waits or connections validates the options and then ignores them.
"""

_ALIASES: Final = {"socket_timeout": "timeout", "socket_connect_timeout": "connect_timeout"}
_BY_ITSELF: Final = "The adapter finds lost connections and repeats reads by itself"
_SERIALIZER: Final = "The store's serializer decodes values"
_SPEECH: Final = "The adapter chooses how it speaks to the server"
_PLACE: Final = "The host and the port are written before the query"

# Options that redis-py accepts in a URL, and that this library handles in another way.
_REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "max_connections": (
            "It limits a pool, which this backend doesn't use. "
            "Use connections, the number of connections for commands."
        ),
        "ssl": (
            "The scheme of the URL selects TLS. Remove the option, and use rediss:// or valkeys://."
        ),
        **{
            name: f"{why}. Remove it."
            for why, names in {
                _BY_ITSELF: (
                    "health_check_interval",
                    "retry",
                    "retry_on_timeout",
                    "retry_on_error",
                    "cluster_error_retry_attempts",
                ),
                _SERIALIZER: ("decode_responses", "encoding", "encoding_errors"),
                _SPEECH: (
                    "protocol",
                    "legacy_responses",
                    "parser_class",
                    "socket_read_size",
                    "socket_type",
                ),
                _PLACE: ("host", "port", "path"),
            }.items()
            for name in names
        },
    }
)


def with_alias(name: str, aliases: Mapping[str, str]) -> str:
    """Return the name of an option and its other name, for a message to a user of either."""
    others = [f" ({alias})" for alias, own in aliases.items() if own == name]
    return name + "".join(others)


class Options(Struct, frozen=True):
    """The options that a backend accepts in its URLs and in `from_url`.

    Attributes:
        backend: the adapter's name.
        readers: the options beyond `COMMON`.
        aliases: other names of these options.
        refused: names of options of other clients, each with a sentence or two on the replacement.
    """

    backend: str
    readers: Mapping[str, OptionReader]
    aliases: Mapping[str, str] = MappingProxyType({})
    refused: Mapping[str, str] = MappingProxyType({})

    def read(self, query: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options by their main names; those in `given` take precedence.

        Args:
            query: the part of the URL after the question mark.
            given: arguments of `from_url`; an argument that is `None` counts as not given.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        written: list[tuple[str, Any]] = []
        for piece in filter(None, query.split("&")):
            name, equals, value = piece.partition("=")
            if not equals or (self._reader(name) is None and ("@" in query or value in {"", "="})):
                raise self._nameless()
            written.append((name, self._decoded(value)))
        arguments = [(name, value) for name, value in given.items() if value is not None]
        return {**self._read(written), **self._read(arguments)}

    def accepted(self, name: str, reader: OptionReader, value: Any) -> Any:
        """Return the value that `reader` returns for `value`; an error names the option."""
        try:
            return reader(value)
        except OSError as error:
            message = (
                f"Can't read the file of {name} ({type(error).__name__}). "
                "Check its path and its permissions."
            )
        except (ValueError, TypeError, OverflowError) as what:
            message = f"{name} must be {what}. Correct or remove it."
        # Raised outside of the except block: inside it, the error's context would hold the value.
        raise misconfigured(message, self.backend)

    def _read(self, written: list[tuple[str, Any]]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for name, value in written:
            reader = self._reader(name)
            if reader is None:
                raise self._unknown(name)
            own = self._own_name(name)
            if own in options:
                also = "" if own == name else f" ({name} is another name of it)"
                raise misconfigured(
                    (f"{own} is given twice{also}. Remove one of them."), self.backend
                )
            options[own] = self.accepted(name, reader, value)
        return options

    def _own_name(self, name: str) -> str:
        return self.aliases.get(name) or _ALIASES.get(name) or name

    def _reader(self, name: str) -> OptionReader | None:
        own = self._own_name(name)
        return self.readers.get(own) or COMMON.get(own)

    def _decoded(self, value: str) -> Written:
        with suppress(UnicodeDecodeError):
            return Written(unquote_plus(value, errors="strict"))
        raise misconfigured(
            ("An option of the URL isn't UTF-8. Percent-encode it as UTF-8."), self.backend
        )

    def _nameless(self) -> StoreError:
        message = (
            "The query of the URL contains something that isn't an option. Write options as "
            "?timeout=5&connections=2; in a user name or a password, write ? as %3F and / as %2F."
        )
        return misconfigured(message, self.backend)

    def _unknown(self, name: str) -> StoreError:
        if not _NAME.fullmatch(name):
            return self._nameless()
        if (cure := self.refused.get(name) or _REFUSED.get(name)) is not None:
            return misconfigured(f"The option {name} isn't supported. {cure}", self.backend)
        known = [*COMMON, *self.readers]
        close = get_close_matches(name.lower().replace("-", "_"), [*known, *self.aliases], 1, 0.6)
        cure = (
            f"Did you mean {self._own_name(close[0])}?" if close else f"It has {', '.join(known)}."
        )
        return misconfigured(
            (f"The {self.backend} backend doesn't have an option {name!r}. {cure}"), self.backend
        )


LOGIN: Final[Mapping[str, OptionReader]] = MappingProxyType(
    {"username": text, "password": text, "db": whole(0, 2**31 - 1)}
)
"""The parts of a server's URL that may also be written as options."""
