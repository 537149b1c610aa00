"""`store.batch`: many keys of `store.kv` in one round trip.

Rule: semantics are clauses KV-10 to KV-12 of the contract.
Rule: a batch with one invalid entry changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast, overload

from igniter_store.arguments import invalid, items
from igniter_store.contract import Entry, ErrorCode, store_error
from igniter_store.namespaces.namespace import Namespace
from igniter_store.operation import Operation
from igniter_store.reasons import reason
from igniter_store.ttl import Ttl, optional_ttl_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import TypeForm

    from igniter_store.serialization import Decoder

T = TypeVar("T")

GET: Final = Operation("batch.get", ErrorCode.STORE_BATCH_FAILED)
SET: Final = Operation("batch.set", ErrorCode.STORE_BATCH_FAILED)
REMOVE: Final = Operation("batch.remove", ErrorCode.STORE_BATCH_FAILED)

_FIELDS: Final = frozenset({"key", "value", "ttl"})


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One key to write, with an optional TTL of its own in seconds or as a `timedelta`."""

    key: str
    value: Any
    ttl: Ttl | None = None


class BatchNamespace(Namespace):
    """Operations on many keys at once."""

    word = "kv"
    event_namespace: ClassVar[str | None] = "batch"

    @overload
    async def get(self, keys: Iterable[str]) -> list[Any | None]: ...
    @overload
    async def get(self, keys: Iterable[str], type: TypeForm[T]) -> list[T | None]: ...
    async def get(self, keys: Iterable[str], type: Any = None) -> list[Any | None]:
        """Return the values of `keys`, in the same order.

        The list has one value for each key, duplicates included, and `None` for each missing key.
        Without keys, it is empty and nothing is sent. `type` converts each value, as in `kv.get`.
        Redis MGET; KV-11.

        Raises:
            InvalidArgument: `STORE_BATCH_KEYS_REQUIRED` when `keys` isn't an iterable of keys; a
                single str isn't accepted.
            SerializationError: `STORE_DESERIALIZATION_FAILED` when a value can't be decoded as
                `type`. The message gives its index in `keys`. `details` has that `index`, and the
                `indices` of all such values, so the caller can request the other keys.
        """
        with self._attempt(GET) as attempt:
            full_keys = self._keys(keys)
            decode = self._codec.first_decoder(type)
            attempt.note("ctx.batch.count", len(full_keys))
            if not full_keys:
                self._through.check()
                return []
            found = await self._through.keyvalue.mget(full_keys)
            values: list[Any | None] | None = None
            with suppress(Exception):  # a user's serializer or type may raise anything
                values = [None if data is None else decode(data) for data in found]
            # Outside of the `suppress` block: the failure may quote the value, so it must not be
            # the context of the error raised here.
            if values is None:
                values = _decoded_one_by_one(found, self._codec.bare_decoder(type))
            attempt.note("ctx.batch.found", len(found) - found.count(None))
            return values

    async def set(
        self, entries: Mapping[str, Any] | Iterable[BatchEntry | Mapping[str, Any]]
    ) -> None:
        """Write all `entries`, each with its own TTL or none.

        If a key occurs twice, the last entry wins. The write is one atomic step if the backend
        supports that. Without entries, nothing is sent. Redis MSET; KV-11.

        Args:
            entries: a mapping of keys to values, or `BatchEntry` objects, or dicts with `key`,
                `value` and optionally `ttl`.

        Raises:
            InvalidArgument: `STORE_BATCH_ENTRIES_REQUIRED` when `entries` is none of these; for an
                invalid entry, the code of its own error. Nothing is written.
            SerializationError: `STORE_SERIALIZATION_FAILED` when a value can't be encoded. Nothing
                is written.
        """
        with self._attempt(SET) as attempt:
            writes = [self._entry(entry) for entry in _entries(entries)]
            attempt.note("ctx.batch.count", len(writes))
            if writes:
                await self._through.keyvalue.mset(writes)
            else:
                self._through.check()

    async def remove(self, keys: Iterable[str]) -> int:
        """Remove `keys` and return how many existed.

        Without keys, it returns 0 and nothing is sent. Redis DEL; KV-10.

        Raises:
            InvalidArgument: `STORE_BATCH_KEYS_REQUIRED`, as in `get`.
        """
        with self._attempt(REMOVE) as attempt:
            full_keys = self._keys(keys)
            attempt.note("ctx.batch.count", len(full_keys))
            if not full_keys:
                self._through.check()
                return 0
            return await self._through.keyvalue.delete(full_keys)

    def _keys(self, keys: Any) -> list[str]:
        return [self._key(key) for key in items(keys, "keys", ErrorCode.STORE_BATCH_KEYS_REQUIRED)]

    def _entry(self, entry: BatchEntry) -> Entry:
        return Entry(
            self._key(entry.key), self._codec.encode(entry.value), optional_ttl_seconds(entry.ttl)
        )


def _decoded_one_by_one(found: Sequence[bytes | None], decode: Decoder) -> list[Any | None]:
    """Return the values, or raise an error that lists the index of every undecodable value."""
    values: list[Any | None] = []
    failures: dict[int, Exception] = {}
    for index, data in enumerate(found):
        try:
            values.append(None if data is None else decode(data))
        # a user's serializer or type may raise anything
        except Exception as error:  # noqa: BLE001
            failures[index] = error
    if not failures:  # a user's decoder failed the first time only
        return values
    first = next(iter(failures))
    others = f", nor those at {len(failures) - 1} more indices," if len(failures) > 1 else ""
    raise store_error(
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        f"Can't decode the value at index {first} of `keys`{others} as the requested type: "
        f"{reason(failures[first])}. Omit these keys, or read them without a type.",
        details={
            "index": first,
            "indices": list(failures),
            "error": type(failures[first]).__name__,
        },
    )


def _entries(entries: Any) -> list[BatchEntry]:
    if isinstance(entries, Mapping):
        values = cast("Mapping[Any, Any]", entries)
        return [BatchEntry(key, value) for key, value in values.items()]
    return [
        _one(entry)
        for entry in items(
            entries,
            "entries",
            ErrorCode.STORE_BATCH_ENTRIES_REQUIRED,
            wanted="a dict of keys and values, or a list of BatchEntry objects",
        )
    ]


def _one(entry: Any) -> BatchEntry:
    if isinstance(entry, BatchEntry):
        return entry
    if not isinstance(entry, Mapping):
        raise store_error(
            ErrorCode.STORE_BATCH_ENTRIES_REQUIRED,
            "An entry must be a BatchEntry or a dict with key, value and optionally ttl, not a "
            f"{type(entry).__name__}.",
        )
    fields = cast("Mapping[Any, Any]", entry)
    if not _FIELDS.issuperset(fields):
        raise invalid(
            "An entry has unknown fields; it can have key, value and ttl. To write a mapping of "
            "keys to values, pass the mapping itself."
        )
    if "value" not in fields:
        raise store_error(
            ErrorCode.STORE_VALUE_REQUIRED,
            ("An entry has no value. To remove a key, use batch.remove()."),
        )
    # `_key` refuses a missing key
    return BatchEntry(fields.get("key"), fields["value"], fields.get("ttl"))  # type: ignore[arg-type]
