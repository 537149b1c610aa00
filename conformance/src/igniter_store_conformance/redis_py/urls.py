"""Makes a client of redis-py from a URL.

Rule: the scheme selects the client, and no other part of the URL does. The query has the same names
    as in the URLs of the backends; a name that isn't listed here is rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.adapter_tools.options import LOGIN, OptionReader, Options, one_of, text, truth
from igniter_store.adapter_tools.urls import Form, Location, located, require_no_database
from igniter_store.contract.errors import misconfigured
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from igniter_store_conformance.redis_py.errors import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

_TLS: Final[Mapping[str, OptionReader]] = {
    "ssl_ca_certs": text,
    "ssl_certfile": text,
    "ssl_keyfile": text,
    "ssl_cert_reqs": one_of("none", "optional", "required"),
    "ssl_check_hostname": truth,
}
_ALIASES: Final = {
    "tls_ca_certs": "ssl_ca_certs",
    "tls_cert": "ssl_certfile",
    "tls_key": "ssl_keyfile",
}
_OPTIONS: Final = Options(NAME, {**LOGIN, **_TLS}, _ALIASES)
_PLAIN: Final = ("redis", "unix", "valkey", "dragonfly")
_SECURE: Final = ("rediss", "valkeys", "dragonflys")
_UNLIMITED: Final = 2**31 - 1  # redis-py's default is 100; each blocking read has a connection
_ONE_SERVER: Final = Form((*_PLAIN, *_SECURE), _OPTIONS)
_CLUSTER: Final = Form(
    ("redis+cluster", "valkey+cluster", "rediss+cluster", "valkeys+cluster"),
    _OPTIONS,
    has_several=True,
)


def client(url: str, connect_timeout: float | None = 2.0) -> Redis:
    """Return a client for a URL of a server or of a cluster; it connects when it is used.

    A cluster's client has the same methods.

    Args:
        url: the address. Its query may have TLS options, and the options of the backends for times
            and connections, which this function ignores.
        connect_timeout: redis-py's own timeout, which also expires if the event loop was blocked.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for an invalid URL or option.
    """
    form = _CLUSTER if url.partition("://")[0].lower() in _CLUSTER.schemes else _ONE_SERVER
    return client_of(located(url, form, {}), connect_timeout)


def server_location(url: str, given: Mapping[str, Any]) -> Location:
    """Parse the URL of one server, with options that override those of its query.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for an invalid URL or option.
    """
    return located(url, _ONE_SERVER, given)


def client_of(location: Location, connect_timeout: float | None) -> Redis:
    """Return the client for a location; see `client`."""
    untyped: Any = Redis  # its arguments have no types
    scheme, _, kind = location.scheme.partition("+")
    tls = {name: value for name, value in location.options.items() if name in _TLS}
    if tls and scheme not in _SECURE:
        raise misconfigured(
            f"{min(tls)} applies only to TLS. Use rediss:// or valkeys://, or remove the option.",
            NAME,
        )
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": None,
        "max_connections": _UNLIMITED,
        "username": location.username,
        "password": location.password,
        "ssl": scheme in _SECURE,
        **tls,
    }
    if kind:
        untyped = RedisCluster
        require_no_database(location, NAME)
        options["startup_nodes"] = [ClusterNode(host, port) for host, port in location.hosts]
    else:
        options |= {
            "db": location.database or 0,
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
        }
        if location.hosts:
            [(options["host"], options["port"])] = location.hosts
        else:
            options["unix_socket_path"] = location.path
    made: Redis = untyped(**options)
    return made
