"""From a URL to a client of redis-py: one server, whichever Sentinel names, or a cluster.

Rule: redis-py reads the URL of one server. What it has no form for, several hosts and a service, is taken out before.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from igniter_store_redis.errors import misconfigured

SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

_LOOKS_LIKE: Final = (
    "The URL can't be used. It looks like redis://user:password@host:6379/0, where the database is a number and the query has what "
    "redis-py knows; rediss:// for TLS, unix:///path?db=0 for a socket, redis+sentinel://host:26379,host:26379/service/0, "
    "redis+cluster://host:6379,host:6379. In a password / ? and # are written %2F, %3F and %23."
)
_NO_TLS: Final = (
    "What the URL says for TLS can't be used ({kind}). ssl_ca_certs, ssl_certfile and ssl_keyfile are paths of files in PEM form; the last "
    "two belong together."
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


def client_of(url: str, connect_timeout: float) -> Redis | RedisCluster:
    """A client that is connected to nothing yet."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES or "#" in rest:  # redis-py drops what is behind it, of a password too
        raise misconfigured(_LOOKS_LIKE)
    security, _, kind = scheme.partition("+")
    try:
        if query := rest.partition("?")[2]:
            parse_qsl(query, strict_parsing=True)  # redis-py drops what has no value: the rest of a password
        if kind == "sentinel":
            return _behind_sentinel(security, rest, connect_timeout)
        return _cluster(security, rest, connect_timeout) if kind == "cluster" else _alone(url)
    except OSError as error:
        raise misconfigured(_NO_TLS.format(kind=type(error).__name__)) from error
    except (ValueError, TypeError, RedisError):  # the message may show a password
        raise misconfigured(_LOOKS_LIKE) from None


def _alone(url: str) -> Redis:
    # redis-py takes what is no number for database 0, and an empty path of a socket for one.
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if not path if parts.scheme == "unix" else path and not path.isdecimal():
        raise ValueError
    untyped: Any = ConnectionPool
    pool = untyped.from_url(url, **_quiet())
    _check(pool.make_connection())
    return Redis(connection_pool=pool)


def _behind_sentinel(security: str, rest: str, connect_timeout: float) -> Redis:
    hosts, path, options = _taken_apart(security, rest, _SENTINEL_PORT)
    service, _, database = path.partition("/")
    if not service or (database and not database.isdecimal()):
        raise ValueError
    options.setdefault("db", int(database or 0))
    sentinels = {name.removeprefix("sentinel_"): options.pop(name) for name in list(options) if name.startswith("sentinel_")}
    if is_secure := options.pop("connection_class", None) is SSLConnection:
        sentinels |= {name: value for name, value in options.items() if name.startswith("ssl_")}
    # A sentinel that doesn't answer must leave time to ask the next one.
    share = connect_timeout / (len(hosts) + 1)
    limits: dict[str, Any] = {"socket_connect_timeout": share, "socket_timeout": share}
    untyped: Any = Sentinel
    asked = untyped(hosts, sentinel_kwargs={**_quiet(), **limits, "ssl": is_secure, **sentinels})
    client: Any = asked.master_for(unquote(service), **_quiet(), ssl=is_secure, **options)
    _check(client.connection_pool.make_connection())
    return cast("Redis", client)


def _cluster(security: str, rest: str, connect_timeout: float) -> RedisCluster:
    hosts, path, options = _taken_apart(security, rest, _PORT)
    if path.strip("0") or options.pop("db", 0):  # a cluster has the database 0 alone
        raise ValueError
    is_secure = options.pop("connection_class", None) is SSLConnection
    # A node that doesn't answer must leave time to ask the next ones.
    options.setdefault("socket_connect_timeout", connect_timeout / 4)
    options.setdefault("socket_timeout", connect_timeout / 4)
    untyped: Any = RedisCluster
    nodes = [ClusterNode(host, port) for host, port in hosts]
    client: RedisCluster = untyped(startup_nodes=nodes, ssl=is_secure, protocol=2, **options)
    for node in client.nodes_manager.startup_nodes.values():
        _check(node.connection_class(**node.connection_kwargs))
    return client


def _check(connection: Any) -> None:
    """Let redis-py say now what it would say when it connects: that it can't use the files of TLS."""
    if isinstance(connection, SSLConnection):
        context: Any = connection.ssl_context
        context.get()


def _taken_apart(security: str, rest: str, port: int) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """The hosts, the path, and what else a URL says, as redis-py's arguments."""
    place, mark, query = rest.partition("?")
    authority, _, path = place.partition("/")
    user, at, names = authority.rpartition("@")
    hosts: list[tuple[str, int]] = []
    for name in names.split(","):
        match = _HOST.fullmatch(name)
        if match is None:
            raise ValueError
        hosts.append((match["host"].strip("[]"), int(match["port"] or port)))
    options: dict[str, Any] = dict(parse_url(f"{security}://{user}{at}host{mark}{query}"))
    del options["host"]
    return hosts, path.strip("/"), options


def _quiet() -> dict[str, Any]:
    # What we do ourselves: time limits, attempts, and looking whether anybody is there.
    return {"protocol": 2, "socket_timeout": None, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
