"""What was asked of a server about subscriptions, and the confirmations that are to come.

Rule: the server answers commands of one connection in their order, so the oldest one that waits for
    a confirmation gets the next.
Rule: nobody waits with a command for the answer to another's: a thousand who ask together share
    their trips.
Rule: the limit is how long the server may confirm nothing at all. Behind a thousand others one
    waits longer than for one answer.
Rule: a request for a sign of life is a command like the others, so an answer or a refusal never
    goes to the wrong one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from igniter_store.contract.timeouts import wait_for_any
from igniter_store.redis_commands.reply_errors import ReplyError, ReplyTimeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.redis_commands.transport import Name


PING: Final = b"PING"
_NO_NAME: Final = (PING, "")


class Command(NamedTuple):
    """What was asked and when, and the answer that is to come: `None` for a confirmation."""

    verb: bytes
    name: Name
    answer: asyncio.Future[ReplyError | None]
    since: float


class Confirmations:
    """The commands that have no answer yet.

    Args:
        timeout: seconds that the next answer may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout: Final = timeout
        self._commands: Final[deque[Command]] = deque()
        self._last: Final[dict[Name, Command]] = {}
        self._answered_at = 0.0

    def expect(self, verb: bytes, name: Name) -> asyncio.Future[ReplyError | None]:
        """The future answer to a command that is sent now; whoever waits for it does so by
        `answer`.
        """
        loop = asyncio.get_running_loop()
        command = Command(verb, name, loop.create_future(), loop.time())
        self._commands.append(command)
        self._last[name] = command
        return command.answer

    def last(self, name: Name) -> Command | None:
        """The last command about this name, which says what becomes of it (PUB-1)."""
        return self._last.get(name)

    def confirm(self, verb: bytes, name: Name) -> bool:
        """Pass on a confirmation, if it is the one that is expected."""
        if not self._commands or self._commands[0][:2] != (verb, name):
            return False
        self.settle(None)
        return True

    def expect_life(self) -> None:
        """Expect the answer to a PING that is sent now."""
        self.expect(PING, _NO_NAME)

    def confirm_life(self) -> None:
        """Take the answer to a PING."""
        self.confirm(PING, _NO_NAME)

    def due(self, heard_at: float) -> float | None:
        """When the oldest command will have waited too long, in the loop's time; `None` when none
        waits.

        Args:
            heard_at: when something came last. Messages that come before the answer to a PING are
                as good a sign of life.
        """
        if not self._commands:
            return None
        oldest = self._commands[0]
        began = max(oldest.since, self._answered_at)
        return (max(began, heard_at) if oldest.verb == PING else began) + self._timeout

    def settle(self, outcome: ReplyError | None) -> None:
        """Pass on an answer to the oldest command."""
        if not self._commands:
            return
        command = self._commands.popleft()
        if self._last[command.name] is command:
            del self._last[command.name]
        self._answered_at = asyncio.get_running_loop().time()
        command.answer.set_result(outcome)

    def lose(self, reply_error: ReplyError) -> None:
        """The connection is gone: no answer comes any more."""
        for command in self._commands:
            command.answer.set_result(reply_error)
        self._commands.clear()
        self._last.clear()

    async def answer(
        self, answer: asyncio.Future[ReplyError | None], since: float
    ) -> ReplyError | None:
        """An answer that others may wait for as well, or `ReplyTimeout`; arguments as `is_done`."""
        return answer.result() if await self.is_done([answer], since) else ReplyTimeout()

    async def is_done(self, awaited: Sequence[asyncio.Future[Any]], since: float) -> bool:
        """Wait until one of these is done; False once the server has been silent for too long.

        Args:
            awaited: stay what they are when our caller is cancelled.
            since: when waiting began, in the loop's time.
        """
        loop = asyncio.get_running_loop()
        while True:
            rest = max(since, self._answered_at) + self._timeout - loop.time()
            if await wait_for_any(awaited, max(rest, 0.0)):
                return True
            if max(since, self._answered_at) + self._timeout <= loop.time():
                return False
