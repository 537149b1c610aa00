"""`store.kv`: values under keys, with an optional time to live.

Semantics are Redis's, on every backend: clauses KV-1 to KV-14 of the contract. Every operation is
one atomic step and one round trip, is safe to cancel (a cancelled write happened wholly or not at
all), and raises, besides what it names: `STORE_KEY_REQUIRED` / `STORE_KEY_INVALID`,
`STORE_SCOPE_REQUIRED`, `STORE_CLOSED`, `STORE_CAPABILITY_UNSUPPORTED`, `STORE_CONNECTION_FAILED`,
`STORE_TIMEOUT`, and the code that its operation has for the backend's own refusal.
"""

from __future__ import annotations

import math
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from igniter_store.arguments import invalid, plain_text
from igniter_store.contract import ErrorCode
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Operation
from igniter_store.serialization import undecodable
from igniter_store.ttl import Ttl, ttl_seconds

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
D = TypeVar("D")

GET: Final = Operation("kv.get", ErrorCode.STORE_GET_FAILED)
SET: Final = Operation("kv.set", ErrorCode.STORE_SET_FAILED)
EXISTS: Final = Operation("kv.exists", ErrorCode.STORE_OPERATION_FAILED)
REMOVE: Final = Operation("kv.remove", ErrorCode.STORE_DELETE_FAILED)
POP: Final = Operation("kv.pop", ErrorCode.STORE_GET_FAILED)
EXPIRE: Final = Operation("kv.expire", ErrorCode.STORE_OPERATION_FAILED)
TOUCH: Final = Operation("kv.touch", ErrorCode.STORE_OPERATION_FAILED)
TTL: Final = Operation("kv.ttl", ErrorCode.STORE_OPERATION_FAILED)
PERSIST: Final = Operation("kv.persist", ErrorCode.STORE_OPERATION_FAILED)

_GET_STARTED: Final = GET.started
_GET_SUCCESS: Final = GET.success
_CONDITIONS: Final = ("absent", "present")
# Python's `type`, which is the name of an argument here. Not `key.__class__`: a mock of a `str`
# passes that off as its own.
_kind: Final = type


class KeyValueNamespace(Namespace):
    """Values under keys."""

    word = "kv"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._decode_any: Final = self._codec.first_decoder(Any)
        self._encode: Final = self._codec.encode
        self._attributes: Final = self._observer.attributes
        self._started_attributes: Final = self._observer.started_attributes
        self._emit: Final = None if self._observer.sink is None else self._observer.sink.emit

    @overload
    async def get(self, key: str) -> Any: ...
    @overload
    async def get(self, key: str, type: TypeForm[T]) -> T | None: ...
    @overload
    async def get(self, key: str, type: TypeForm[T], *, default: D) -> T | D: ...
    @overload
    async def get(self, key: str, *, default: Any) -> Any: ...
    async def get(self, key: str, type: Any = None, *, default: Any = None) -> Any:
        """The value of `key`. Redis GET; KV-1, KV-2, KV-6.

        Args:
            key: the key within this store and scope.
            type: what the value is converted to: a builtin, a dataclass, a TypedDict, a msgspec
                struct, a pydantic model, or a generic such as `list[int]`. Without it plain data
                come back.
            default: what is returned for a missing key.

        Returns:
            The value, or `default`. A stored `None` is a value: `exists` tells it from a missing
            key.

        Raises:
            SerializationError: `STORE_DESERIALIZATION_FAILED` when the stored bytes are no `type`.
            InvalidArgument: `STORE_ARGUMENT_INVALID` for a `type` that nothing converts to.
        """
        # `get` and `set` are called far more often than all others: what an attempt does is spelled
        # out, which saves a third of their time.
        emit = self._emit
        began = 0.0
        if emit is not None:
            try:
                emit(_GET_STARTED, level="debug", attributes=self._started_attributes)
            except Exception:  # noqa: BLE001 - a sink of the user's may raise anything
                self._observer.sink_failed()
            began = perf_counter()
        try:
            if get_ident() != self._affinity.runner._thread_id:  # noqa: SLF001 - see Affinity
                self._bind()
            full_key = (
                self._prefix + key
                if _kind(key) is str and key and key.isascii()
                else self._key(key)
            )
            decode = self._decode_any if type is None else self._codec.first_decoder(type)
            data = await self._through.keyvalue.get(full_key)
            try:
                value = default if data is None else decode(data)
            except Exception as error:  # noqa: BLE001 - whatever a decoder raises means one thing
                value = self._reread(data, type, error)
        except Exception as error:  # noqa: BLE001 - `failed` is the one translator
            # it knows its cause
            raise self._observer.failed(GET, error, began, self._attributes.copy())  # noqa: B904
        if emit is not None:
            attributes = self._attributes.copy()
            attributes["ctx.kv.found"] = data is not None
            attributes["ctx.duration_ms"] = (perf_counter() - began) * 1000
            try:
                emit(_GET_SUCCESS, level="debug", attributes=attributes)
            except Exception:  # noqa: BLE001 - as above
                self._observer.sink_failed()
        return value

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Ttl | None = None,
        only_if: Literal["absent", "present"] | None = None,
    ) -> bool:
        """Write `value`, and say whether it was written. Redis SET; KV-4, KV-5, KV-7.

        Args:
            key: the key within this store and scope.
            value: anything that the serializer takes.
            ttl: how long the key lives, in seconds or as a `timedelta`. Without it the key stays,
                and an old TTL is cleared.
            only_if: "absent" writes only a new key, "present" only an existing one; atomic among
                all callers.

        Raises:
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
            InvalidArgument: `STORE_TTL_INVALID`, or `STORE_ARGUMENT_INVALID` for another `only_if`.
        """
        emit = self._emit
        began = 0.0 if emit is None else self._observer.start(SET)
        seconds = None
        try:
            if get_ident() != self._affinity.runner._thread_id:  # noqa: SLF001 - see Affinity
                self._bind()
            full_key = (
                self._prefix + key
                if _kind(key) is str and key and key.isascii()
                else self._key(key)
            )
            if ttl is not None:
                seconds = ttl_seconds(ttl)
            if only_if is not None:
                _check_condition(only_if)
            written = await self._through.keyvalue.set(
                full_key, self._encode(value), ttl=seconds, only_if=only_if
            )
        except Exception as error:  # noqa: BLE001 - as in `get`
            raise self._observer.failed(SET, error, began, _with_ttl(self._attributes, seconds))  # noqa: B904 - as in `get`
        if emit is not None:
            self._observer.succeed(SET, began, _with_ttl(self._attributes, seconds))
        return written

    async def exists(self, key: str) -> bool:
        """True when there is a value under `key`. Redis EXISTS; KV-6."""
        with self._attempt(EXISTS) as attempt:
            existed = await self._through.keyvalue.exists(self._key(key))
            attempt.note("ctx.kv.existed", existed)
            return existed

    async def remove(self, key: str) -> bool:
        """Remove `key`, and say whether it was there. Redis DEL; KV-10."""
        with self._attempt(REMOVE) as attempt:
            existed = await self._through.keyvalue.delete([self._key(key)]) > 0
            attempt.note("ctx.kv.existed", existed)
            return existed

    @overload
    async def pop(self, key: str) -> Any: ...
    @overload
    async def pop(self, key: str, type: TypeForm[T]) -> T | None: ...
    async def pop(self, key: str, type: Any = None) -> Any:
        """Read and remove `key` in one step: of concurrent callers one gets the value, the others
        `None`. Redis GETDEL; KV-10.

        Raises:
            SerializationError: `STORE_DESERIALIZATION_FAILED` when the bytes are no `type`; they
                are removed all the same.
        """
        with self._attempt(POP) as attempt:
            full_key = self._key(key)
            decode = self._codec.decoder(type)
            data = await self._through.keyvalue.getdel(full_key)
            attempt.note("ctx.kv.found", data is not None)
            return None if data is None else decode(data)

    async def expire(self, key: str, ttl: Ttl) -> bool:
        """Let `key` live for `ttl` from now; False when there is no such key. Redis PEXPIRE; KV-8.

        Raises:
            InvalidArgument: `STORE_TTL_INVALID`.
        """
        with self._attempt(EXPIRE) as attempt:
            full_key, seconds = self._key(key), ttl_seconds(ttl)
            attempt.note("ctx.kv.ttl", seconds)
            return await self._through.keyvalue.expire(full_key, seconds)

    async def touch(self, key: str, ttl: Ttl) -> bool:
        """As `expire`: the word for keeping a session or a presence alive."""
        with self._attempt(TOUCH) as attempt:
            full_key, seconds = self._key(key), ttl_seconds(ttl)
            attempt.note("ctx.kv.ttl", seconds)
            return await self._through.keyvalue.expire(full_key, seconds)

    async def ttl(self, key: str) -> float | None:
        """The seconds that `key` has left; `None` when it has no TTL or doesn't exist. Redis PTTL;
        KV-9.
        """
        with self._attempt(TTL) as attempt:
            left = await self._through.keyvalue.ttl(self._key(key))
            if left is None or math.isinf(left):
                return None
            attempt.note("ctx.kv.ttl", left)
            return left

    async def persist(self, key: str) -> bool:
        """Remove the TTL of `key`, and say whether it had one. Redis PERSIST; KV-9."""
        with self._attempt(PERSIST):
            return await self._through.keyvalue.persist(self._key(key))

    def _reread(self, data: Any, type: Any, error: Exception) -> Any:
        try:
            return self._codec.second_reading(data, type, error)
        except Exception as last:  # noqa: BLE001 - as in `get`
            raise undecodable(last) from None


def _check_condition(only_if: Any) -> None:
    if plain_text(only_if) not in _CONDITIONS:
        raise invalid('`only_if` must be "absent", "present" or omitted.')


def _with_ttl(attributes: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    return attributes.copy() if seconds is None else {**attributes, "ctx.kv.ttl": seconds}
