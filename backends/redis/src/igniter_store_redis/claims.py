"""Claims: a key that holds its owner, and a counter of tokens; each step that compares is a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.contract import TOKEN_LIFETIME, Claims

from igniter_store_redis.keyvalue import milliseconds

if TYPE_CHECKING:
    from igniter_store_redis.commands import Commands


class RedisClaims(Claims):
    """`Claims` on commands."""

    _commands: Commands

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        life: list[Any] = [] if ttl is None else ["PX", milliseconds(ttl)]
        return await self._commands.tell("SET", key, owner, "NX", *life) is not None

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return bool(await self._commands.run("compare_delete", [key], owner))

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return bool(await self._commands.run("compare_expire", [key], owner, milliseconds(ttl)))

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await self._commands.run("acquire", [key, token_key], owner, milliseconds(ttl), milliseconds(TOKEN_LIFETIME))
        return None if token is None else int(token)
