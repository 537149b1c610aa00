"""From a URL and options to a configuration of glide.

Rule: an option has one name, in the URL's query and as an argument; what is given twice counts as the argument says.
Rule: a message never shows the URL: there may be a password in it, and a part of one where an option should be.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

import glide

from igniter_store_valkey.errors import misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from igniter_store_valkey.clients import Configuration

SCHEMES: Final = ("valkey", "valkeys", "valkey+cluster", "valkeys+cluster", "dragonfly", "dragonflys")

_LOOKS_LIKE: Final = (
    "The URL can't be used. It looks like valkey://user:password@host:6379/0, where the database is a number; valkeys:// for TLS, "
    "valkey+cluster://host:6379,host:6379 for a cluster, dragonfly://host:6379. In a password / and ? are written %2F and %3F."
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_PORT: Final = 6379
_CLIENT_NAME: Final = re.compile(r"[!-~]*")
# A user without a password (nopass) is let in with whichever, and glide would log in nobody with none.
_ANY_PASSWORD: Final = "nopass"  # noqa: S105 - of those who have none
_LONGEST: Final = 1_000_000  # seconds: more is a mistake of units
_UNSIGNED: Final = 2**32 - 1
_LEVELS: Final = {glide.CompressionBackend.ZSTD: (-131_072, 22), glide.CompressionBackend.LZ4: (-128, 12)}
_LEVEL: Final = "a whole number, from -131072 to 22 for zstd, and from -128 to 12 for lz4"
_PEM: Final = b"-----BEGIN "
_TLS: Final = {
    "tls_ca_certs": "root_pem_cacerts",
    "tls_cert": "client_cert_pem",
    "tls_key": "client_key_pem",
    "tls_insecure": "use_insecure_tls",
}


# What reads an option raises a ValueError that says what the option is, and not what it was given.


def _one_of(kind: Any) -> Callable[[Any], Any]:
    """A member of an enumeration, by its name in lower case."""

    def member(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return kind[str(value).upper()]
        except KeyError:
            raise ValueError(f"one of {', '.join(name.lower() for name in kind.__members__)}") from None

    return member


def _whole(least: int, most: int) -> Callable[[Any], int]:
    """A whole number within bounds: glide's own, where it has any."""

    def number(value: Any) -> int:
        what = f"a whole number from {least} to {most}"
        try:
            found = int(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(what) from None
        if isinstance(value, bool) or not least <= found <= most:
            raise ValueError(what)
        return found

    return number


def _level(value: Any) -> int:
    try:
        return _whole(*_LEVELS[glide.CompressionBackend.ZSTD])(value)  # the wider one
    except ValueError:
        raise ValueError(_LEVEL) from None


def _seconds(value: Any) -> float:
    what = f"a number of seconds above 0 and below {_LONGEST}"
    try:
        seconds = float(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(what) from None
    if isinstance(value, bool) or not 0 < seconds < _LONGEST:
        raise ValueError(what)
    return seconds


def _truth(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if known is None:
        raise ValueError("true or false")
    return known


def _client_name(value: Any) -> str:
    name = str(value)
    if not _CLIENT_NAME.fullmatch(name):
        raise ValueError("printable ASCII without spaces")
    return name


def _file(value: Any) -> bytes:
    what = "the path of a file in PEM form"
    try:
        content = Path(str(value)).read_bytes()
    except ValueError:
        raise ValueError(what) from None
    if _PEM not in content:
        raise ValueError(what)
    return content


OPTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "read_from": _one_of(glide.ReadFrom),
    "client_az": str,
    "node_discovery": _one_of(glide.NodeDiscoveryMode),
    "client_name": _client_name,
    "cache_kb": _whole(1, _UNSIGNED),
    "cache_ttl": _seconds,
    "cache_server_assisted": _truth,
    "compression": _one_of(glide.CompressionBackend),
    "compression_level": _level,
    "compression_from": _whole(6, _UNSIGNED),
    "iam_cluster": str,
    "iam_region": str,
    "iam_service": _one_of(glide.ServiceType),
    "iam_refresh": _whole(1, 43_199),
    "tls_ca_certs": _file,
    "tls_cert": _file,
    "tls_key": _file,
    "tls_insecure": _truth,
    "otel_traces": str,
    "otel_metrics": str,
    "otel_sample": _whole(0, 100),
}
"""What a URL's query and `from_url` take beyond the adapter's own options, and how it is read. The README says what it means."""


_OWN: Final[Mapping[str, Callable[[Any], Any]]] = {"timeout": _seconds, "connect_timeout": _seconds, "sharded_pubsub": _truth}


def configuration_of(url: str, given: Mapping[str, Any]) -> tuple[Configuration, dict[str, Any]]:
    """A configuration of glide, and the adapter's own options.

    Args:
        url: see `ValkeyAdapter.from_url`.
        given: options that win over those of the URL.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise misconfigured(_LOOKS_LIKE)
    security, _, kind = scheme.partition("+")
    try:
        hosts, user, password, database, query = _taken_apart(rest)
    except ValueError:
        raise misconfigured(_LOOKS_LIKE) from None
    if kind == "cluster" and database:
        raise misconfigured("A cluster's URL names no database.")
    options = _read({**query, **given})
    tls = _tls(options, is_secure=security.endswith("s"))
    settings: dict[str, Any] = {
        "addresses": [glide.NodeAddress(host, port) for host, port in hosts],
        "use_tls": security.endswith("s"),
        "credentials": _credentials(user, password, options),
        "compression": _compression(options),
        "client_side_cache": _cache(options),
        **{name: options[name] for name in ("read_from", "client_az", "client_name") if name in options},
    }
    try:
        if kind == "cluster":
            advanced: Any = glide.AdvancedGlideClusterClientConfiguration(tls_config=tls)
            configuration: Configuration = glide.GlideClusterClientConfiguration(**settings, advanced_config=advanced)
        else:
            advanced = glide.AdvancedGlideClientConfiguration(tls_config=tls)
            if "node_discovery" in options:
                settings["node_discovery_mode"] = options["node_discovery"]
            configuration = glide.GlideClientConfiguration(**settings, database_id=database, advanced_config=advanced)
    except ValueError as error:  # glide's words: client_az is missing
        raise misconfigured(f"{error}.") from None
    _observe(options)
    return configuration, {name: options[name] for name in _OWN if name in options}


def _taken_apart(rest: str) -> tuple[list[tuple[str, int]], str, str, int, dict[str, str]]:
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    login, _, names = authority.rpartition("@")
    user, _, password = login.partition(":")
    hosts: list[tuple[str, int]] = []
    for name in names.split(","):
        match = _HOST.fullmatch(name)
        if match is None:
            raise ValueError
        port = int(match["port"] or _PORT)
        if not 0 < port < 65_536:  # noqa: PLR2004 - what a port is
            raise ValueError
        hosts.append((match["host"].strip("[]"), port))
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "@" in query and any(name not in OPTIONS and name not in _OWN for name in options):  # the ? was in a password
        raise ValueError
    path = path.strip("/")
    if path and not path.isdecimal():
        raise ValueError
    database = _accepted("The database of a URL", _whole(0, 2**31 - 1), path or 0)
    return hosts, unquote(user), unquote(password), database, options


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in given.items():
        read = OPTIONS.get(name) or _OWN.get(name)
        if read is None and not name.isidentifier():
            raise misconfigured(_LOOKS_LIKE)
        if read is None:
            raise misconfigured(f"The Valkey backend has no option {name!r}; it has {', '.join((*_OWN, *OPTIONS))}.")
        options[name] = _accepted(name, read, value)
    return options


def _accepted(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except OSError as error:
        raise misconfigured(f"The file of {name} can't be read ({type(error).__name__}).") from None
    except ValueError as what:
        raise misconfigured(f"{name} is {what}.") from None


def _credentials(user: str, password: str, options: Mapping[str, Any]) -> glide.ServerCredentials | None:
    iam = {name: options[name] for name in ("iam_cluster", "iam_region", "iam_service") if name in options}
    if not iam:
        return glide.ServerCredentials(password or _ANY_PASSWORD, user or None) if user or password else None
    if len(iam) < 3 or password or not user:  # noqa: PLR2004 - all of them
        raise misconfigured("IAM needs iam_cluster, iam_region and iam_service, a user in the URL, and no password.")
    config = glide.IamAuthConfig(options["iam_cluster"], options["iam_service"], options["iam_region"], options.get("iam_refresh"))
    return glide.ServerCredentials(username=user, iam_config=config)


def _compression(options: Mapping[str, Any]) -> glide.CompressionConfiguration | None:
    if "compression" not in options:
        return None
    backend, level = options["compression"], options.get("compression_level")
    least, most = _LEVELS[backend]
    if level is not None and not least <= level <= most:
        raise misconfigured(f"compression_level is {_LEVEL}.")
    settings: dict[str, Any] = {"compression_level": level}
    if "compression_from" in options:
        settings["min_compression_size"] = options["compression_from"]
    return glide.CompressionConfiguration(enabled=True, backend=backend, **settings)


def _cache(options: Mapping[str, Any]) -> glide.ClientSideCache | None:
    if "cache_kb" not in options:
        return None
    ttl = max(1, round(options.get("cache_ttl", 60.0) * 1000))  # 0 would be for ever
    assisted = options.get("cache_server_assisted", True)
    return glide.ClientSideCache.create(max_cache_kb=options["cache_kb"], entry_ttl_ms=ttl, server_assisted=assisted)


def _tls(options: Mapping[str, Any], *, is_secure: bool) -> glide.TlsAdvancedConfiguration | None:
    given = [ours for ours in _TLS if options.get(ours)]
    if given and not is_secure:
        raise misconfigured(f"{given[0]} is for TLS. Begin the URL with valkeys://, valkeys+cluster:// or dragonflys://.")
    if ("tls_cert" in given) != ("tls_key" in given):
        raise misconfigured("tls_cert and tls_key go together: give both.")
    settings = {_TLS[ours]: options[ours] for ours in given}
    return glide.TlsAdvancedConfiguration(**settings) if settings else None


def _observe(options: Mapping[str, Any]) -> None:
    """Glide's own telemetry, which a process sets up once: the first one counts."""
    if "otel_traces" not in options and "otel_metrics" not in options:
        return
    traces = metrics = None
    if "otel_traces" in options:
        traces = glide.OpenTelemetryTracesConfig(options["otel_traces"], options.get("otel_sample"))
    if "otel_metrics" in options:
        metrics = glide.OpenTelemetryMetricsConfig(options["otel_metrics"])
    try:
        glide.OpenTelemetry.init(glide.OpenTelemetryConfig(traces=traces, metrics=metrics))
    except glide.GlideError as error:
        raise misconfigured("glide can't send its telemetry there; its own words are in __cause__.") from error
