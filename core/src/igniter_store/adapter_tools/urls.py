"""Parses URLs by the same rules for all schemes.

Rule: the same mistake gives the same message for every scheme. A message shows no part of the URL,
    because text that looks like a host may be a password.
Rule: whitespace and control characters are rejected everywhere: they come from copying, and from
    configuration files. Only the path of a database file may contain spaces.
Rule: the URL must name a host. An empty host, and port 0, come from variables that were empty.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from msgspec import Struct

from igniter_store.contract.errors import misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store.adapter_tools.options import Options

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
"""An example URL for each scheme."""

DATABASE_TWICE: Final = (
    "The database is given twice, in the path of the URL and as db. Remove one of them."
)
LAST_DATABASE: Final = 2**31 - 1

_ENCODE: Final = (
    "In a user name or a password, write / ? # @ : and % as %2F %3F %23 %40 %3A and %25."
)
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_PORTS: Final = range(1, 65_536)
_DATABASE: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_LABEL: Final = 63  # maximum characters in one label of a host name
_JOINERS: Final = "\u200c\u200d"  # invisible, but part of words in some scripts


class Url(Struct, frozen=True):
    """The first parts of a URL, whose text has been checked.

    Attributes:
        scheme: in lower case.
        place: the part between `://` and the query.
        query: the part after the question mark.
    """

    scheme: str
    place: str
    query: str


class Location(Struct, frozen=True):
    """The addresses of the servers, and the other parts of a URL.

    Attributes:
        scheme: in lower case, "redis+cluster".
        hosts: pairs of host and port. A host is a name, in ASCII, or an address without brackets.
            Empty for a socket.
        path: the part after the hosts, decoded, without the slashes around it. For a socket, the
            whole path.
        username: from the URL or from the option; `None` if missing.
        password: the same.
        database: the number of the database, if given.
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
    """The parts that the URLs of some server schemes may have.

    Attributes:
        schemes: the schemes.
        options: the supported options. `username`, `password` and `db` may also be written in their
            own parts of the URL.
        port: the default port.
        has_several: whether the URL may have more than one host.
        has_path: whether the path is more than the number of a database; if so, it isn't parsed
            here.
    """

    schemes: tuple[str, ...]
    options: Options
    port: int = 6379
    has_several: bool = False
    has_path: bool = False


def checked_text(url: Any) -> str:
    """Return `url` as a plain str, and reject whitespace and control characters.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    if not isinstance(url, str):
        if url is None:
            raise misconfigured(
                "The URL of the backend is None. Check the setting or the environment variable "
                "that it comes from. Write a URL such as redis://localhost:6379/0."
            )
        raise misconfigured(
            "The URL of a backend must be a str such as redis://localhost:6379/0, not "
            f"{type(url).__name__}. Convert it with str(), or decode it."
        )
    plain = str.__str__(url)
    inner = (
        plain.replace(" ", "") if plain[:9].lower() == "sqlite://" and plain[-1] != " " else plain
    )
    if any(_is_blank(character) for character in inner):
        raise misconfigured(
            "The URL contains a space or a control character. "
            "Remove it, or percent-encode it (%20) where it is intended."
        )
    return plain


def parsed(url: Any, schemes: Sequence[str], backend: str) -> Url:
    """Split a URL of one of these schemes into its first parts.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    scheme, found, rest = checked_text(url).partition("://")
    if not found or scheme.lower() not in schemes:
        begins = ", ".join(f"{name}://" for name in schemes)
        raise misconfigured(
            (
                f"The URL doesn't begin with {begins}. "
                f"Write it as in {EXAMPLES.get(schemes[0], begins)}."
            ),
            backend,
        )
    if "#" in rest:
        raise misconfigured(
            (f"The URL contains a #, and clients ignore what follows. Write it as %23. {_ENCODE}"),
            backend,
        )
    place, _, query = rest.partition("?")
    return Url(scheme.lower(), place, query)


def located(url: Any, form: Form, given: Mapping[str, Any]) -> Location:
    """Parse a URL of servers.

    Args:
        url: `scheme://[user:password@]host[:port][,host[:port]...][/path][?option=value&...]`; or
            `unix://[user:password@]/path`.
        form: the parts that the URL may have.
        given: arguments of `from_url`, which take precedence over the URL.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`.
    """
    taken = form.options
    parts = parsed(url, form.schemes, taken.backend)
    example = EXAMPLES[parts.scheme]
    authority, slash, rest = parts.place.partition("/")
    if "@" in rest:
        raise misconfigured(f"The URL contains an @ after its host. {_ENCODE}", taken.backend)
    login, _, names = authority.rpartition("@")
    if parts.scheme == "unix":
        if names or not rest.strip("/"):
            raise misconfigured(
                (
                    "The path of the socket is missing, or isn't absolute. "
                    f"Write {example}, with three slashes."
                ),
                taken.backend,
            )
        hosts: tuple[tuple[str, int], ...] = ()
        tail = _decoded(slash + rest, taken.backend)
        if "\0" in tail:
            raise misconfigured(
                ("The path of the socket contains a NUL character. Remove it."), taken.backend
            )
    else:
        hosts = tuple(_host(name, form.port, example, taken.backend) for name in names.split(","))
        tail = _decoded(rest.strip("/"), taken.backend)
    if len(hosts) > 1 and not form.has_several:
        raise misconfigured(
            (
                f"A {parts.scheme}:// URL names one server. "
                "For several, use redis+sentinel://, redis+cluster:// or valkey+cluster://."
            ),
            taken.backend,
        )
    options = taken.read(parts.query, given)
    username, password = _login(login, options, given, taken.backend)
    database = options.pop("db", None)
    if hosts and tail and not form.has_path:
        if database is not None and given.get("db") is None:
            raise misconfigured(DATABASE_TWICE, taken.backend)
        in_path = database_of(tail, taken.backend)
        database = in_path if database is None else database
    return Location(parts.scheme, hosts, tail, username, password, database, options)


def _is_blank(character: str) -> bool:
    return character.isspace() or (
        unicodedata.category(character) in {"Cc", "Cf"} and character not in _JOINERS
    )


def _decoded(text: str, backend: str) -> str:
    with suppress(UnicodeDecodeError):
        return unquote(text, errors="strict")
    raise misconfigured(
        "The URL's percent-encoded parts aren't UTF-8. Encode them as UTF-8.", backend
    )


def _login(
    login: str, options: dict[str, Any], given: Mapping[str, Any], backend: str
) -> tuple[str | None, str | None]:
    """Return the user and the password, from the start of the URL or from the options."""
    name, _, secret = login.partition(":")
    found: list[str | None] = []
    for option, written in (("username", name), ("password", secret)):
        value = options.pop(option, None)
        if value is not None and written and option not in given:
            raise misconfigured(
                (
                    f"The {option} is given twice, before the host and as an option. "
                    "Remove one of them."
                ),
                backend,
            )
        found.append(value or _decoded(written, backend) or None)
    return found[0], found[1]


def _host(text: str, port: int, example: str, backend: str) -> tuple[str, int]:
    if not text or (text.startswith(":") and text.count(":") == 1):
        raise misconfigured(
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
        message = (
            "A host of the URL isn't a name or an address. "
            f"Write an IPv6 address in brackets, as in [::1]:6379. {_ENCODE}"
        )
        raise misconfigured(message, backend)
    if not colon:
        return host, port
    if not _PORT.fullmatch(number) or int(number) not in _PORTS:
        raise misconfigured(
            f"A port of the URL isn't a number from 1 to 65535. Write {example}. {_ENCODE}", backend
        )
    return host, int(number)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return ""


def _name(text: str) -> str:
    """Return a host name in ASCII, or an empty str if `text` isn't a valid name."""
    try:
        name = text if text.isascii() else text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    labels = name.removesuffix(".").split(".")
    fits = bool(_NAME.fullmatch(name)) and all(0 < len(label) <= _LABEL for label in labels)
    return name if fits else ""


def database_of(text: str, backend: str) -> int:
    """Parse the number of a database in the path of a URL."""
    if not _DATABASE.fullmatch(text) or int(text) > LAST_DATABASE:
        message = (
            f"The database of the URL isn't a number from 0 to {LAST_DATABASE}. It is the last "
            f"part, as in redis://localhost:6379/0. {_ENCODE}"
        )
        raise misconfigured(message, backend)
    return int(text)


def require_no_database(location: Location, backend: str) -> None:
    """Reject the number of a database, except 0, in the URL of a cluster."""
    if location.database:
        raise misconfigured(
            "A cluster has only database 0. Remove the number at the end of the URL, or db.",
            backend,
        )
