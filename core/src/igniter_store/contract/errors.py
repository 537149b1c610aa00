"""Every failure is a `StoreError` with a stable code; its class shows how the caller can handle it.

Rules:
- Each code belongs to exactly one class (`class_of`). `store_error` picks the class from the code.
- A message names what failed and how to fix it. No message, detail or `repr` contains a value, a
  payload, an owner or a password.
- `asyncio.CancelledError` isn't a failure: it propagates unchanged through every layer.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class ErrorCode(StrEnum):
    """The stable names of failures.

    The string equals the name. It is the same as in `@igniter-js/store` if that library has the
    code.
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

    # Arguments: rejected before anything is sent.
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

    # Operations: the backend rejected them.
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
    # Raised if an adapter is used before `open` and can't connect by itself. A store always opens
    # its adapter first, so this code reaches users only if they use an adapter of their own.
    STORE_NOT_CONNECTED = "STORE_NOT_CONNECTED"
    STORE_TIMEOUT = "STORE_TIMEOUT"
    STORE_CLOSED = "STORE_CLOSED"
    # Raised by an adapter that rejects calls for a while because its backend kept failing.
    STORE_CIRCUIT_OPEN = "STORE_CIRCUIT_OPEN"

    # Leases: claims that the caller waits for, and that are renewed.
    STORE_CLAIM_UNAVAILABLE = "STORE_CLAIM_UNAVAILABLE"
    STORE_CLAIM_LOST = "STORE_CLAIM_LOST"


class StoreError(Exception):
    """Raised when a store operation fails; never for a missing key, which is a normal result.

    Attributes:
        code: the stable name of the failure.
        message: what failed and how to fix it, without the context that `str(error)` adds.
        operation: the operation as the user called it ("kv.set"); `None` until a store sets it.
        backend: the adapter's name ("redis"); `None` if no adapter was involved.
        status: the HTTP status that a web service would respond with.
        details: facts for programs (names, counts, limits), without values or secrets.
        retryable: True if the same call may succeed later without a change.
        maybe_applied: True if a write was sent but not answered, so its effect is unknown.
    """

    default_retryable: ClassVar[bool] = False

    # Each argument is one attribute of the error, and all but two are optional.
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
        self.status: int = _STATUS.get(code, 400) if status is None else status
        self.details: Mapping[str, Any] = {} if details is None else details
        self.retryable: bool = self.default_retryable if retryable is None else retryable
        self.maybe_applied = maybe_applied

    def __str__(self) -> str:
        tried = f", {self.operation}" if self.operation else ""
        where = f" on {self.backend}" if self.backend else ""
        unknown = ", maybe applied" if self.maybe_applied else ""
        return f"{self.message} [{self.code}{tried}{where}{unknown}]"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default __reduce__ would lose keyword-only arguments; errors travel between processes.
        return _rebuild, (type(self), self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain data for logs and responses.

        It corresponds to `toJSON` in `@igniter-js/store`.
        """
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
        """True if `value` is a `StoreError` (`isStoreError` in `@igniter-js/store`).

        `value` may be any object.
        """
        return isinstance(value, StoreError)


class ConfigurationError(StoreError):
    """Raised when a store or an adapter is configured incorrectly: fix the configuration.

    Never raised after a store is built.
    """


class InvalidArgument(StoreError, ValueError):
    """Raised when an argument is invalid: fix the call. Nothing was sent.

    Never raised for a value that can't be encoded.
    """


class ScopeError(StoreError):
    """Raised when a scope is unknown, malformed or missing. Nothing was sent."""


class EventError(StoreError):
    """Raised when an event's name, registration or payload breaks its rules.

    Nothing was published.
    """


class SerializationError(StoreError):
    """Raised when a value can't be encoded or stored bytes can't be decoded.

    If encoding failed, nothing was sent; if decoding failed, nothing was changed.
    """


class CapabilityMissing(StoreError):
    """Raised when the adapter doesn't support the capability that an operation needs.

    The adapter doesn't inherit the capability's class: choose another backend.
    """


class StoreClosed(StoreError):
    """Raised when a store or an adapter is used after `close`.

    Calls that are pending when it closes raise it too.
    """


class BackendUnavailable(StoreError, ConnectionError):
    """Raised when the backend is unreachable or the connection was lost: retry.

    `maybe_applied` is True if the effect is unknown.
    """

    default_retryable = True


class BackendTimeout(StoreError, TimeoutError):
    """Raised when the backend didn't reply in time.

    Never raised for a blocking read that found nothing: that returns an empty list.
    """

    default_retryable = True


class BackendFailed(StoreError):
    """Raised when the backend rejected the operation, or the operation failed there.

    If the driver raised an exception, `__cause__` holds it: report it.
    """


class ClaimUnavailable(StoreError):
    """Raised when a lease couldn't be acquired within the time that the caller allowed."""


class ClaimLost(StoreError):
    """Raised when a lease ended while its holder was still working under it."""


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

# The HTTP statuses of `@igniter-js/store`: 500 for its two configuration codes, 400 for misuse. The
# other codes follow the meaning of the status in HTTP.
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
    """Return the class that `code` belongs to; `BackendFailed` if no other class has it."""
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
    """Create the error for `code`, as an instance of the class that `code` belongs to.

    The arguments are the attributes of `StoreError`.
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


# Messages that all backends share, although each backend detects the failure in its own way.
NO_NUMBER: Final = (
    "The stored value isn't a 64-bit decimal integer. Use another key, or delete this one."
)
OUT_OF_RANGE: Final = (
    "The counter would exceed the range of signed 64-bit integers, so it wasn't changed. "
    "Delete it to restart from 0."
)
GROUP_MISSING: Final = (
    "The consumer group or the stream doesn't exist. "
    "Create the group with ensure() before reading; create it again if it was deleted."
)


def closed(backend: str) -> StoreError:
    """Create the error that every operation of a closed adapter raises."""
    message = "The adapter is closed. Open it again, or close it only after its last use."
    return store_error(ErrorCode.STORE_CLOSED, message, backend=backend)


def not_connected(backend: str) -> StoreError:
    """Create the error that every operation raises before `open`."""
    return store_error(
        ErrorCode.STORE_NOT_CONNECTED,
        "The adapter isn't open yet. Await open() first.",
        backend=backend,
    )


def not_open(backend: str, *, is_inherited: bool, was_closed: bool) -> StoreError:
    """Create the error that every operation raises while the adapter isn't open.

    The error depends on the reason: inherited from a parent process, closed, or not opened yet.
    """
    if is_inherited:
        return inherited(backend)
    return closed(backend) if was_closed else not_connected(backend)


def elsewhere(backend: str | None) -> StoreError:
    """Create the error that every operation raises in a second event loop.

    It applies while the loop that opened the adapter isn't closed.
    """
    message = (
        "The store is in use in another event loop that is still open. Each asyncio.run() creates "
        "a loop of its own: run the whole program in one asyncio.run(), or create one store per "
        "loop. From another thread, use asyncio.run_coroutine_threadsafe()."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def inherited(backend: str | None) -> StoreError:
    """Create the error for an operation in a forked child on an adapter that the parent opened."""
    message = (
        "The store was opened before this process was forked, so it belongs to the parent. Open "
        "a store after the fork: create it in the child, or don't use it in the parent."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def not_asyncio(backend: str | None) -> StoreError:
    """Create the error that every operation raises if no asyncio event loop is running."""
    message = (
        "No asyncio event loop is running. Await the call inside asyncio.run(); "
        "trio isn't supported."
    )
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def misconfigured(message: str, backend: str | None = None) -> StoreError:
    """Create the error for an unusable URL, option or file."""
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=backend)


def no_number(backend: str) -> StoreError:
    """Create the error for incrementing a key that doesn't hold a number."""
    return store_error(ErrorCode.STORE_INCREMENT_FAILED, NO_NUMBER, backend=backend)


def group_missing(backend: str) -> StoreError:
    """Create the error for a missing or deleted stream or consumer group."""
    return store_error(ErrorCode.STORE_STREAM_GROUP_MISSING, GROUP_MISSING, backend=backend)


def malformed_id(code: ErrorCode, backend: str) -> StoreError:
    """Create the error for a malformed stream id or range bound."""
    message = (
        'A stream id is malformed, so nothing was changed. Ids look like "1700000000000-0"; '
        'a bound may also be "-", "+" or begin with "(".'
    )
    return store_error(code, message, backend=backend)


def described_type(thing: object) -> str:
    """Describe a rejected object in a message: its type, and none of its contents."""
    kind = thing if isinstance(thing, type) else type(thing)
    name = (
        kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"the class {name}" if isinstance(thing, type) else f"an object of type {name}"


class BackendErrors:
    """The errors above, with the name of one backend.

    Args:
        backend: the backend's name.
    """

    __slots__ = ("backend",)

    def __init__(self, backend: str) -> None:
        self.backend: Final = backend

    def closed(self) -> StoreError:
        """Create the error of an operation after `close`."""
        return closed(self.backend)

    def not_connected(self) -> StoreError:
        """Create the error of an operation before `open`."""
        return not_connected(self.backend)

    def not_open(self, *, is_inherited: bool, was_closed: bool) -> StoreError:
        """Create the error of an operation while the adapter isn't open, by the reason."""
        return not_open(self.backend, is_inherited=is_inherited, was_closed=was_closed)

    def elsewhere(self) -> StoreError:
        """Create the error of an operation in a second event loop."""
        return elsewhere(self.backend)

    def inherited(self) -> StoreError:
        """Create the error of an operation in a forked child."""
        return inherited(self.backend)

    def misconfigured(self, message: str) -> StoreError:
        """Create the error for an unusable URL, option or file."""
        return misconfigured(message, self.backend)

    def no_number(self) -> StoreError:
        """Create the error for incrementing a key that doesn't hold a number."""
        return no_number(self.backend)

    def group_missing(self) -> StoreError:
        """Create the error for a missing stream or consumer group."""
        return group_missing(self.backend)

    def malformed_id(self, code: ErrorCode) -> StoreError:
        """Create the error for a malformed stream id or range bound."""
        return malformed_id(code, self.backend)


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
