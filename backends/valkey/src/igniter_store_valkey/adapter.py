"""The adapter for Valkey and Dragonfly, over a client of valkey-glide."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import glide
from igniter_store.contract.errors import described_type
from igniter_store.redis_commands.adapter import CommandAdapter, check_options

from igniter_store_valkey.client import ValkeyClient
from igniter_store_valkey.cluster import ValkeyClusterClient
from igniter_store_valkey.errors import ERRORS, NAME
from igniter_store_valkey.urls import configuration_of

if TYPE_CHECKING:
    from typing import Self

    from igniter_store_valkey.glide_types import Client, Configuration

_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0


class ValkeyAdapter(CommandAdapter):
    """Every capability on Valkey 8.1 or newer, Redis 7 or newer, or Dragonfly, by valkey-glide.

    The client connects to one server or to a cluster.

    Calls of one event-loop iteration share one batch. Subscriptions have a client of their own, and
    so has each blocking read.

    Args:
        client: a client or a configuration of glide. A client sends the commands, and the adapter
            doesn't close it (LIF-6); the clients for blocking reads and subscriptions are made from
            its configuration. Given a configuration, the adapter makes all clients from it.
        timeout: seconds that a reply may take, beyond the time for which a blocking read waits. If
            `client` is a client, its own `request_timeout` applies to the commands that it sends
            (250 ms if it has none).
        connect_timeout: seconds that connecting and logging in may take.
        sharded_pubsub: publish and subscribe by SPUBLISH and SSUBSCRIBE, which keep a message at
            the nodes of its channel's slot instead of sending it to all. All publishers and
            subscribers of a channel must use the same setting. Patterns are then rejected
            (`STORE_CAPABILITY_UNSUPPORTED`).

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if `client` is neither a client nor a
            configuration of glide, or an option is invalid.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self,
        client: Client | Configuration,
        *,
        timeout: float = _TIMEOUT,
        connect_timeout: float = _CONNECT_TIMEOUT,
        sharded_pubsub: bool = False,
    ) -> None:
        given: object = client
        # `type` and not `isinstance`, which a mock deceives.
        lent: Any = (
            client
            if issubclass(type(given), (glide.GlideClient, glide.GlideClusterClient))
            else None
        )
        configuration: Any = client if lent is None else lent.config
        if not issubclass(
            type(configuration),
            (glide.GlideClientConfiguration, glide.GlideClusterClientConfiguration),
        ):
            kinds = "a GlideClient, a GlideClusterClient, or a configuration of one"
            raise ERRORS.misconfigured(
                f"ValkeyAdapter takes {kinds}, but got {described_type(given)}. To use a URL, call "
                "from_url()."
            )
        check_options(
            NAME, timeout=timeout, connect_timeout=connect_timeout, sharded_pubsub=sharded_pubsub
        )
        kind = (
            ValkeyClusterClient
            if isinstance(configuration, glide.GlideClusterClientConfiguration)
            else ValkeyClient
        )
        commands = partial(
            kind, configuration, timeout, connect_timeout, lent=lent, is_sharded=sharded_pubsub
        )
        super().__init__(commands, sharded_pubsub=sharded_pubsub)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        connections: int | None = None,
        sharded_pubsub: bool | None = None,
        **options: Any,
    ) -> Self:
        """Make an adapter from `valkey://[user:password@]host[:port][/database]`.

        A URL may name several hosts.

        Args:
            url: valkey://, valkeys:// for TLS, valkey+cluster:// and valkeys+cluster://,
                dragonfly:// and dragonflys://. The query may hold the options.
            timeout: as for the class, and with the same default if the URL doesn't set it either.
            connect_timeout: the same.
            connections: has no effect: glide keeps one connection to each server. It is accepted so
                that a URL can change its scheme.
            sharded_pubsub: the same as `timeout`.
            options: further options of glide, see `urls.OPTIONS`. Arguments override the URL.
        """
        given = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "connections": connections,
            "sharded_pubsub": sharded_pubsub,
        }
        configuration, own = configuration_of(url, {**given, **options})
        return cls(configuration, **own)
