"""Makes a configuration of glide from a URL and options.

Rule: `igniter_store.adapter_tools.urls` parses URLs, in the same way for all backends. The further
    options of glide are listed here.
Rule: a message never contains the URL, which may hold a password. Part of a password may even stand
    where an option is expected.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.adapter_tools.options import (
    LOGIN,
    Options,
    printable,
    seconds,
    text,
    truth,
    whole,
    with_alias,
)
from igniter_store.adapter_tools.urls import Form, Location, located, require_no_database

from igniter_store_valkey.errors import ERRORS, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from igniter_store_valkey.glide_types import Configuration

SCHEMES: Final = (
    "valkey",
    "valkeys",
    "valkey+cluster",
    "valkeys+cluster",
    "dragonfly",
    "dragonflys",
)

# For a user without a password (nopass) the server accepts any password. Without one, glide
# wouldn't log in at all.
_ANY_PASSWORD: Final = "nopass"  # noqa: S105 - for users without a password
_UNSIGNED: Final = 2**32 - 1
_LEVELS: Final = {
    glide.CompressionBackend.ZSTD: (-131_072, 22),
    glide.CompressionBackend.LZ4: (-128, 12),
}
_LEVEL: Final = "a whole number, from -131072 to 22 for zstd, and from -128 to 12 for lz4"
_PEM: Final = b"-----BEGIN "
_TLS: Final = {
    "tls_ca_certs": "root_pem_cacerts",
    "tls_cert": "client_cert_pem",
    "tls_key": "client_key_pem",
    "tls_insecure": "use_insecure_tls",
}
_ALIASES: Final = {
    "ssl_ca_certs": "tls_ca_certs",
    "ssl_certfile": "tls_cert",
    "ssl_keyfile": "tls_key",
}
_NO_SENTINEL: Final = (
    "Only the Redis backend supports Sentinel. Remove it, and use a URL that begins with "
    "redis+sentinel://."
)
_REFUSED: Final = {
    "sentinel_username": _NO_SENTINEL,
    "sentinel_password": _NO_SENTINEL,
    "ssl_cert_reqs": (
        "In glide this is tls_insecure=true, which accepts any certificate. Use that, or remove it."
    ),
    "ssl_check_hostname": (
        "In glide this is tls_insecure=true, which accepts any certificate. Use that, or remove it."
    ),
    "read_from_replicas": "Use read_from=prefer_replica.",
    "request_timeout": "Use timeout, in seconds.",
}


# The reader of an option raises a ValueError that describes a valid value, and never shows the
# given one.


def _one_of(kind: Any) -> Callable[[Any], Any]:
    """A reader for members of an enumeration, by their names in lower case."""

    def member(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return kind[str(value).upper()]
        except KeyError:
            raise ValueError(
                f"one of {', '.join(name.lower() for name in kind.__members__)}"
            ) from None

    return member


def _level(value: Any) -> int:
    try:
        level: int = whole(*_LEVELS[glide.CompressionBackend.ZSTD])(value)  # the wider range
    except ValueError:
        raise ValueError(_LEVEL) from None
    return level


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
    "client_az": text,
    "node_discovery": _one_of(glide.NodeDiscoveryMode),
    "client_name": printable,
    "cache_kb": whole(1, _UNSIGNED),
    "cache_ttl": seconds,
    "cache_server_assisted": truth,
    "compression": _one_of(glide.CompressionBackend),
    "compression_level": _level,
    "compression_from": whole(6, _UNSIGNED),
    "iam_cluster": text,
    "iam_region": text,
    "iam_service": _one_of(glide.ServiceType),
    "iam_refresh": whole(1, 43_199),
    "tls_ca_certs": _file,
    "tls_cert": _file,
    "tls_key": _file,
    "tls_insecure": truth,
    "otel_traces": text,
    "otel_metrics": text,
    "otel_sample": whole(0, 100),
}
"""The options that a URL's query and `from_url` accept beyond the adapter's own, and their readers.

The README describes each option.
"""


_READERS: Final = {"sharded_pubsub": truth, **LOGIN, **OPTIONS}
# Without TLS these options are refused, so their files aren't read.
_UNREAD: Final = dict.fromkeys(("tls_ca_certs", "tls_cert", "tls_key"), text)
_SECURE: Final = Form(SCHEMES, Options(NAME, _READERS, _ALIASES, _REFUSED), has_several=True)
_PLAIN: Final = Form(
    SCHEMES, Options(NAME, {**_READERS, **_UNREAD}, _ALIASES, _REFUSED), has_several=True
)
_OWN: Final = ("timeout", "connect_timeout", "sharded_pubsub")


def configuration_of(url: str, given: Mapping[str, Any]) -> tuple[Configuration, dict[str, Any]]:
    """Make a configuration of glide, and return it with the adapter's own options.

    Args:
        url: see `ValkeyAdapter.from_url`.
        given: options that override those of the URL.
    """
    location = located(url, _SECURE if _is_secure(url) else _PLAIN, given)
    security, _, kind = location.scheme.partition("+")
    if kind == "cluster":
        require_no_database(location, NAME)
    options, database = location.options, location.database or 0
    tls = _tls(options, is_secure=security.endswith("s"))
    settings: dict[str, Any] = {
        "addresses": [glide.NodeAddress(host, port) for host, port in location.hosts],
        "use_tls": security.endswith("s"),
        "credentials": _credentials(location),
        "compression": _compression(options),
        "client_side_cache": _cache(options),
        **{
            name: options[name]
            for name in ("read_from", "client_az", "client_name")
            if name in options
        },
    }
    try:
        if kind == "cluster":
            advanced: Any = glide.AdvancedGlideClusterClientConfiguration(tls_config=tls)
            configuration: Configuration = glide.GlideClusterClientConfiguration(
                **settings, advanced_config=advanced
            )
        else:
            advanced = glide.AdvancedGlideClientConfiguration(tls_config=tls)
            if "node_discovery" in options:
                settings["node_discovery_mode"] = options["node_discovery"]
            configuration = glide.GlideClientConfiguration(
                **settings, database_id=database, advanced_config=advanced
            )
    except ValueError as error:  # glide's own message, when client_az is missing
        raise ERRORS.misconfigured(f"{error}.") from None
    _observe(options)
    return configuration, {name: options[name] for name in _OWN if name in options}


def _is_secure(url: object) -> bool:
    scheme = url.partition("://")[0].lower() if isinstance(url, str) else ""
    return scheme.partition("+")[0].endswith("s")


def _credentials(location: Location) -> glide.ServerCredentials | None:
    options, user, password = location.options, location.username, location.password
    iam = {
        name: options[name]
        for name in ("iam_cluster", "iam_region", "iam_service")
        if name in options
    }
    if not iam:
        return (
            glide.ServerCredentials(password or _ANY_PASSWORD, user) if user or password else None
        )
    if len(iam) < 3 or password or not user:  # noqa: PLR2004 - all of them
        raise ERRORS.misconfigured(
            "IAM requires iam_cluster, iam_region, iam_service and a user name in the URL, "
            "without a password."
        )
    config = glide.IamAuthConfig(
        options["iam_cluster"],
        options["iam_service"],
        options["iam_region"],
        options.get("iam_refresh"),
    )
    return glide.ServerCredentials(username=user, iam_config=config)


def _compression(options: Mapping[str, Any]) -> glide.CompressionConfiguration | None:
    if "compression" not in options:
        return None
    backend, level = options["compression"], options.get("compression_level")
    least, most = _LEVELS[backend]
    if level is not None and not least <= level <= most:
        raise ERRORS.misconfigured(f"compression_level must be {_LEVEL}.")
    settings: dict[str, Any] = {"compression_level": level}
    if "compression_from" in options:
        settings["min_compression_size"] = options["compression_from"]
    return glide.CompressionConfiguration(enabled=True, backend=backend, **settings)


def _cache(options: Mapping[str, Any]) -> glide.ClientSideCache | None:
    if "cache_kb" not in options:
        return None
    ttl = max(1, round(options.get("cache_ttl", 60.0) * 1000))  # 0 would mean no expiry
    assisted = options.get("cache_server_assisted", True)
    return glide.ClientSideCache.create(
        max_cache_kb=options["cache_kb"], entry_ttl_ms=ttl, server_assisted=assisted
    )


def _tls(options: Mapping[str, Any], *, is_secure: bool) -> glide.TlsAdvancedConfiguration | None:
    given = [ours for ours in _TLS if options.get(ours)]
    if given and not is_secure:
        raise ERRORS.misconfigured(
            f"{with_alias(given[0], _ALIASES)} applies only to TLS. Use a URL that begins with "
            "valkeys://, valkeys+cluster:// or dragonflys://."
        )
    if ("tls_cert" in given) != ("tls_key" in given):
        raise ERRORS.misconfigured("tls_cert and tls_key belong together. Pass both.")
    settings = {_TLS[ours]: options[ours] for ours in given}
    return glide.TlsAdvancedConfiguration(**settings) if settings else None


def _observe(options: Mapping[str, Any]) -> None:
    """Set up glide's own telemetry, which takes effect only once per process."""
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
        raise ERRORS.misconfigured(
            "glide can't send its telemetry there. Its error is in __cause__."
        ) from error
