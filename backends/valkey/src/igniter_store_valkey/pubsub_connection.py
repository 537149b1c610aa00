"""One client that hears messages.

glide's own way is a list of wishes: it sees to it that they come true, some day, and again after a
lost connection, without a word to us. A subscription has to be there when `subscribe` returns, and
a gap has to be told before the first message behind it (PUB-1, PUB-10). So the commands are sent as
they are, in a batch, which glide passes on; after a lost connection such a client hears nothing any
more, and is given up for a new one.

Rule: what waits goes as one batch, whose answers are passed on in the order of the commands. In a
    cluster it is a batch for each slot,
since each has its node, and they are on their way together.
Rule: a message may overtake the confirmation of its subscription. It waits for it, since what comes
    with a confirmation has to come first.
Rule: a SUNSUBSCRIBE goes in a transaction of its own. Outside of one, glide 2.6 doesn't take its
confirmation for the reply, and takes every later reply for the one before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import glide
from igniter_store.contract.affinity import forget_task
from igniter_store.contract.timeouts import FairTimeout
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

_Command: TypeAlias = tuple[bytes, bytes]  # the verb, and a channel or a pattern

_MOST: Final = 128  # commands on their way; what a server says of so many comes in one piece
_BEGUN_BY: Final = {end: verb for verb, end in ENDS.items()}
_UNHEARD: Final = ENDS[SHARDED]
_KINDS: Final = {PLAIN: 0, PATTERN: 1, SHARDED: 2}  # glide's numbers


class GlidePubSubConnection:
    """A connection for messages, or one to each node of a cluster.

    Args:
        client: glide's, connected; its callback leads to `hear`.
        handle: gets messages and confirmations as RESP 2 has them.
        end: awaits what is to be done in the end.
        patience: seconds that an answer may take.
        is_sharded: whether the channels are sharded; glide doesn't say of a message what it is.
        note_client_id: called with whether the first CLIENT ID was answered, or lost the
            connection; `None` where it isn't to be sent.

    Attributes:
        lost: done when a connection is gone.
    """

    def __init__(  # noqa: PLR0913 - what a connection is made of
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
        # glide 2.6 ends the process then (a panic). A single server's subscriptions end only with
        # their connection, which CLIENT ID shows.
        self._aborts_when_asked: Final = is_sharded and not self._is_cluster
        self._kind: Final = b"smessage" if is_sharded else b"message"
        self._confirmed: set[tuple[bytes, bytes]] = set()
        self._early: dict[
            tuple[bytes, bytes], list[list[bytes]]
        ] = {}  # messages that have overtaken the confirmation
        self._handle: Final = handle
        self._end: Final = end
        self._patience: Final = patience + GRACE
        self._note_client_id: Final = note_client_id
        self._waiting: Final[deque[_Command]] = deque()
        self._has_waiting: Final = asyncio.Event()
        self._under_way: set[tuple[bytes, bytes]] = set()
        self._parts: list[asyncio.Task[None]] = []  # of the work, once the client is known
        self._work: Final = asyncio.create_task(self._keep())
        self._has_ended = False

    @property
    def heard_at(self) -> float | None:
        """Nothing: `_watch` asks for a sign of life all the time, with a limit."""
        return None

    def send(self, *words: Any) -> None:
        """Send a command; its answer comes as messages do."""
        verb, name = words
        self._waiting.append((verb, name))
        self._has_waiting.set()

    def hear(self, message: Any) -> None:
        """Pass on a message, unless the connection counts as lost."""
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
        """Close it."""
        self._is_lost()
        if not self._has_ended:
            self._has_ended = True
            self._end(self._ended())

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the client, since the event loop is closed."""
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
            known = await self._first_identity()  # before anything is subscribed
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
        """What is to be sent now, in its order: no more than `_MOST`, and a SUNSUBSCRIBE by itself."""
        waiting, commands = self._waiting, [self._waiting.popleft()]
        while (
            waiting and len(commands) < _MOST and _UNHEARD not in {commands[-1][0], waiting[0][0]}
        ):
            commands.append(waiting.popleft())
        if not waiting:
            self._has_waiting.clear()
        return commands

    async def _answers(self, commands: Sequence[_Command]) -> list[Any]:
        """What is said to each."""
        places: dict[int, list[int]] = {}  # by slots, since that is where a name is published, too
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
        """Pass on an answer, and the messages that were there before it."""
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
        """Raise when something has changed."""
        has_missed = False
        while await self._identity() == known:
            # Once may be a confirmation that glide has passed on and not yet noted.
            has_all = await self._has_all()
            if has_missed and not has_all:
                break
            has_missed = not has_all
            await asyncio.sleep(INTERVAL)
        raise glide.ConnectionError("another connection")

    async def _has_all(self) -> bool:
        """False once a subscription has ended that nobody has ended: with its connection, or its
        slot. glide knows, and asks nobody.
        """
        confirmed = (
            self._confirmed - self._under_way
        )  # of what is being ended, glide may know before we do
        if not confirmed or self._aborts_when_asked:
            return True
        client: Any = self._client
        try:
            state: Any = await client.get_subscriptions()
        # Glide gives up at the first name that is no UTF-8; what ends with its connection is
        # noticed anyway
        except UnicodeDecodeError:
            return True
        actual: dict[int, set[str]] = state.actual_subscriptions
        return all(decoded(name) in actual.get(_KINDS[verb], ()) for verb, name in confirmed)


def _named(command: _Command) -> tuple[bytes, bytes]:
    """What it is about: the command that begins it, and the channel or the pattern."""
    verb, name = command
    return _BEGUN_BY.get(verb, verb), name
