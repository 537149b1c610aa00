"""Runs operations: times them, reports them to telemetry, and adds context to their errors.

Rule: an operation emits `started`, and then either `success` or `error`. A cancelled operation
    emits only `started`.
Rule: any other exception of an adapter is converted to a `StoreError` by one function here.
    `CancelledError` passes through.
Rule: every operation binds the store to the running event loop; see `connection`.
Rule: the frame that raises an error must not keep a variable that refers to it. Otherwise error,
    traceback and frame form a reference cycle, which keeps all objects of the call alive until the
    garbage collector runs.
Rule: if a telemetry sink raises, the error is logged once and never reaches the caller. Without a
    sink, nothing is measured.
"""

from __future__ import annotations

import weakref
from threading import get_ident
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from igniter_store.contract import ErrorCode, StoreError, store_error

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from types import TracebackType

    from igniter_store.connection import StoreConnection
    from igniter_store.contract import Affinity
    from igniter_store.telemetry.registry import Telemetry


class Operation:
    """The static description of an operation.

    Args:
        name: the operation's name for users ("claim.once"), which errors include.
        failure: the code for failures in the adapter that have no code yet.
        event: the name in telemetry ("claim.acquire"), if it differs.
    """

    __slots__ = ("error", "failure", "name", "started", "success")

    def __init__(self, name: str, failure: ErrorCode, *, event: str | None = None) -> None:
        self.name: str = name
        self.failure: ErrorCode = failure
        root = f"igniter.store.{event or name}"
        self.started: str = f"{root}.started"
        self.success: str = f"{root}.success"
        self.error: str = f"{root}.error"


class Sink:
    """A telemetry sink whose failures are contained; shared by a store and its scopes.

    Attributes:
        emit: the sink's own `emit`, for callers that catch its exceptions and call `failed`.
    """

    __slots__ = ("_has_failed", "_logger", "_name", "emit")

    def __init__(self, telemetry: Telemetry, logger: logging.Logger) -> None:
        self.emit: Final = telemetry.emit
        self._name = type(telemetry).__name__
        self._logger = logger
        self._has_failed = False

    def failed(self) -> None:
        """Log that the sink raised, the first time only. Call it inside an `except` block."""
        if not self._has_failed:
            self._has_failed = True
            self._logger.error(
                "The telemetry sink %s raised; later failures of it are not logged.",
                self._name,
                exc_info=True,  # noqa: LOG014 - called inside an `except` block
            )


class Observer:
    """Observes the operations of one namespace of one store.

    Args:
        sink: the sink for events, or `None`.
        backend: the backend's name, for errors.
        attributes: the attributes of every event.
        connection: the connection that every operation binds to the running event loop.

    Attributes:
        sink: the sink for events, or `None`.
        affinity: the connection's affinity. Checking that its loop runs in this thread nearly
            always suffices.
        attributes: the attributes of every event of this namespace.
        started_attributes: a read-only view of the same, for events without further attributes; a
            sink that tries to change them fails.
    """

    __slots__ = (
        "_backend",
        "_connection",
        "_silent",
        "affinity",
        "attributes",
        "sink",
        "started_attributes",
    )

    def __init__(
        self,
        sink: Sink | None,
        backend: str,
        attributes: Mapping[str, Any],
        connection: StoreConnection,
    ) -> None:
        self.sink: Final = sink
        self.affinity: Final[Affinity] = connection.affinity
        # Weak, because observers and their attempts refer to each other. A dropped store thus
        # releases its adapter at once.
        self._connection: Final = weakref.ref(connection)
        self.attributes: Final[dict[str, Any]] = {**attributes, "ctx.store.backend": backend}
        self.started_attributes: Final = MappingProxyType(self.attributes)
        self._backend: Final = backend
        self._silent: Final[dict[Operation, Attempt]] = {}

    def attempt(self, operation: Operation, known: Mapping[str, Any] | None = None) -> Attempt:
        """Return the `with` block that runs an operation.

        `known` holds attributes for the event that ends the operation.
        """
        if self.sink is not None:
            return _ObservedAttempt(self, operation, known)
        # Without a sink an attempt has no state, so all callers share one.
        silent = self._silent.get(operation)
        if silent is None:
            silent = self._silent[operation] = Attempt(self, operation)
        return silent

    def bind(self) -> None:
        """Bind the store to the running event loop; see `StoreConnection.bind`."""
        connection = self._connection()
        if connection is not None:
            connection.bind()

    def start(self, operation: Operation) -> float:
        """Report to the sink that an operation starts, and return the time."""
        if self.sink is not None:
            try:
                self.sink.emit(operation.started, level="debug", attributes=self.started_attributes)
            except Exception:  # noqa: BLE001 - a user's sink may raise anything
                self.sink_failed()
        return perf_counter()

    def succeed(self, operation: Operation, began: float, attributes: dict[str, Any]) -> None:
        """Report to the sink that an operation succeeded.

        `attributes` become the event's.
        """
        self._end(operation.success, "debug", began, attributes)

    def failed(
        self, operation: Operation, error: Exception, began: float, attributes: dict[str, Any]
    ) -> StoreError:
        """Report a failure, and return it as a `StoreError` with operation and backend.

        The caller raises the returned error.

        Args:
            operation: the operation that failed.
            error: the exception that the adapter raised.
            began: the time that `start` returned.
            attributes: become the attributes of the sink's event.
        """
        failure = error if isinstance(error, StoreError) else _translated(operation, error)
        if failure.__suppress_context__:
            # `from None` only hides the context, and a decoder's error quotes the value (LIF-22).
            failure.__context__ = None
        failure.operation = failure.operation or operation.name
        failure.backend = failure.backend or self._backend
        attributes["ctx.error.code"] = str(failure.code)
        attributes["ctx.error.message"] = failure.message
        attributes["ctx.error.operation"] = operation.name
        self._end(operation.error, "error", began, attributes)
        if failure is not error:
            failure.__cause__ = error
        return failure

    def sink_failed(self) -> None:
        """Log that the sink raised. Call it inside an `except` block."""
        if self.sink is not None:
            self.sink.failed()

    def _end(self, event: str, level: str, began: float, attributes: dict[str, Any]) -> None:
        if self.sink is not None:
            attributes["ctx.duration_ms"] = (perf_counter() - began) * 1000
            try:
                self.sink.emit(event, level=level, attributes=attributes)
            except Exception:  # noqa: BLE001 - a user's sink may raise anything
                self.sink_failed()


class Attempt:
    """One run of an operation. Without a sink, it only translates errors."""

    __slots__ = ("_observer", "_operation")

    def __init__(self, observer: Observer, operation: Operation) -> None:
        self._observer: Final = observer
        self._operation: Final = operation

    def __enter__(self) -> Self:
        if get_ident() != self._observer.affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
            self._bind()
        return self

    def note(self, attribute: str, value: Any) -> None:
        """Add an attribute of the telemetry registry to the event that ends this run.

        `None` is left out.
        """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            _raise_another(error, self._observer.failed(self._operation, error, 0.0, {}))

    def _bind(self) -> None:
        try:
            self._observer.bind()
        except StoreError as error:  # raised in `__enter__`, so Python doesn't call `__exit__`
            self.__exit__(type(error), error, error.__traceback__)
            raise


class LifecycleAttempt(Attempt):
    """A run of open, close or ping, which bind to the event loop in their own ways.

    These runs aren't reported to telemetry.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        return self


class _ObservedAttempt(Attempt):
    __slots__ = ("_attributes", "_began")

    def __init__(
        self, observer: Observer, operation: Operation, known: Mapping[str, Any] | None
    ) -> None:
        super().__init__(observer, operation)
        self._attributes: Final = (
            observer.attributes.copy() if known is None else {**observer.attributes, **known}
        )
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = self._observer.start(self._operation)
        if get_ident() != self._observer.affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
            self._bind()
        return self

    def note(self, attribute: str, value: Any) -> None:
        if value is not None:
            self._attributes[attribute] = value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._observer.succeed(self._operation, self._began, self._attributes)
        elif isinstance(error, Exception):
            _raise_another(
                error, self._observer.failed(self._operation, error, self._began, self._attributes)
            )


def _raise_another(error: Exception, failure: StoreError) -> None:
    """Raise `failure`, unless it is the error that is already being raised."""
    if failure is not error:
        try:
            raise failure
        finally:
            del failure


def _translated(operation: Operation, error: Exception) -> StoreError:
    # Adapters translate their driver's exceptions themselves. An exception that arrives here comes
    # from an adapter with a gap. The message has its class but not its text, which may quote a
    # value or a URL.
    if isinstance(error, TimeoutError):
        return store_error(
            ErrorCode.STORE_TIMEOUT,
            ("The backend didn't reply in time. Retry, or raise the adapter's timeout."),
        )
    if isinstance(error, ConnectionError):
        return store_error(
            ErrorCode.STORE_CONNECTION_FAILED,
            f"Can't reach the backend ({type(error).__name__}). Check that it is running, and "
            "that its address is right.",
        )
    return store_error(
        operation.failure,
        (
            f"The adapter raised {type(error).__name__} instead of a StoreError. This is a bug in "
            "the adapter; see the cause."
        ),
    )
