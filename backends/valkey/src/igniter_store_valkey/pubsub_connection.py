"""One client that receives messages.

glide's own subscriptions are declarative: it subscribes at some later time, and again after a lost
connection, without a notification. But a subscription must be active when `subscribe` returns, and
a gap must be reported before the first message after it (PUB-1, PUB-10). So the adapter sends the
subscribe commands itself, in a batch, which glide forwards unchanged. After a lost connection such
a client receives no more messages, and a new client replaces it.

Rule: pending commands are sent as one batch, and their replies are passed on in the order of the
    commands. On a cluster there is one batch per slot, since each slot has its node, and these
    batches are in flight together.
Rule: a message may overtake the confirmation of its subscription. It is held until the confirmation
    arrives, because the confirmation, and a gap that it reports, must come first.
Rule: a SUNSUBSCRIBE is sent in a transaction of its own. Outside of one, glide 2.6 doesn't treat
    its confirmation as the reply, and matches every later reply to the command before its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import glide
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract.affinity import background, forget_task
from igniter_store.redis_commands.encoding import decoded
from igniter_store.redis_commands.reply_errors import ConnectionLost, ErrorReply
from igniter_store.redis_commands.slots import slot_of
from igniter_store.redis_commands.subscriptions import ENDS, PATTERN, PLAIN, SHARDED

from igniter_store_valkey.connection_id import INTERVAL, connection_id
from igniter_store_valkey.errors import UNREACHABLE, reply_error_of
from igniter_store_valkey.glide_clients import GRACE, abandon_client, answers_to

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from igniter_store_valkey.glide_types import Client

_Command: TypeAlias = tuple[bytes, bytes]  # the command, and a channel or a pattern

_MOST: Final = 128  # commands in flight; a server confirms that many in one write
_BEGUN_BY: Final = {end: verb for verb, end in ENDS.items()}
_UNHEARD: Final = ENDS[SHARDED]
_KINDS: Final = {PLAIN: 0, PATTERN: 1, SHARDED: 2}  # glide's numbers


class GlidePubSubConnection:
    """A connection for messages, or one to each node of a cluster.

    Args:
        client: glide's client, connected; its callback calls `hear`.
        handle: called with messages and confirmations as RESP 2 has them.
        end: runs the coroutine that closes the client.
        patience: seconds that a reply may take.
        is_sharded: whether the channels are sharded; glide's messages don't include that.
        note_client_id: called with True when the first CLIENT ID gets a reply, and with False when
            the connection is lost on it. None if CLIENT ID must not be sent.

    Attributes:
        lost: done when a connection is gone.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of the connection
        self,
        client: Client,
        handle: Callable[[Any], None],
        end: Callable[[Coroutine[Any, Any, None]], None],
        *,
        patience: float,
        is_sharded: bool,
        note_client_id: Callable[[bool], None] | None,
    ) -> None:
        self.lost: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._client: Final = client
        self._is_cluster: Final = isinstance(client, glide.GlideClusterClient)
        self._verb: Final = SHARDED if is_sharded else PLAIN
        # There glide 2.6 aborts the process (a panic) when it is asked for its subscriptions. On a
        # single server these end only with their connection, which CLIENT ID reveals.
        self._aborts_when_asked: Final = is_sharded and not self._is_cluster
        self._kind: Final = b"smessage" if is_sharded else b"message"
        self._confirmed: set[tuple[bytes, bytes]] = set()
        # Messages that have overtaken the confirmation
        self._early: dict[tuple[bytes, bytes], list[list[bytes]]] = {}
        self._handle: Final = handle
        self._end: Final = end
        self._patience: Final = patience + GRACE
        self._note_client_id: Final = note_client_id
        self._waiting: Final[deque[_Command]] = deque()
        self._has_waiting: Final = asyncio.Event()
        self._under_way: set[tuple[bytes, bytes]] = set()
        self._parts: list[asyncio.Task[None]] = []  # subtasks of `_work`, once it has the client id
        self._work: Final = asyncio.create_task(background(self._keep))
        self._has_ended = False

    @property
    def heard_at(self) -> float | None:
        """None: `_watch` checks the connection all the time, with a timeout of its own."""
        return None

    def send(self, *words: Any) -> None:
        """Send a command; its reply arrives among the messages."""
        verb, name = words
        self._waiting.append((verb, name))
        self._has_waiting.set()

    def hear(self, message: Any) -> None:
        """Pass on a message, unless the connection is lost."""
        name: tuple[bytes, bytes]
        if message.pattern is not None:
            name, arrived = (
                (PATTERN, message.pattern),
                [b"pmessage", message.pattern, message.channel, message.message],
            )
        else:
            name, arrived = (
                (self._verb, message.channel),
                [self._kind, message.channel, message.message],
            )
        if self.lost.done():
            return
        if name in self._confirmed:
            self._handle(arrived)
        elif name in self._early:
            self._early[name].append(arrived)

    def end(self) -> None:
        """Close the client."""
        self._is_lost()
        if not self._has_ended:
            self._has_ended = True
            self._end(self._ended())

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the client, because the event loop is closed."""
        self._has_ended = True
        for task in (*self._parts, self._work):
            forget_task(task)
        abandon_client(self._client, is_inherited=is_inherited)

    async def _ended(self) -> None:
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        await self._client.close()

    def _is_lost(self) -> None:
        if not self._has_ended and not self.lost.done():
            self.lost.set_result(None)

    async def _keep(self) -> None:
        try:
            known = await self._first_identity()  # before the first subscription
            async with asyncio.TaskGroup() as group:
                self._parts = [
                    group.create_task(self._send_all()),
                    group.create_task(self._watch(known)),
                ]
        except* UNREACHABLE:
            pass
        finally:
            self._is_lost()

    async def _identity(self) -> Any:
        return await connection_id(
            self._client, self._patience, has_client_id=self._note_client_id is not None
        )

    async def _first_identity(self) -> Any:
        try:
            known = await self._identity()
        except glide.RequestError as error:
            if self._note_client_id is not None and isinstance(
                reply_error_of(error), ConnectionLost
            ):
                self._note_client_id(False)
            raise
        if self._note_client_id is not None:
            self._note_client_id(True)
        return known

    async def _send_all(self) -> None:
        while True:
            await self._has_waiting.wait()
            commands = self._next()
            self._under_way = {_named(command) for command in commands}
            for command in commands:
                if command[0] not in _BEGUN_BY and command not in self._confirmed:
                    self._early[command] = []
            for command, answer in zip(commands, await self._answers(commands), strict=True):
                self._take(command, answer)
            self._under_way.clear()

    def _next(self) -> list[_Command]:
        """The next batch, in order: at most `_MOST` commands, or one SUNSUBSCRIBE."""
        waiting, commands = self._waiting, [self._waiting.popleft()]
        while (
            waiting and len(commands) < _MOST and _UNHEARD not in {commands[-1][0], waiting[0][0]}
        ):
            commands.append(waiting.popleft())
        if not waiting:
            self._has_waiting.clear()
        return commands

    async def _answers(self, commands: Sequence[_Command]) -> list[Any]:
        """Send the commands, and return one reply for each."""
        places: dict[int, list[int]] = {}  # by slot, because a name is published at its slot's node
        for place, (_, name) in enumerate(commands):
            places.setdefault(slot_of(name) if self._is_cluster else 0, []).append(place)
        answers: list[Any] = [None] * len(commands)

        async def ask(slot: int, batch: Sequence[int]) -> None:
            route = glide.SlotIdRoute(glide.SlotType.PRIMARY, slot) if self._is_cluster else None
            words: list[list[Any]] = [[*commands[place]] for place in batch]
            answered = await answers_to(
                self._client, words, route, is_atomic=words[0][0] == _UNHEARD
            )
            for place, answer in zip(batch, answered, strict=True):
                answers[place] = answer

        async with FairTimeout(self._patience), asyncio.TaskGroup() as group:
            for slot, batch in places.items():
                group.create_task(ask(slot, batch))
        return answers

    def _take(self, command: _Command, answer: Any) -> None:
        """Pass on a reply, and then the messages that arrived before it."""
        verb, name = command[0], _named(command)
        early = self._early.pop(name, [])
        if isinstance(answer, glide.RequestError):
            reply_error = reply_error_of(answer)
            if not isinstance(reply_error, ErrorReply):
                raise answer
            self._handle(reply_error)
            return
        (self._confirmed.discard if verb in _BEGUN_BY else self._confirmed.add)(name)
        self._handle([verb.lower(), name[1], None])
        for arrived in early:
            self._handle(arrived)

    async def _watch(self, known: Any) -> None:
        """Raise when the connection has changed or a subscription is gone."""
        has_missed = False
        while await self._identity() == known:
            # One miss may be a confirmation that glide has forwarded but not recorded yet.
            has_all = await self._has_all()
            if has_missed and not has_all:
                break
            has_missed = not has_all
            await asyncio.sleep(INTERVAL)
        raise glide.ConnectionError("another connection")

    async def _has_all(self) -> bool:
        """False once a subscription has ended although no command ended it.

        It ends with its connection, or when its slot moves. glide keeps track of that itself, and
        this sends no command.
        """
        # glide may already have dropped a subscription that is being ended
        confirmed = self._confirmed - self._under_way
        if not confirmed or self._aborts_when_asked:
            return True
        client: Any = self._client
        try:
            state: Any = await client.get_subscriptions()
        # glide fails at the first name that isn't UTF-8. A subscription that ends with its
        # connection is noticed anyway.
        except UnicodeDecodeError:
            return True
        actual: dict[int, set[str]] = state.actual_subscriptions
        return all(decoded(name) in actual.get(_KINDS[verb], ()) for verb, name in confirmed)


def _named(command: _Command) -> tuple[bytes, bytes]:
    """The command that begins the subscription, and its channel or pattern."""
    verb, name = command
    return _BEGUN_BY.get(verb, verb), name
