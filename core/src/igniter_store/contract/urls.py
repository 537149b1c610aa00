"""URLs, by one rule for all schemes: what may be in them, and where their parts are.

Rule: the same mistake gives the same message on every scheme. A message shows no part of the URL:
    what looks like a host may be a password.
Rule: blanks and control characters are refused, wherever they are. They come with copying, and from
    files of settings. But the path of a
database file may have spaces in it.
Rule: a host is written out. An empty one, and the port 0, are variables that were empty.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from msgspec import Struct

from igniter_store.contract.errors import ErrorCode, StoreError, store_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store.contract.options import Options

EXAMPLES: Final[Mapping[str, str]] = {
    "memory": "memory://",
    "sqlite": "sqlite:///state.db",
    "redis": "redis://user:password@host:6379/0",
    "rediss": "rediss://user:password@host:6379/0",
    "unix": "unix:///path/of/socket?db=0",
    "redis+sentinel": "redis+sentinel://host:26379,host:26379/service/0",
    "rediss+sentinel": "rediss+sentinel://host:26379,host:26379/service/0",
    "redis+cluster": "redis+cluster://host:6379,host:6379",
    "rediss+cluster": "rediss+cluster://host:6379,host:6379",
    "valkey": "valkey://user:password@host:6379/0",
    "valkeys": "valkeys://user:password@host:6379/0",
    "valkey+cluster": "valkey+cluster://host:6379,host:6379",
    "valkeys+cluster": "valkeys+cluster://host:6379,host:6379",
    "dragonfly": "dragonfly://user:password@host:6379/0",
    "dragonflys": "dragonflys://user:password@host:6379/0",
}
"""How a URL of each scheme looks."""

LAST_DATABASE: Final = 2**31 - 1

_ENCODE: Final = (
    "In a user name or a password, write / ? # @ : and % as %2F %3F %23 %40 %3A and %25."
)
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_PORTS: Final = range(1, 65_536)
_DATABASE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_LABEL: Final = 63  # characters that a part of a host's name may have
_JOINERS: Final = "\u200c\u200d"  # invisible, and part of words in some scripts


class Url(Struct, frozen=True):
    """A URL that has been looked at, in its first parts.

    Attributes:
        scheme: in lower case.
        place: what is between `://` and the query.
        query: what follows the question mark.
    """

    scheme: str
    place: str
    query: str


class Location(Struct, frozen=True):
    """Where servers are, and what else a URL says.

    Attributes:
        scheme: in lower case, "redis+cluster".
        hosts: names, in ASCII, or addresses without brackets, with their ports; none for a socket.
        path: what follows the hosts, decoded, without the slashes around it; of a socket the whole
            path.
        username: of the URL or of the option; `None` without.
        password: the same.
        database: the number of the database, if it is given.
        options: the other options; see `Options.read`.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    username: str | None
    password: str | None
    database: int | None
    options: dict[str, Any]


class Form(Struct, frozen=True):
    """What may be in the URLs of some schemes that lead to servers.

    Attributes:
        schemes: those.
        options: the options. Of them `username`, `password` and `db` may stand in the URL in their
            own places.
        port: of a host that has none.
        has_several: whether there may be more than one host.
        has_path: whether the path is more than the number of a database; it isn't read here then.
    """

    schemes: tuple[str, ...]
    options: Options
    port: int = 6379
    has_several: bool = False
    has_path: bool = False


def checked_text(url: Any) -> str:
    """`url` as a plain str without blanks and control characters.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    if not issubclass(type(url), str):
        kind = type(url).__name__
        raise _unusable(
            f"The URL of a backend must be a str such as redis://localhost:6379/0, not a {kind}. Pass str(url)."
        )
    plain = str.__str__(url)
    inner = (
        plain.replace(" ", "") if plain[:9].lower() == "sqlite://" and plain[-1] != " " else plain
    )
    if any(_is_blank(character) for character in inner):
        raise _unusable(
            "The URL contains a space or a control character. Remove it, or percent-encode it (%20) where it is intended."
        )
    return plain


def parsed(url: Any, schemes: Sequence[str], backend: str) -> Url:
    """The first parts of a URL of one of these schemes.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    scheme, found, rest = checked_text(url).partition("://")
    if not found or scheme.lower() not in schemes:
        begins = ", ".join(f"{name}://" for name in schemes)
        raise _unusable(
            (
                f"The URL doesn't begin with {begins}. Write it as in {EXAMPLES.get(schemes[0], begins)}."
            ),
            backend,
        )
    if "#" in rest:
        raise _unusable(
            (f"The URL contains a #, and clients ignore what follows. Write it as %23. {_ENCODE}"),
            backend,
        )
    place, _, query = rest.partition("?")
    return Url(scheme.lower(), place, query)


def located(url: Any, form: Form, given: Mapping[str, Any]) -> Location:
    """Where the servers of a URL are.

    Args:
        url: `scheme://[user:password@]host[:port][,host[:port]...][/path][?option=value&...]`; or
            `unix://[user:password@]/path`.
        form: what may be in it.
        given: arguments of `from_url`, which win over the URL.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    taken = form.options
    parts = parsed(url, form.schemes, taken.backend)
    example = EXAMPLES[parts.scheme]
    authority, slash, rest = parts.place.partition("/")
    if "@" in rest:
        raise _unusable(f"The URL contains an @ after its host. {_ENCODE}", taken.backend)
    login, _, names = authority.rpartition("@")
    if parts.scheme == "unix":
        if names or not rest.strip("/"):
            raise _unusable(
                f"The path of the socket is missing, or isn't absolute. Write {example}, with three slashes.",
                taken.backend,
            )
        hosts: tuple[tuple[str, int], ...] = ()
        tail = _decoded(slash + rest, taken.backend)
        if "\0" in tail:
            raise _unusable(
                ("The path of the socket contains a NUL character. Remove it."), taken.backend
            )
    else:
        hosts = tuple(_host(name, form.port, example, taken.backend) for name in names.split(","))
        tail = _decoded(rest.strip("/"), taken.backend)
    if len(hosts) > 1 and not form.has_several:
        raise _unusable(
            f"A {parts.scheme}:// URL names one server. For several, use redis+sentinel://, redis+cluster:// or valkey+cluster://.",
            taken.backend,
        )
    options = taken.read(parts.query, given)
    username, password = _login(login, options, given, taken.backend)
    database = options.pop("db", None)
    if hosts and tail and not form.has_path:
        if database is not None and given.get("db") is None:
            raise _unusable(
                (
                    "The database is given twice, in the path of the URL and as db. Remove one of them."
                ),
                taken.backend,
            )
        in_path = database_of(tail, taken.backend)
        database = in_path if database is None else database
    return Location(parts.scheme, hosts, tail, username, password, database, options)


def _is_blank(character: str) -> bool:
    return character.isspace() or (
        unicodedata.category(character) in {"Cc", "Cf"} and character not in _JOINERS
    )


def _unusable(message: str, backend: str | None = None) -> StoreError:
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def _decoded(text: str, backend: str) -> str:
    with suppress(UnicodeDecodeError):
        return unquote(text, errors="strict")
    raise _unusable("The URL's percent-encoded parts aren't UTF-8. Encode them as UTF-8.", backend)


def _login(
    login: str, options: dict[str, Any], given: Mapping[str, Any], backend: str
) -> tuple[str | None, str | None]:
    """The user and the password, of the URL's beginning or of the options."""
    name, _, secret = login.partition(":")
    found: list[str | None] = []
    for option, written in (("username", name), ("password", secret)):
        value = options.pop(option, None)
        if value is not None and written and option not in given:
            raise _unusable(
                (
                    f"The {option} is given twice, before the host and as an option. Remove one of them."
                ),
                backend,
            )
        found.append(value or _decoded(written, backend) or None)
    return found[0], found[1]


def _host(text: str, port: int, example: str, backend: str) -> tuple[str, int]:
    if not text or (text.startswith(":") and text.count(":") == 1):
        raise _unusable(
            (f"The URL doesn't name a host, or its list contains an empty one. Write {example}."),
            backend,
        )
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        host, colon, number = (
            _address(_decoded(host, backend)) if closed else "",
            rest[:1],
            rest[1:],
        )
        if rest and colon != ":":
            host = ""
    else:
        name, colon, number = text.partition(":")
        host = "" if ":" in number else _name(_decoded(name, backend))
    if not host:
        message = f"A host of the URL isn't a name or an address. Write an IPv6 address in brackets, as in [::1]:6379. {_ENCODE}"
        raise _unusable(message, backend)
    if not colon:
        return host, port
    if not _PORT.fullmatch(number) or int(number) not in _PORTS:
        raise _unusable(
            f"A port of the URL isn't a number from 1 to 65535. Write {example}. {_ENCODE}", backend
        )
    return host, int(number)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return ""


def _name(text: str) -> str:
    """A host's name in ASCII; empty when it isn't one."""
    try:
        name = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    labels = name.removesuffix(".").split(".")
    fits = bool(_NAME.fullmatch(name)) and all(0 < len(label) <= _LABEL for label in labels)
    return name if fits else ""


def database_of(text: str, backend: str) -> int:
    """The number of a database, as a URL's path has it."""
    if not _DATABASE.fullmatch(text) or int(text) > LAST_DATABASE:
        message = (
            f"The database of the URL isn't a number from 0 to {LAST_DATABASE}. It is the last "
            f"part, as in redis://localhost:6379/0. {_ENCODE}"
        )
        raise _unusable(message, backend)
    return int(text)
