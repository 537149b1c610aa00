"""Claims: a key that holds its owner, and a counter of tokens.

Rule: each step that compares is one command, or a script if the server doesn't have such a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.contract.claims import TOKEN_LIFETIME, Claims
from igniter_store.contract.errors import ErrorCode
from igniter_store.redis_commands.client import Unknown
from igniter_store.redis_commands.keyvalue import milliseconds
from igniter_store.redis_commands.replies import decimal_or_none, flag, ok_or_none
from igniter_store.redis_commands.reply_errors import ConnectionLost, failure

if TYPE_CHECKING:
    from igniter_store.redis_commands.client import CommandClient


class CommandClaims(Claims):
    """Implements `Claims` with commands."""

    _commands: CommandClient

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if self._commands.changes_values:
            return await self._commands.run_write_script(
                "set_nx", [key], owner, "" if ttl is None else milliseconds(ttl), read=flag
            )
        life: list[Any] = [] if ttl is None else ["PX", milliseconds(ttl)]
        return await self._commands.write("SET", key, owner, "NX", *life, read=ok_or_none)

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        lost: tuple[Any, ...] = ()
        # A client that changes values may reject a command that compares. DELEX needs Redis 8.4,
        # and DELIFEQ needs Valkey 9.
        comparing = (
            ()
            if self._commands.changes_values
            else (("DELEX", key, "IFEQ", owner), ("DELIFEQ", key, owner))
        )
        for words in comparing:
            removed = await self._commands.write_if_supported(words[0], *words, read=flag)
            if not isinstance(removed, Unknown):
                break
            lost = words if removed.is_lost else lost
        else:
            removed = await self._commands.run_write_script(
                "compare_delete", [key], owner, read=flag
            )
        if lost and not removed:  # it may have been deleted before the connection was lost
            raise failure(
                ConnectionLost(is_sent=True),
                ErrorCode.STORE_OPERATION_FAILED,
                0,
                backend=self.name,
                writes=True,
                words=lost,
            )
        return removed

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        if not self._commands.changes_values:
            # SET with IFEQ needs Valkey 8.1 or Redis 8.4.
            words = ("SET", key, owner, "IFEQ", owner, "PX", milliseconds(ttl))
            renewed = await self._commands.write_if_supported("SET IFEQ", *words, read=ok_or_none)
            if not isinstance(renewed, Unknown):
                return renewed
        return await self._commands.run_write_script(
            "compare_expire", [key], owner, milliseconds(ttl), read=flag
        )

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        words = (owner, milliseconds(ttl), milliseconds(TOKEN_LIFETIME))
        code = ErrorCode.STORE_INCREMENT_FAILED
        return await self._commands.run_write_script(
            "acquire", [key, token_key], *words, read=decimal_or_none, code=code
        )
