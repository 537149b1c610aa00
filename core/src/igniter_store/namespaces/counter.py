"""`store.counter`: integers that many callers change concurrently.

Rule: semantics are the clauses CTR of the contract.
Rule: operations are atomic, and raise the same errors as those of `store.kv`.
"""

from __future__ import annotations

import re
from typing import Final

from igniter_store.arguments import invalid, plain_int
from igniter_store.contract import ErrorCode, store_error
from igniter_store.namespaces.namespace import Namespace
from igniter_store.operation import Operation
from igniter_store.ttl import Ttl, optional_ttl_seconds

INCREMENT: Final = Operation("counter.increment", ErrorCode.STORE_INCREMENT_FAILED)
DECREMENT: Final = Operation("counter.decrement", ErrorCode.STORE_INCREMENT_FAILED)
GET: Final = Operation("counter.get", ErrorCode.STORE_GET_FAILED)
EXPIRE: Final = Operation("counter.expire", ErrorCode.STORE_OPERATION_FAILED)
TTL: Final = Operation("counter.ttl", ErrorCode.STORE_GET_FAILED)
REMOVE: Final = Operation("counter.remove", ErrorCode.STORE_DELETE_FAILED)

_INTEGER: Final = re.compile(rb"-?[0-9]{1,19}")


class CounterNamespace(Namespace):
    """Counters under keys."""

    word = "counter"

    async def increment(self, key: str, by: int = 1, *, ttl: Ttl | None = None) -> int:
        """Add `by` and return the new value; a missing counter starts at 0.

        Redis INCRBY; CTR-1, CTR-2, CTR-5.

        Args:
            key: the key within this store and scope.
            by: the amount to add; it may be negative or 0.
            ttl: the counter's time to live. It is set in the same step, and only if the counter has
                no TTL, so a rate-limit window needs one call.

        Raises:
            BackendFailed: `STORE_INCREMENT_FAILED` when the result or `by` exceeds signed 64 bits,
                or the key doesn't hold an integer. Nothing is changed.
            InvalidArgument: `STORE_ARGUMENT_INVALID` when `by` isn't an `int`; `STORE_TTL_INVALID`.
        """
        return await self._add(INCREMENT, key, by, 1, ttl)

    async def decrement(self, key: str, by: int = 1, *, ttl: Ttl | None = None) -> int:
        """Subtract `by` and return the new value, which may be negative.

        Arguments and errors as in `increment`.
        """
        return await self._add(DECREMENT, key, by, -1, ttl)

    async def get(self, key: str) -> int | None:
        """Return the value, or `None` when the counter doesn't exist. Redis GET; CTR-6.

        Raises:
            SerializationError: `STORE_DESERIALIZATION_FAILED` when the key holds another kind of
                value, written by other software.
        """
        with self._attempt(GET) as attempt:
            text = await self._through.keyvalue.get(self._key(key))
            if text is None:
                return None
            if not _INTEGER.fullmatch(text):
                raise store_error(
                    ErrorCode.STORE_DESERIALIZATION_FAILED,
                    ("The stored value isn't a counter. Check which program wrote it."),
                )
            value = int(text)
            attempt.note("ctx.counter.value", value)
            return value

    async def expire(self, key: str, ttl: Ttl) -> bool:
        """Set the counter's TTL to `ttl` from now, and return whether the counter exists.

        Redis PEXPIRE; KV-8.
        """
        return await self._expire(EXPIRE, key, ttl)

    async def ttl(self, key: str) -> float | None:
        """Return the counter's remaining time to live, in seconds. Redis PTTL; KV-9.

        For a rate limit, this is the time until the window ends. `None` when the counter has no TTL
        or doesn't exist; `get` distinguishes the two.
        """
        return await self._remaining(TTL, key)

    async def remove(self, key: str) -> bool:
        """Remove the counter and return whether it existed.

        The next increment starts at 0 again. Redis DEL; KV-10.
        """
        with self._attempt(REMOVE):
            return await self._through.keyvalue.delete([self._key(key)]) > 0

    async def _add(
        self, operation: Operation, key: str, by: int, sign: int, ttl: Ttl | None
    ) -> int:
        with self._attempt(operation) as attempt:
            full_key, delta, seconds = self._key(key), sign * _step(by), optional_ttl_seconds(ttl)
            if not -(2**63) <= delta < 2**63:
                raise store_error(
                    ErrorCode.STORE_INCREMENT_FAILED,
                    ("`by` exceeds the range of signed 64-bit integers, so nothing was changed."),
                )
            attempt.note("ctx.counter.delta", delta)
            attempt.note("ctx.counter.ttl", seconds)
            value = await self._through.counters.increment(full_key, delta, ttl=seconds)
            attempt.note("ctx.counter.value", value)
            return value


def _step(by: object) -> int:
    step = plain_int(by)
    if step is None:
        cure = " Count in a smaller unit, such as cents." if isinstance(by, float) else ""
        raise invalid(f"`by` must be an int, not {type(by).__name__}.{cure}")
    return step
