"""Pending subscription commands, and the confirmations that they wait for.

Rule: the server answers the commands of one connection in order, so the next confirmation belongs
    to the oldest pending command.
Rule: a command doesn't wait for the reply to another caller's command: a thousand concurrent
    callers share their round trips.
Rule: the timeout restarts with every confirmation. A caller behind a thousand others may wait
    longer than the time of one reply.
Rule: a PING is a command like the others, so a reply or an error never goes to the wrong command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from igniter_store.adapter_tools.timeouts import wait_for_any
from igniter_store.redis_commands.reply_errors import ReplyError, ReplyTimeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.redis_commands.transport import Name


PING: Final = b"PING"
_NO_NAME: Final = (PING, "")


class Command(NamedTuple):
    """A command that was sent, when it was sent, and its future reply: `None` confirms it."""

    verb: bytes
    name: Name
    answer: asyncio.Future[ReplyError | None]
    since: float


class Confirmations:
    """The commands that are not answered yet.

    Args:
        timeout: seconds that the next reply may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout: Final = timeout
        self._commands: Final[deque[Command]] = deque()
        self._last: Final[dict[Name, Command]] = {}
        self._answered_at = 0.0

    def expect(self, verb: bytes, name: Name) -> asyncio.Future[ReplyError | None]:
        """Return the future reply to a command that is sent now.

        A caller waits for it with `answer`.
        """
        loop = asyncio.get_running_loop()
        command = Command(verb, name, loop.create_future(), loop.time())
        self._commands.append(command)
        self._last[name] = command
        return command.answer

    def last(self, name: Name) -> Command | None:
        """Return the last pending command for this name.

        It determines the final state of the name (PUB-1).
        """
        return self._last.get(name)

    def confirm(self, verb: bytes, name: Name) -> bool:
        """Pass on a confirmation if it matches the oldest pending command.

        Returns whether it did.
        """
        if not self._commands or self._commands[0][:2] != (verb, name):
            return False
        self.settle(None)
        return True

    def expect_life(self) -> None:
        """Expect the reply to a PING that is sent now."""
        self.expect(PING, _NO_NAME)

    def confirm_life(self) -> None:
        """Accept the reply to a PING."""
        self.confirm(PING, _NO_NAME)

    def due(self, heard_at: float) -> float | None:
        """Return when the oldest command times out, in the loop's time; `None` if none is pending.

        Args:
            heard_at: when the connection last received data. A message that arrives before the
                reply to a PING also proves that the connection is alive.
        """
        if not self._commands:
            return None
        oldest = self._commands[0]
        began = max(oldest.since, self._answered_at)
        return (max(began, heard_at) if oldest.verb == PING else began) + self._timeout

    def settle(self, outcome: ReplyError | None) -> None:
        """Pass on a reply to the oldest command."""
        if not self._commands:
            return
        command = self._commands.popleft()
        if self._last[command.name] is command:
            del self._last[command.name]
        self._answered_at = asyncio.get_running_loop().time()
        command.answer.set_result(outcome)

    def lose(self, reply_error: ReplyError) -> None:
        """Fail all pending commands, because the connection is lost."""
        for command in self._commands:
            command.answer.set_result(reply_error)
        self._commands.clear()
        self._last.clear()

    async def answer(
        self, answer: asyncio.Future[ReplyError | None], since: float
    ) -> ReplyError | None:
        """Wait for a reply that other callers may wait for too, or return `ReplyTimeout`.

        The argument `since` is that of `is_done`.
        """
        return answer.result() if await self.is_done([answer], since) else ReplyTimeout()

    async def is_done(self, awaited: Sequence[asyncio.Future[Any]], since: float) -> bool:
        """Wait until one future is done; return False once the server has been silent for too long.

        Args:
            awaited: the futures; cancelling the caller doesn't cancel them.
            since: when waiting began, in the loop's time.
        """
        loop = asyncio.get_running_loop()
        while True:
            rest = max(since, self._answered_at) + self._timeout - loop.time()
            if await wait_for_any(awaited, max(rest, 0.0)):
                return True
            if max(since, self._answered_at) + self._timeout <= loop.time():
                return False
