"""One client that hears messages.

glide's own way is a list of wishes: it sees to it that they come true, some day, and again after a lost connection, without a word to us.
A subscription has to be there when `subscribe` returns, and a gap has to be told before the first message behind it (PUB-1, PUB-10). So
the commands are sent as they are, in a batch, which glide passes on; after a lost connection such a client hears nothing any more, and
is given up for a new one.

Rule: a message may overtake the confirmation of its subscription. It waits for it, since what comes with a confirmation has to come first.
Rule: glide takes no SUNSUBSCRIBE for the answer to anything, and then every later answer for the one before it; in a transaction it does.
Rule: glide doesn't say that it has lost a connection. Who has a new one has a new CLIENT ID, so that is looked at all the time; it also
makes glide notice a connection that is dead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.contract.commands.listener import ENDS, PATTERN, PLAIN, SHARDED
from igniter_store.contract.commands.troubles import Refused

from igniter_store_valkey.clients import GRACE, answer_to, answers_to
from igniter_store_valkey.errors import UNREACHABLE, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from igniter_store_valkey.clients import Client

_LOOK: Final = 0.25  # seconds between looks at the connection
_BEGUN_BY: Final = {end: verb for verb, end in ENDS.items()}
_UNHEARD: Final = ENDS[SHARDED]
_KINDS: Final = {PLAIN: 0, PATTERN: 1, SHARDED: 2}  # glide's numbers


class GlideLink:
    """A connection for messages, or one to each node of a cluster.

    Args:
        client: glide's, connected; its callback leads to `hear`.
        handle: gets messages and confirmations as RESP 2 has them.
        end: awaits what is to be done in the end.
        patience: seconds that an answer may take.
        is_sharded: whether the channels are sharded; glide doesn't say of a message what it is.

    Attributes:
        lost: done when a connection is gone.
    """

    def __init__(
        self,
        client: Client,
        handle: Callable[[Any], None],
        end: Callable[[Coroutine[Any, Any, None]], None],
        *,
        patience: float,
        is_sharded: bool,
    ) -> None:
        self.lost: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._client: Final = client
        self._is_cluster: Final = isinstance(client, glide.GlideClusterClient)
        self._verb: Final = SHARDED if is_sharded else PLAIN
        # glide 2.5 ends the whole process then. A single server's subscriptions end with their connection only, and that is noticed anyway.
        self._aborts_when_asked: Final = is_sharded and not self._is_cluster
        self._kind: Final = b"smessage" if is_sharded else b"message"
        self._confirmed: set[tuple[bytes, bytes]] = set()
        self._early: dict[tuple[bytes, bytes], list[list[bytes]]] = {}  # messages that have overtaken the confirmation
        self._handle: Final = handle
        self._end: Final = end
        self._patience: Final = patience + GRACE
        self._commands: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._work: Final = asyncio.create_task(self._keep())
        self._has_ended = False

    def send(self, *words: Any) -> None:
        """Send a command; its answer comes as messages do."""
        self._commands.put_nowait(words)

    def hear(self, message: Any) -> None:
        """Pass on a message, unless the connection counts as lost."""
        name: tuple[bytes, bytes]
        if message.pattern is not None:
            name, arrived = (PATTERN, message.pattern), [b"pmessage", message.pattern, message.channel, message.message]
        else:
            name, arrived = (self._verb, message.channel), [self._kind, message.channel, message.message]
        if self.lost.done():
            return
        if name in self._confirmed:
            self._handle(arrived)
        elif name in self._early:
            self._early[name].append(arrived)

    def end(self) -> None:
        """Close it."""
        self._is_lost()
        if not self._has_ended:
            self._has_ended = True
            self._end(self._ended())

    async def _ended(self) -> None:
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        await self._client.close()

    def _is_lost(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def _keep(self) -> None:
        try:
            known = await self._identity()  # before anything is subscribed
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all())
                group.create_task(self._watch(known))
        except* UNREACHABLE:
            pass
        finally:
            self._is_lost()

    async def _send_all(self) -> None:
        while True:
            words = await self._commands.get()
            verb: bytes = words[0]
            name: tuple[bytes, bytes] = (_BEGUN_BY.get(verb, verb), words[1].encode("utf-8", "surrogateescape"))
            begins = verb == name[0]
            if begins and name not in self._confirmed:
                self._early[name] = []
            answer = await self._sent(verb, name[1])
            early = self._early.pop(name, [])
            if isinstance(answer, glide.RequestError):
                trouble = trouble_of(answer)
                if not isinstance(trouble, Refused):
                    raise answer
                self._handle(trouble)
                continue
            (self._confirmed.add if begins else self._confirmed.discard)(name)
            self._handle([verb.lower(), name[1], None])
            for arrived in early:
                self._handle(arrived)

    async def _watch(self, known: Any) -> None:
        """Raise when something has changed."""
        has_missed = False
        while await self._identity() == known:
            # Once may be a confirmation that glide has passed on and not yet noted.
            has_all = await self._has_all()
            if has_missed and not has_all:
                break
            has_missed = not has_all
            await asyncio.sleep(_LOOK)
        raise glide.ConnectionError("another connection")

    async def _sent(self, verb: bytes, name: bytes) -> Any:
        # Where the name has its slot, since that is where it is published, too.
        route = glide.SlotKeyRoute(glide.SlotType.PRIMARY, name.decode("utf-8", "surrogateescape")) if self._is_cluster else None
        async with asyncio.timeout(self._patience):
            [answer] = await answers_to(self._client, [[verb, name]], route, is_atomic=verb == _UNHEARD)
        return answer

    async def _identity(self) -> Any:
        """What is another one after a connection was lost; of a cluster also when nodes come or go."""
        try:
            async with asyncio.timeout(self._patience):
                return await answer_to(self._client, ["CLIENT", "ID"], glide.AllPrimaries() if self._is_cluster else None)
        except glide.RequestError as error:
            if not isinstance(trouble_of(error), Refused):
                raise
        await answer_to(self._client, ["PING"])  # a Dragonfly that is older than CLIENT ID
        return None

    async def _has_all(self) -> bool:
        """False once a subscription has ended that nobody has ended: with its connection, or its slot. glide knows, and asks nobody."""
        if not self._confirmed or self._aborts_when_asked:
            return True
        client: Any = self._client
        state: Any = await client.get_subscriptions()
        actual: dict[int, set[str]] = state.actual_subscriptions
        return all(name.decode("utf-8", "surrogateescape") in actual.get(_KINDS[verb], ()) for verb, name in self._confirmed)
