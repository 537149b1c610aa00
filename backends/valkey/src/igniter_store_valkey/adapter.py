"""The adapter: what one client of Valkey or Dragonfly is made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import glide
from igniter_store.redis_commands.adapter import CommandAdapter, check_options, named

from igniter_store_valkey.client import ValkeyClient
from igniter_store_valkey.cluster import ValkeyClusterClient
from igniter_store_valkey.errors import NAME, misconfigured
from igniter_store_valkey.urls import configuration_of

if TYPE_CHECKING:
    from typing import Self

    from igniter_store_valkey.glide_types import Client, Configuration

_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0


class ValkeyAdapter(CommandAdapter):
    """Every capability on Valkey 8.1 or newer, Redis 7 or newer, or Dragonfly: one server or a
    cluster, by valkey-glide.

    Calls that are made in one turn of the event loop share one batch. Subscriptions have a client
    of their own, and so has each read that waits.

    Args:
        client: a client of glide, which sends the commands and stays open (LIF-6), while those that
            wait and those that listen are made from its configuration; or a configuration, and all
            clients are made from it.
        timeout: seconds that an answer may take, beyond the time that a waiting read waits; with a
            `client`, its own `request_timeout` counts for what it sends (250 ms where it has none).
        connect_timeout: seconds that connecting and logging in may take.
        sharded_pubsub: publish and subscribe by SPUBLISH and SSUBSCRIBE, which keep a message at
            the nodes of its channel's slot instead of sending it to all. All who share a channel
            have to do the same. Patterns are refused then (`STORE_CAPABILITY_UNSUPPORTED`).

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for something else than a client, or an
            option that makes no sense.
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
        # By the class, not by isinstance: a mock lies about that.
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
            raise misconfigured(
                f"ValkeyAdapter takes {kinds}, but got {named(given)}. To use a URL, call from_url()."
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
        """An adapter for `valkey://[user:password@]host[:port][/database]`, with several hosts
        where there are several.

        Args:
            url: valkey://, valkeys:// for TLS, valkey+cluster:// and valkeys+cluster://,
                dragonfly:// and dragonflys://. The query may hold the options.
            timeout: as for the class; the same without an argument, if the URL has none.
            connect_timeout: the same.
            connections: has no effect: glide keeps one connection to each server. It is taken so
                that a URL can change its scheme.
            sharded_pubsub: the same as `timeout`.
            options: what glide can do beyond, see `urls.OPTIONS`. Arguments win over the URL.
        """
        given = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "connections": connections,
            "sharded_pubsub": sharded_pubsub,
        }
        configuration, own = configuration_of(url, {**given, **options})
        return cls(configuration, **own)
