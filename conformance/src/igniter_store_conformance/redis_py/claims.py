"""Claims: a key that holds the owner, and a counter of tokens.

Each step that compares is a script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.contract import TOKEN_LIFETIME, Claims, ErrorCode

from igniter_store_conformance.redis_py.keyvalue import milliseconds

if TYPE_CHECKING:
    from igniter_store_conformance.redis_py.calls import Calls


class RedisPyClaims(Claims):
    """`Claims` over redis-py."""

    _calls: Calls

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        life: list[Any] = [] if ttl is None else ["PX", milliseconds(ttl)]
        return await self._calls.tell("SET", key, owner, "NX", *life) is not None

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return bool(await self._calls.run("compare_delete", [key], owner))

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return bool(await self._calls.run("compare_expire", [key], owner, milliseconds(ttl)))

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        words = (owner, milliseconds(ttl), milliseconds(TOKEN_LIFETIME))
        token = await self._calls.run(
            "acquire", [key, token_key], *words, code=ErrorCode.STORE_INCREMENT_FAILED
        )
        return None if token is None else int(token)
