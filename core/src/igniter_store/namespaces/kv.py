"""`store.kv`: values under keys, with an optional time to live.

Rule: semantics are those of Redis on every backend: the clauses KV of the contract.
Rule: every operation is one atomic step and one round trip.
Rule: every operation is safe to cancel: a cancelled write was applied completely or not at all.
Rule: in addition to its own errors, every operation can raise `STORE_KEY_REQUIRED` /
    `STORE_KEY_INVALID`, `STORE_SCOPE_REQUIRED`, `STORE_CLOSED`, `STORE_CAPABILITY_UNSUPPORTED`,
    `STORE_CONNECTION_FAILED`, `STORE_TIMEOUT`, and its own failure code when the backend rejects
    the command.
"""

from __future__ import annotations

from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from igniter_store.arguments import invalid, plain_text
from igniter_store.contract import ErrorCode
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Operation
from igniter_store.serialization import undecodable, unencodable
from igniter_store.ttl import OMIT, Ttl, ttl_seconds

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


class KeyValueNamespace(Namespace):
    """Values under keys."""

    word = "kv"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._decode_any: Final = self._codec.first_decoder(Any)
        self._encode: Final = self._codec.first_encoder
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
        """Return the value of `key`.

        Redis GET; KV-1, KV-2, KV-6.

        Args:
            key: the key within this store and scope.
            type: the type to convert the value to: a builtin, a dataclass, a TypedDict, a msgspec
                struct, a pydantic model, or a generic such as `list[int]`. Without it, plain data
                is returned.
            default: returned when the key is missing.

        Returns:
            The value, or `default`. A stored `None` is a value; `exists` distinguishes it from a
            missing key.

        Raises:
            SerializationError: `STORE_DESERIALIZATION_FAILED` when the stored bytes can't be
                decoded as `type`.
            InvalidArgument: `STORE_ARGUMENT_INVALID` when conversion to `type` isn't supported.
        """
        # `get` and `set` are by far the most frequent calls, so the steps of an `Attempt` are
        # inlined here. This saves a third of their time.
        emit = self._emit
        began = 0.0
        if emit is not None:
            try:
                emit(_GET_STARTED, level="debug", attributes=self._started_attributes)
            except Exception:  # noqa: BLE001 - a user's sink may raise anything
                self._observer.sink_failed()
            began = perf_counter()
        try:
            if get_ident() != self._affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
                self._bind()
            full_key = (
                self._prefix + key
                if key.__class__ is str and key and key.isascii()
                else self._key(key)
            )
            decode = self._decode_any if type is None else self._codec.first_decoder(type)
            data = await self._through.keyvalue.get(full_key)
            try:
                value = default if data is None else decode(data)
            except Exception as error:  # noqa: BLE001 - any decoder error means the same
                value = self._reread(data, type, error)
        except Exception as error:  # noqa: BLE001 - `failed` translates all errors
            # `failed` sets the cause
            raise self._observer.failed(GET, error, began, self._attributes.copy())  # noqa: B904
        if emit is not None:
            attributes = self._attributes.copy()
            attributes["ctx.kv.found"] = data is not None
            attributes["ctx.duration_ms"] = (perf_counter() - began) * 1000
            try:
                emit(_GET_SUCCESS, level="debug", attributes=attributes)
            except Exception:  # noqa: BLE001 - a user's sink may raise anything
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
        """Write `value` and return whether it was written.

        Redis SET; KV-4, KV-5, KV-7.

        Args:
            key: the key within this store and scope.
            value: any value that the serializer can encode.
            ttl: the key's time to live, in seconds or as a `timedelta`. Without it, the key doesn't
                expire, and an existing TTL is cleared.
            only_if: "absent" writes only a new key, "present" only an existing one. The check and
                the write are one atomic step among all callers.

        Raises:
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
            InvalidArgument: `STORE_TTL_INVALID`, or `STORE_ARGUMENT_INVALID` for any other
                `only_if`.
        """
        emit = self._emit
        began = 0.0 if emit is None else self._observer.start(SET)
        seconds = None
        try:
            if get_ident() != self._affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
                self._bind()
            full_key = (
                self._prefix + key
                if key.__class__ is str and key and key.isascii()
                else self._key(key)
            )
            if ttl is not None:
                seconds = ttl_seconds(ttl, cure=OMIT)
            if only_if is not None:
                _check_condition(only_if)
            try:
                data = self._encode(value)
            except Exception as error:  # noqa: BLE001 - any encoder error means the same
                raise unencodable(value, error) from None
            written = await self._through.keyvalue.set(full_key, data, ttl=seconds, only_if=only_if)
        except Exception as error:  # noqa: BLE001 - as in `get`
            # as in `get`
            raise self._observer.failed(SET, error, began, _with_ttl(self._attributes, seconds))  # noqa: B904
        if emit is not None:
            self._observer.succeed(SET, began, _with_ttl(self._attributes, seconds))
        return written

    async def exists(self, key: str) -> bool:
        """Return whether `key` has a value. Redis EXISTS; KV-6."""
        with self._attempt(EXISTS) as attempt:
            existed = await self._through.keyvalue.exists(self._key(key))
            attempt.note("ctx.kv.existed", existed)
            return existed

    async def remove(self, key: str) -> bool:
        """Remove `key` and return whether it existed. Redis DEL; KV-10."""
        with self._attempt(REMOVE) as attempt:
            existed = await self._through.keyvalue.delete([self._key(key)]) > 0
            attempt.note("ctx.kv.existed", existed)
            return existed

    @overload
    async def pop(self, key: str) -> Any: ...
    @overload
    async def pop(self, key: str, type: TypeForm[T]) -> T | None: ...
    async def pop(self, key: str, type: Any = None) -> Any:
        """Return the value of `key` and remove it, in one step.

        Of several concurrent callers, one gets the value and the others get `None`. Redis GETDEL;
        KV-10.

        Raises:
            SerializationError: `STORE_DESERIALIZATION_FAILED` when the stored bytes can't be
                decoded as `type`. The key is removed all the same.
        """
        with self._attempt(POP) as attempt:
            full_key = self._key(key)
            decode = self._codec.decoder(type)
            data = await self._through.keyvalue.getdel(full_key)
            attempt.note("ctx.kv.found", data is not None)
            return None if data is None else decode(data)

    async def expire(self, key: str, ttl: Ttl) -> bool:
        """Set the TTL of `key` to `ttl` from now, and return whether the key exists.

        Redis PEXPIRE; KV-8.

        Raises:
            InvalidArgument: `STORE_TTL_INVALID`.
        """
        return await self._expire(EXPIRE, key, ttl)

    async def touch(self, key: str, ttl: Ttl) -> bool:
        """Keep a session or a presence entry alive; the same as `expire`."""
        return await self._expire(TOUCH, key, ttl)

    async def ttl(self, key: str) -> float | None:
        """Return the remaining time to live of `key`, in seconds.

        `None` when the key has no TTL or doesn't exist. Redis PTTL; KV-9.
        """
        return await self._remaining(TTL, key)

    async def persist(self, key: str) -> bool:
        """Remove the TTL of `key` and return whether it had one. Redis PERSIST; KV-9."""
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
