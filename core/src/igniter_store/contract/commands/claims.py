"""Claims: a key that holds its owner, and a counter of tokens.

Rule: each step that compares is one command, or a script where the server has no such command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.contract.claims import TOKEN_LIFETIME, Claims
from igniter_store.contract.commands.commands import UNKNOWN
from igniter_store.contract.commands.keyvalue import milliseconds
from igniter_store.contract.errors import ErrorCode

if TYPE_CHECKING:
    from igniter_store.contract.commands.commands import Commands


class CommandClaims(Claims):
    """`Claims` on commands."""

    _commands: Commands

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if self._commands.changes_values:
            return bool(await self._commands.run("set_nx", [key], owner, "" if ttl is None else milliseconds(ttl)))
        life: list[Any] = [] if ttl is None else ["PX", milliseconds(ttl)]
        return await self._commands.tell("SET", key, owner, "NX", *life) is not None

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        removed: Any = UNKNOWN
        if not self._commands.changes_values:  # such a client may refuse a command that compares
            removed = await self._commands.try_telling("DELEX", "DELEX", key, "IFEQ", owner)  # Redis 8.4
            if removed is UNKNOWN:
                removed = await self._commands.try_telling("DELIFEQ", "DELIFEQ", key, owner)  # Valkey 9
        if removed is UNKNOWN:
            removed = await self._commands.run("compare_delete", [key], owner)
        return bool(removed)

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        renewed: Any = UNKNOWN
        if not self._commands.changes_values:
            words = ("SET", key, owner, "IFEQ", owner, "PX", milliseconds(ttl))  # Valkey 8.1, Redis 8.4
            renewed = await self._commands.try_telling("SET IFEQ", *words)
        if renewed is UNKNOWN:
            renewed = await self._commands.run("compare_expire", [key], owner, milliseconds(ttl))
        return bool(renewed)

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        words = (owner, milliseconds(ttl), milliseconds(TOKEN_LIFETIME))
        token = await self._commands.run("acquire", [key, token_key], *words, code=ErrorCode.STORE_INCREMENT_FAILED)
        return None if token is None else int(token)
