"""Detects that a glide client has replaced its connection.

glide reconnects silently, and messages that the server sent in between are lost. A new connection
has a new CLIENT ID, so the adapter compares it several times a second. The request also makes glide
notice a dead connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.redis_commands.reply_errors import ErrorReply

from igniter_store_valkey.errors import reply_error_of
from igniter_store_valkey.glide_clients import answer_to

if TYPE_CHECKING:
    from igniter_store_valkey.glide_types import Client

INTERVAL: Final = 0.25
"""Seconds between two requests for the CLIENT ID."""


async def connection_id(
    client: Client, limit: float, *, all_nodes: bool = False, has_client_id: bool = True
) -> Any:
    """Return a value that changes with the connection, or None where the server rejects CLIENT ID.

    On a cluster it also changes when nodes are added or removed.

    Args:
        client: a client of glide.
        limit: seconds for the request.
        all_nodes: on a cluster, include the replicas.
        has_client_id: False where CLIENT ID must not be sent; the server gets a PING instead.
    """
    route = None
    if isinstance(client, glide.GlideClusterClient):
        route = glide.AllNodes() if all_nodes else glide.AllPrimaries()
    async with FairTimeout(limit):
        try:
            if has_client_id:
                return await answer_to(client, ["CLIENT", "ID"], route)
        except glide.RequestError as error:
            if not isinstance(reply_error_of(error), ErrorReply):
                raise
        try:
            # A managed server, or a Dragonfly from before CLIENT ID
            await answer_to(client, ["PING"], route)
        except glide.RequestError as error:
            if not isinstance(reply_error_of(error), ErrorReply):
                raise
        return None
