"""Schemas of events, which payloads must match.

Rule: a schema is a type that msgspec or pydantic can convert to, or an object with `validate(value)
    -> value`.
Rule: the schema's result is published. It includes conversions, and the defaults that the schema
    fills in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_origin

from igniter_store.contract import ErrorCode, StoreError, store_error
from igniter_store.reasons import reason
from igniter_store.serialization import pydantic_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.serialization import TypedSerializer


class Schema:
    """One schema, checked when it is registered.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for an object that can't be a schema.
    """

    __slots__ = ("_source", "_validate")

    def __init__(self, source: Any) -> None:
        self._source = source
        self._validate = _validator(source)
        if self._validate is None and not _is_convertible(source):
            raise store_error(
                ErrorCode.STORE_CONFIGURATION_INVALID,
                "An event's schema is a type that msgspec converts to, a pydantic model, or an "
                "object with validate(value).",
            )

    def validate(self, value: Any, event: str, serializer: TypedSerializer) -> Any:
        """Return the schema's result for `value`, which is about to be published.

        `value` is an object of the schema's class, or data that converts to one.

        Raises:
            EventError: `STORE_SCHEMA_VALIDATION_FAILED`, with the place and the kind of error,
                without the payload.
        """
        return self._checked(value, event, lambda: serializer.convert(value, self._source))

    def receive(self, value: Any, event: str, serializer: TypedSerializer) -> Any:
        """Return the schema's result for `value`, plain data that was decoded from bytes.

        Raises:
            EventError: as in `validate`.
        """
        return self._checked(value, event, lambda: serializer.from_plain(value, self._source))

    def _checked(self, value: Any, event: str, convert: Callable[[], Any]) -> Any:
        try:
            return convert() if self._validate is None else self._validate(value)
        except Exception as error:  # noqa: BLE001 - a user's schema may raise anything
            # Not chained, because the errors of pydantic and of most validators quote the payload.
            raise _mismatch(event, error) from None


def _validator(source: Any) -> Callable[[Any], Any] | None:
    # A class is a type to convert to. So is `Page[int]`, which forwards attributes to its class and
    # so may seem to have a `validate`.
    if isinstance(source, type) or get_origin(source) is not None:
        return None
    validate = getattr(source, "validate", None)
    return validate if callable(validate) else None


def _is_convertible(source: Any) -> bool:
    try:
        pydantic_reader(source)
    except Exception:  # noqa: BLE001 - a user's type may raise anything
        return False
    return source is not None


def _mismatch(event: str, error: Exception) -> StoreError:
    return store_error(
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED,
        f"The payload does not fit the schema of event {event!r}: {reason(error)}.",
        details={"event": event, "error": type(error).__name__},
    )
