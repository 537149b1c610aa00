"""Makes a client of redis-py from a URL: for one server, for Sentinel, or for a cluster.

Rule: `igniter_store.adapter_tools.urls` parses URLs, in the same way for all backends. The further
    options of redis-py are listed here.
Rule: this backend is the fallback for the URLs of igniter-store-valkey, which valkey-glide doesn't
    allow on every platform. Such a scheme means the same as the one of Redis.
Rule: a password without a user is the default user's. redis-py then sends AUTH with the user, and a
    server without a password accepts any.
"""

from __future__ import annotations

from typing import Any, Final, cast

from igniter_store.adapter_tools.options import (
    LOGIN,
    OptionReader,
    Options,
    one_of,
    printable,
    text,
    truth,
    whole,
    with_alias,
)
from igniter_store.adapter_tools.urls import (
    DATABASE_TWICE,
    Form,
    Location,
    database_of,
    located,
    require_no_database,
)
from redis.asyncio import (
    Connection,
    ConnectionPool,
    Redis,
    RedisCluster,
    UnixDomainSocketConnection,
)
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from igniter_store_redis.errors import ERRORS, NAME

DEFAULT_USER: Final = "default"

_NO_TLS: Final = (
    "The TLS options can't be used ({kind}). tls_ca_certs, tls_cert and tls_key (or redis-py's "
    "names ssl_ca_certs, ssl_certfile and ssl_keyfile) must be paths of PEM files; pass the last "
    "two together."
)
_VERSIONS: Final = {"1.2": 771, "1.3": 772, "771": 771, "772": 772}
_LIBRARY: Final = "redis-py sends its own library name. Use client_name to name this client."
_NO_REPLICAS: Final = (
    "This backend reads only from primaries. Remove it, or use valkey+cluster:// with read_from."
)


def _version(value: Any) -> int:
    found = _VERSIONS.get(str(value))
    if found is None:
        raise ValueError("1.2 or 1.3")
    return found


_TLS: Final[dict[str, OptionReader]] = {
    "ssl_ca_certs": text,
    "ssl_ca_path": text,
    "ssl_ca_data": text,
    "ssl_certfile": text,
    "ssl_keyfile": text,
    "ssl_password": text,
    "ssl_cert_reqs": one_of("none", "optional", "required"),
    "ssl_check_hostname": truth,
    "ssl_min_version": _version,
    "ssl_ciphers": text,
}
_CONNECTION: Final[dict[str, OptionReader]] = {
    **LOGIN,
    "client_name": printable,
    "socket_keepalive": truth,
    **_TLS,
}
_SENTINELS: Final[dict[str, OptionReader]] = {"sentinel_username": text, "sentinel_password": text}
_CLUSTER: Final[dict[str, OptionReader]] = {"require_full_coverage": truth}
_OWN: Final[dict[str, OptionReader]] = {
    "sharded_pubsub": truth,
    "max_reply_bytes": whole(1, 2**63 - 1),
}
_ALIASES: Final = {
    "tls_ca_certs": "ssl_ca_certs",
    "tls_cert": "ssl_certfile",
    "tls_key": "ssl_keyfile",
}
_ELSEWHERE: Final = {
    **dict.fromkeys(
        _SENTINELS,
        (
            "It applies only to redis+sentinel:// and rediss+sentinel://. Remove it, or correct "
            "the scheme of the URL."
        ),
    ),
    **dict.fromkeys(
        _CLUSTER,
        (
            "It applies only to redis+cluster:// and rediss+cluster://. Remove it, or correct "
            "the scheme of the URL."
        ),
    ),
    "lib_name": _LIBRARY,
    "lib_version": _LIBRARY,
    "read_from_replicas": _NO_REPLICAS,
    "load_balancing_strategy": _NO_REPLICAS,
}


def _options(more: dict[str, OptionReader]) -> Options:
    readers = {**_OWN, **_CONNECTION, **more}
    return Options(
        NAME,
        readers,
        _ALIASES,
        {name: cure for name, cure in _ELSEWHERE.items() if name not in readers},
    )


_FORMS: Final = (
    Form(("redis", "rediss", "unix"), _options({})),
    Form(
        ("redis+sentinel", "rediss+sentinel"),
        _options(_SENTINELS),
        port=26379,
        has_several=True,
        has_path=True,
    ),
    Form(("redis+cluster", "rediss+cluster"), _options(_CLUSTER), has_several=True),
)
_FALLBACK_FOR: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+cluster": "redis+cluster",
    "valkeys+cluster": "rediss+cluster",
    "dragonfly": "redis",
    "dragonflys": "rediss",
}
SCHEMES: Final = tuple(scheme for form in _FORMS for scheme in form.schemes)
_ANY: Final = Form(SCHEMES, _FORMS[0].options)
_ADAPTERS: Final = ("timeout", "connect_timeout", "connections", *_OWN)


def location_of(url: Any, given: dict[str, Any]) -> tuple[Location, dict[str, Any]]:
    """Parse a URL, and return its location and the adapter's own options.

    Args:
        url: see `RedisAdapter.from_url`.
        given: options that override those of the URL.
    """
    scheme, rest = "", ""
    if isinstance(url, str):
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
    if scheme in _FALLBACK_FOR:
        scheme = _FALLBACK_FOR[scheme]
        url = f"{scheme}://{rest}"
    location = located(url, next((form for form in _FORMS if scheme in form.schemes), _ANY), given)
    if not _is_secure(location) and (names := sorted(_TLS.keys() & location.options.keys())):
        secure = "rediss" + location.scheme.removeprefix("redis") if location.hosts else "rediss"
        raise ERRORS.misconfigured(
            f"{with_alias(names[0], _ALIASES)} applies only to TLS. Use a URL that begins with "
            f"{secure}://, or remove the option."
        )
    own = {name: location.options.pop(name) for name in _ADAPTERS if name in location.options}
    return location, own


class ClientFactory:
    """Makes the clients of an adapter that owns them.

    Args:
        location: the location that a URL names.
        connect_timeout: seconds that connecting may take.
    """

    def __init__(self, location: Location, connect_timeout: float) -> None:
        self._location: Final = location
        self._connect_timeout: Final = connect_timeout

    def make(self) -> Redis | RedisCluster:
        """Make a client that isn't connected yet."""
        location = self._location
        kind = location.scheme.partition("+")[2]
        try:
            if kind == "sentinel":
                return _behind_sentinel(location, self._connect_timeout)
            if kind == "cluster":
                return _cluster(location, self._connect_timeout)
            return _single(location)
        except OSError as error:
            message = _NO_TLS.format(kind=type(error).__name__)
        except (ValueError, TypeError, RedisError):  # its message may contain a password
            message = "redis-py rejected the options of the URL. Correct the TLS options."
        # Raised outside the except block, which would set redis-py's error as its context
        raise ERRORS.misconfigured(message)


def _single(location: Location) -> Redis:
    kind = (
        UnixDomainSocketConnection
        if not location.hosts
        else SSLConnection
        if _is_secure(location)
        else Connection
    )
    place = (
        {"path": location.path}
        if not location.hosts
        else dict(zip(("host", "port"), location.hosts[0], strict=True))
    )
    untyped: Any = ConnectionPool
    pool = untyped(
        connection_class=kind,
        **place,
        **_login(location),
        db=location.database or 0,
        **_quiet(),
        **location.options,
    )
    _check(pool.make_connection())
    return Redis(connection_pool=pool)


def _behind_sentinel(location: Location, connect_timeout: float) -> Redis:
    service, _, number = location.path.partition("/")
    if not service:
        raise ERRORS.misconfigured(
            "The URL doesn't name the service that the sentinels monitor. Write "
            f"{location.scheme}://host:26379/service/0."
        )
    if number and location.database is not None:
        raise ERRORS.misconfigured(DATABASE_TWICE)
    database = database_of(number, NAME) if number else location.database or 0
    options = dict(location.options)  # the location may be used again, for a second client
    asking = {
        name.removeprefix("sentinel_"): options.pop(name) for name in _SENTINELS if name in options
    }
    if "password" in asking:
        asking.setdefault("username", DEFAULT_USER)
    if is_secure := _is_secure(location):
        asking |= {name: value for name, value in options.items() if name.startswith("ssl_")}
    # A sentinel that doesn't reply must leave time to try the next one.
    share = connect_timeout / (len(location.hosts) + 1)
    limits: dict[str, Any] = {"socket_connect_timeout": share, "socket_timeout": share}
    untyped: Any = Sentinel
    asked = untyped(
        location.hosts, sentinel_kwargs={**_quiet(), **limits, "ssl": is_secure, **asking}
    )
    client: Any = asked.master_for(
        service, **_quiet(), **_login(location), db=database, ssl=is_secure, **options
    )
    _check(client.connection_pool.make_connection())
    return cast("Redis", client)


def _cluster(location: Location, connect_timeout: float) -> RedisCluster:
    require_no_database(location, NAME)
    # A node that doesn't reply must leave time to try the next ones.
    limits: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout / 4,
        "socket_timeout": connect_timeout / 4,
    }
    untyped: Any = RedisCluster
    nodes = [ClusterNode(host, port) for host, port in location.hosts]
    client: RedisCluster = untyped(
        startup_nodes=nodes,
        ssl=_is_secure(location),
        protocol=2,
        **_login(location),
        **limits,
        **location.options,
    )
    for node in client.nodes_manager.startup_nodes.values():
        _check(node.connection_class(**node.connection_kwargs))
    return client


def _is_secure(location: Location) -> bool:
    return location.scheme.startswith("rediss")


def _login(location: Location) -> dict[str, Any]:
    """The user and the password, as arguments for redis-py."""
    user = location.username or (DEFAULT_USER if location.password else None)
    return {
        name: value
        for name, value in (("username", user), ("password", location.password))
        if value is not None
    }


def _check(connection: Any) -> None:
    """Raise the errors for unusable TLS files now, which redis-py raises only when it connects."""
    if isinstance(connection, SSLConnection):
        context: Any = connection.ssl_context
        context.get()


def _quiet() -> dict[str, Any]:
    # The adapter has its own timeouts, retries and health checks.
    return {
        "protocol": 2,
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }
