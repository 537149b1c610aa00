"""Whether a client of glide still has the connections that it had.

glide doesn't say that it has lost one: it makes another, and whatever the server was to tell the former one is lost. Who has a new one has
a new CLIENT ID, so that is looked at all the time; it also makes glide notice a connection that is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.contract.timeouts import FairTimeout
from igniter_store.redis_commands.reply_errors import Refused

from igniter_store_valkey.clients import answer_to
from igniter_store_valkey.errors import trouble_of

if TYPE_CHECKING:
    from igniter_store_valkey.clients import Client

LOOK: Final = 0.25
"""Seconds between looks at it."""


async def identity_of(client: Client, patience: float, *, of_all: bool = False, has_client_id: bool = True) -> Any:
    """What is another one after a connection was lost; of a cluster also when nodes come or go. `None` where CLIENT ID is refused.

    Args:
        client: glide's.
        patience: seconds that it may take.
        of_all: in a cluster, of replicas as well.
        has_client_id: False where CLIENT ID isn't to be sent.
    """
    route = None
    if isinstance(client, glide.GlideClusterClient):
        route = glide.AllNodes() if of_all else glide.AllPrimaries()
    async with FairTimeout(patience):
        try:
            if has_client_id:
                return await answer_to(client, ["CLIENT", "ID"], route)
        except glide.RequestError as error:
            if not isinstance(trouble_of(error), Refused):
                raise
        try:
            await answer_to(client, ["PING"], route)  # a managed server, or a Dragonfly that is older than CLIENT ID
        except glide.RequestError as error:
            if not isinstance(trouble_of(error), Refused):
                raise
        return None
