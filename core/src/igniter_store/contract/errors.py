"""Every failure is a `StoreError` with a stable code; its class says what the caller can do about
it.

Rules:
- Each code belongs to exactly one class (`class_of`); `store_error` picks the class from the code.
- A message names the thing and the cure. No message, detail or `repr` holds a value, a payload, an
owner or a password.
- `asyncio.CancelledError` is no failure: it passes through every layer untouched.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class ErrorCode(StrEnum):
    """The stable names of failures; the string equals the name, and is the same as in
    `@igniter-js/store` where that has it.
    """

    # Configuration: raised while a store is being built or a backend is looked up.
    STORE_ADAPTER_REQUIRED = "STORE_ADAPTER_REQUIRED"
    STORE_SERVICE_REQUIRED = "STORE_SERVICE_REQUIRED"
    STORE_CONFIGURATION_INVALID = "STORE_CONFIGURATION_INVALID"
    STORE_ENVIRONMENT_REQUIRED = "STORE_ENVIRONMENT_REQUIRED"
    STORE_BACKEND_UNKNOWN = "STORE_BACKEND_UNKNOWN"

    # Scopes.
    STORE_SCOPE_KEY_REQUIRED = "STORE_SCOPE_KEY_REQUIRED"
    STORE_SCOPE_IDENTIFIER_REQUIRED = "STORE_SCOPE_IDENTIFIER_REQUIRED"
    STORE_SCOPE_INVALID = "STORE_SCOPE_INVALID"
    STORE_INVALID_SCOPE_KEY = "STORE_INVALID_SCOPE_KEY"
    STORE_DUPLICATE_SCOPE = "STORE_DUPLICATE_SCOPE"
    STORE_SCOPE_REQUIRED = "STORE_SCOPE_REQUIRED"

    # Arguments: refused before anything is sent.
    STORE_KEY_REQUIRED = "STORE_KEY_REQUIRED"
    STORE_KEY_INVALID = "STORE_KEY_INVALID"
    STORE_VALUE_REQUIRED = "STORE_VALUE_REQUIRED"
    STORE_TTL_INVALID = "STORE_TTL_INVALID"
    STORE_ARGUMENT_INVALID = "STORE_ARGUMENT_INVALID"
    STORE_BATCH_KEYS_REQUIRED = "STORE_BATCH_KEYS_REQUIRED"
    STORE_BATCH_ENTRIES_REQUIRED = "STORE_BATCH_ENTRIES_REQUIRED"
    STORE_STREAM_NAME_REQUIRED = "STORE_STREAM_NAME_REQUIRED"
    STORE_STREAM_GROUP_REQUIRED = "STORE_STREAM_GROUP_REQUIRED"
    STORE_STREAM_CONSUMER_REQUIRED = "STORE_STREAM_CONSUMER_REQUIRED"
    STORE_SCAN_PATTERN_REQUIRED = "STORE_SCAN_PATTERN_REQUIRED"

    # Events.
    STORE_SCHEMA_VALIDATION_FAILED = "STORE_SCHEMA_VALIDATION_FAILED"
    STORE_SCHEMA_CHANNEL_NOT_FOUND = "STORE_SCHEMA_CHANNEL_NOT_FOUND"
    STORE_INVALID_NAMESPACE = "STORE_INVALID_NAMESPACE"
    STORE_RESERVED_NAMESPACE = "STORE_RESERVED_NAMESPACE"
    STORE_DUPLICATE_NAMESPACE = "STORE_DUPLICATE_NAMESPACE"
    STORE_INVALID_EVENT_NAME = "STORE_INVALID_EVENT_NAME"
    STORE_DUPLICATE_EVENT = "STORE_DUPLICATE_EVENT"
    STORE_MISSING_NAMESPACE = "STORE_MISSING_NAMESPACE"

    # Serialization.
    STORE_SERIALIZATION_FAILED = "STORE_SERIALIZATION_FAILED"
    STORE_DESERIALIZATION_FAILED = "STORE_DESERIALIZATION_FAILED"

    # Operations: the backend answered, and the answer was no.
    STORE_OPERATION_FAILED = "STORE_OPERATION_FAILED"
    STORE_GET_FAILED = "STORE_GET_FAILED"
    STORE_SET_FAILED = "STORE_SET_FAILED"
    STORE_DELETE_FAILED = "STORE_DELETE_FAILED"
    STORE_INCREMENT_FAILED = "STORE_INCREMENT_FAILED"
    STORE_PUBLISH_FAILED = "STORE_PUBLISH_FAILED"
    STORE_SUBSCRIBE_FAILED = "STORE_SUBSCRIBE_FAILED"
    STORE_UNSUBSCRIBE_FAILED = "STORE_UNSUBSCRIBE_FAILED"
    STORE_BATCH_FAILED = "STORE_BATCH_FAILED"
    STORE_CLAIM_FAILED = "STORE_CLAIM_FAILED"
    STORE_STREAM_APPEND_FAILED = "STORE_STREAM_APPEND_FAILED"
    STORE_STREAM_READ_FAILED = "STORE_STREAM_READ_FAILED"
    STORE_STREAM_GROUP_CREATE_FAILED = "STORE_STREAM_GROUP_CREATE_FAILED"
    STORE_STREAM_ACK_FAILED = "STORE_STREAM_ACK_FAILED"
    STORE_SCAN_FAILED = "STORE_SCAN_FAILED"
    STORE_STREAM_GROUP_MISSING = "STORE_STREAM_GROUP_MISSING"
    STORE_CAPABILITY_UNSUPPORTED = "STORE_CAPABILITY_UNSUPPORTED"

    # Connection and life cycle.
    STORE_CONNECTION_FAILED = "STORE_CONNECTION_FAILED"
    # Raised by an adapter that was used before `open`, where it can't connect by itself. A store
    # always opens its adapter first, so a store's user meets it only from an adapter of his own.
    STORE_NOT_CONNECTED = "STORE_NOT_CONNECTED"
    STORE_TIMEOUT = "STORE_TIMEOUT"
    STORE_CLOSED = "STORE_CLOSED"
    # Raised by an adapter that refuses calls for a while because its backend kept failing.
    STORE_CIRCUIT_OPEN = "STORE_CIRCUIT_OPEN"

    # Leases: a claim that is waited for and kept alive.
    STORE_CLAIM_UNAVAILABLE = "STORE_CLAIM_UNAVAILABLE"
    STORE_CLAIM_LOST = "STORE_CLAIM_LOST"


class StoreError(Exception):
    """Raised when a store operation can't be done; never for a missing key, which is an answer.

    Attributes:
        code: the stable name of the failure.
        message: what is wrong and what cures it, without the context that `str(error)` adds.
        operation: what was tried, as the user called it ("kv.set"); `None` until a store gives it.
        backend: the adapter's name ("redis"); `None` where no adapter was involved.
        status: the HTTP status that a web service would answer with.
        details: facts for programs (names, counts, limits), free of values and secrets.
        retryable: True when the same call may succeed later without a change.
        maybe_applied: True when a write was sent and no answer came, so it may or may not have
            happened.
    """

    default_retryable: ClassVar[bool] = False

    # each is one attribute of the error, and all but two are optional
    def __init__(  # noqa: PLR0913
        self,
        code: ErrorCode,
        message: str,
        *,
        operation: str | None = None,
        backend: str | None = None,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.operation = operation
        self.backend = backend
        self.status = _STATUS.get(code, 400) if status is None else status
        self.details: Mapping[str, Any] = {} if details is None else details
        self.retryable = self.default_retryable if retryable is None else retryable
        self.maybe_applied = maybe_applied

    def __str__(self) -> str:
        tried = f", {self.operation}" if self.operation else ""
        where = f" on {self.backend}" if self.backend else ""
        unknown = ", maybe applied" if self.maybe_applied else ""
        return f"{self.message} [{self.code}{tried}{where}{unknown}]"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments would be lost by the default; errors travel between processes.
        return _rebuild, (type(self), self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data for logs and responses (`toJSON` in `@igniter-js/store`)."""
        return {
            "name": type(self).__name__,
            "code": str(self.code),
            "message": self.message,
            "operation": self.operation,
            "backend": self.backend,
            "status": self.status,
            "details": dict(self.details),
            "retryable": self.retryable,
            "maybe_applied": self.maybe_applied,
        }

    @staticmethod
    def is_store_error(value: object) -> TypeGuard[StoreError]:
        """True when `value` is one of ours, whatever it is (`isStoreError` in `@igniter-js/store`)."""
        return isinstance(value, StoreError)


class ConfigurationError(StoreError):
    """Raised when a store or an adapter is put together wrongly: fix the set-up. Never once a store
    is built.
    """


class InvalidArgument(StoreError, ValueError):
    """Raised when an argument can't be used: fix the call. Nothing was sent. Never for a value that
    can't be encoded.
    """


class ScopeError(StoreError):
    """Raised when a scope is unknown, malformed or missing. Nothing was sent."""


class EventError(StoreError):
    """Raised when an event's name, registration or payload breaks its rules.

    Nothing was published.
    """


class SerializationError(StoreError):
    """Raised when a value can't be encoded (nothing was sent), or stored bytes can't be decoded
    (nothing was changed).
    """


class CapabilityMissing(StoreError):
    """Raised when the adapter doesn't inherit the capability that an operation needs: choose
    another backend.
    """


class StoreClosed(StoreError):
    """Raised when a store or an adapter is used after `close`, and to those who were waiting when
    it was closed.
    """


class BackendUnavailable(StoreError, ConnectionError):
    """Raised when the backend can't be reached or went away: retry. `maybe_applied` says whether
    the effect is unknown.
    """

    default_retryable = True


class BackendTimeout(StoreError, TimeoutError):
    """Raised when the backend didn't answer in time.

    Never for a blocking read that found nothing: that is an empty list.
    """

    default_retryable = True


class BackendFailed(StoreError):
    """Raised when the backend refused or broke the operation.

    The cause is in `__cause__` where a driver gave one: report it.
    """


class ClaimUnavailable(StoreError):
    """Raised when a lease was not obtained within the time that the caller was ready to wait."""


class ClaimLost(StoreError):
    """Raised when a lease ended while its holder still worked under it."""


_CODES: dict[type[StoreError], tuple[ErrorCode, ...]] = {
    ConfigurationError: (
        ErrorCode.STORE_ADAPTER_REQUIRED,
        ErrorCode.STORE_SERVICE_REQUIRED,
        ErrorCode.STORE_CONFIGURATION_INVALID,
        ErrorCode.STORE_ENVIRONMENT_REQUIRED,
        ErrorCode.STORE_BACKEND_UNKNOWN,
    ),
    ScopeError: (
        ErrorCode.STORE_SCOPE_KEY_REQUIRED,
        ErrorCode.STORE_SCOPE_IDENTIFIER_REQUIRED,
        ErrorCode.STORE_SCOPE_INVALID,
        ErrorCode.STORE_INVALID_SCOPE_KEY,
        ErrorCode.STORE_DUPLICATE_SCOPE,
        ErrorCode.STORE_SCOPE_REQUIRED,
    ),
    InvalidArgument: (
        ErrorCode.STORE_KEY_REQUIRED,
        ErrorCode.STORE_KEY_INVALID,
        ErrorCode.STORE_VALUE_REQUIRED,
        ErrorCode.STORE_TTL_INVALID,
        ErrorCode.STORE_ARGUMENT_INVALID,
        ErrorCode.STORE_BATCH_KEYS_REQUIRED,
        ErrorCode.STORE_BATCH_ENTRIES_REQUIRED,
        ErrorCode.STORE_STREAM_NAME_REQUIRED,
        ErrorCode.STORE_STREAM_GROUP_REQUIRED,
        ErrorCode.STORE_STREAM_CONSUMER_REQUIRED,
        ErrorCode.STORE_SCAN_PATTERN_REQUIRED,
    ),
    EventError: (
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED,
        ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND,
        ErrorCode.STORE_INVALID_NAMESPACE,
        ErrorCode.STORE_RESERVED_NAMESPACE,
        ErrorCode.STORE_DUPLICATE_NAMESPACE,
        ErrorCode.STORE_INVALID_EVENT_NAME,
        ErrorCode.STORE_DUPLICATE_EVENT,
        ErrorCode.STORE_MISSING_NAMESPACE,
    ),
    SerializationError: (
        ErrorCode.STORE_SERIALIZATION_FAILED,
        ErrorCode.STORE_DESERIALIZATION_FAILED,
    ),
    CapabilityMissing: (ErrorCode.STORE_CAPABILITY_UNSUPPORTED,),
    StoreClosed: (ErrorCode.STORE_CLOSED,),
    BackendUnavailable: (
        ErrorCode.STORE_CONNECTION_FAILED,
        ErrorCode.STORE_NOT_CONNECTED,
        ErrorCode.STORE_CIRCUIT_OPEN,
    ),
    BackendTimeout: (ErrorCode.STORE_TIMEOUT,),
    ClaimUnavailable: (ErrorCode.STORE_CLAIM_UNAVAILABLE,),
    ClaimLost: (ErrorCode.STORE_CLAIM_LOST,),
}

_CLASSES: dict[ErrorCode, type[StoreError]] = {
    code: owner for owner, codes in _CODES.items() for code in codes
}

# The HTTP statuses of `@igniter-js/store`: 500 for its two configuration codes, 400 for misuse; the
# rest by HTTP's own meaning.
_STATUS: dict[ErrorCode, int] = {
    **{code: 500 for code in ErrorCode if code not in _CLASSES},
    ErrorCode.STORE_ADAPTER_REQUIRED: 500,
    ErrorCode.STORE_SERVICE_REQUIRED: 500,
    ErrorCode.STORE_ENVIRONMENT_REQUIRED: 500,
    ErrorCode.STORE_BACKEND_UNKNOWN: 500,
    ErrorCode.STORE_SERIALIZATION_FAILED: 400,
    ErrorCode.STORE_DESERIALIZATION_FAILED: 500,
    ErrorCode.STORE_CAPABILITY_UNSUPPORTED: 500,
    ErrorCode.STORE_STREAM_GROUP_MISSING: 404,
    ErrorCode.STORE_CLOSED: 503,
    ErrorCode.STORE_CONNECTION_FAILED: 503,
    ErrorCode.STORE_NOT_CONNECTED: 503,
    ErrorCode.STORE_CIRCUIT_OPEN: 503,
    ErrorCode.STORE_TIMEOUT: 503,
    ErrorCode.STORE_CLAIM_UNAVAILABLE: 409,
    ErrorCode.STORE_CLAIM_LOST: 409,
}


def class_of(code: ErrorCode) -> type[StoreError]:
    """The one class that `code` belongs to; what no other class owns is a `BackendFailed`."""
    return _CLASSES.get(code, BackendFailed)


def store_error(  # noqa: PLR0913 - the arguments of StoreError
    code: ErrorCode,
    message: str,
    *,
    operation: str | None = None,
    backend: str | None = None,
    details: Mapping[str, Any] | None = None,
    retryable: bool | None = None,
    maybe_applied: bool = False,
) -> StoreError:
    """The error for `code`, of the class that `code` belongs to; arguments as the attributes of
    `StoreError`.
    """
    return class_of(code)(
        code,
        message,
        operation=operation,
        backend=backend,
        details=details,
        retryable=retryable,
        maybe_applied=maybe_applied,
    )


# What backends find out each in its own way, and all say alike.
NO_NUMBER: Final = (
    "The stored value isn't a 64-bit decimal integer. Use another key, or delete this one."
)
OUT_OF_RANGE: Final = "The counter would exceed the range of signed 64-bit integers, so it wasn't changed. Delete it to restart from 0."
GROUP_MISSING: Final = "The consumer group or the stream doesn't exist. Create the group with ensure() before reading; create it again if it was deleted."


def closed(backend: str) -> StoreError:
    """What every operation of a closed adapter raises."""
    message = "The adapter is closed. Open it again, or close it only after its last use."
    return store_error(ErrorCode.STORE_CLOSED, message, backend=backend)


def not_connected(backend: str) -> StoreError:
    """What every operation raises before `open`."""
    return store_error(
        ErrorCode.STORE_NOT_CONNECTED,
        "The adapter isn't open yet. Await open() first.",
        backend=backend,
    )


def not_open(backend: str, *, is_inherited: bool, was_closed: bool) -> StoreError:
    """What every operation raises while the adapter isn't open, and why it isn't."""
    if is_inherited:
        return inherited(backend)
    return closed(backend) if was_closed else not_connected(backend)


def elsewhere(backend: str | None) -> StoreError:
    """What every operation raises in a second event loop, while the one in which it was opened
    isn't closed.
    """
    message = (
        "The store belongs to another event loop, which isn't closed. asyncio.run() creates a "
        "new loop each time: run the whole program in one asyncio.run(), or create one store per "
        "loop."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def inherited(backend: str | None) -> StoreError:
    """What every operation raises in a forked child, on what the parent process had opened."""
    message = (
        "The store was opened before this process was forked, so it belongs to the parent. Open "
        "a store after the fork: create it in the child, or don't use it in the parent."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def not_asyncio(backend: str | None) -> StoreError:
    """What every operation raises where no event loop of asyncio runs."""
    message = "No asyncio event loop is running. Await the call inside asyncio.run(); trio isn't supported."
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def misconfigured(message: str, backend: str) -> StoreError:
    """A URL, an option or a file that can't be used."""
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def no_number(backend: str) -> StoreError:
    """A key that was to be counted, and holds something else."""
    return store_error(ErrorCode.STORE_INCREMENT_FAILED, NO_NUMBER, backend=backend)


def group_missing(backend: str) -> StoreError:
    """A group of a stream, or the stream, that isn't there (any more)."""
    return store_error(ErrorCode.STORE_STREAM_GROUP_MISSING, GROUP_MISSING, backend=backend)


def malformed_id(code: ErrorCode, backend: str) -> StoreError:
    """An id or a bound of a stream that is none."""
    message = 'A stream id is malformed, so nothing was changed. Ids look like "1700000000000-0"; a bound may also be "-", "+" or begin with "(".'
    return store_error(code, message, backend=backend)


def _rebuild(owner: type[StoreError], data: dict[str, Any]) -> StoreError:
    return owner(
        ErrorCode(data["code"]),
        data["message"],
        operation=data["operation"],
        backend=data["backend"],
        status=data["status"],
        details=data["details"],
        retryable=data["retryable"],
        maybe_applied=data["maybe_applied"],
    )
