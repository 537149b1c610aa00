"""The one place where an operation is timed, told to telemetry, and its errors given their context.

Rule: an operation emits `started`, and then either `success` or `error`; one that is cancelled
    emits `started` alone.
Rule: whatever else an adapter raises becomes a `StoreError` here, in one translator;
    `CancelledError` passes.
Rule: every operation binds the store to the running event loop; see `connection`.
Rule: an error is raised by a frame that has no name for it. Otherwise error, traceback and frame
    are a reference cycle, which keeps all
that the call held until the collector runs.
Rule: a telemetry sink that raises is logged once and never reaches the caller. Without a sink
    nothing is measured.
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

    from igniter_store.connection import Connection
    from igniter_store.telemetry.registry import Telemetry


class Operation:
    """What is known of an operation before it runs.

    Args:
        name: as the user calls it ("claim.once"); errors say it.
        failure: the code for what goes wrong in the adapter and has no code yet.
        event: as telemetry calls it ("claim.acquire"), where that differs.
    """

    __slots__ = ("error", "failure", "name", "started", "success")

    def __init__(self, name: str, failure: ErrorCode, *, event: str | None = None) -> None:
        self.name = name
        self.failure = failure
        root = f"igniter.store.{event or name}"
        self.started = f"{root}.started"
        self.success = f"{root}.success"
        self.error = f"{root}.error"


class Sink:
    """A telemetry sink that can't hurt; shared by a store and its scopes.

    Attributes:
        emit: the sink's own `emit`, for those who catch what it raises and call `failed`.
    """

    __slots__ = ("_has_failed", "_logger", "_name", "emit")

    def __init__(self, telemetry: Telemetry, logger: logging.Logger) -> None:
        self.emit: Final = telemetry.emit
        self._name = type(telemetry).__name__
        self._logger = logger
        self._has_failed = False

    def failed(self) -> None:
        """Log, from within an `except` block, that the sink raised; the first time only."""
        if not self._has_failed:
            self._has_failed = True
            self._logger.error(
                "The telemetry sink %s raised; later failures of it are not logged.",
                self._name,
                exc_info=True,  # noqa: LOG014 - called from within one
            )


class Observer:
    """Watches the operations of one namespace of one store.

    Args:
        sink: where events go, or `None`.
        backend: for errors.
        attributes: what every event carries.
        connection: which every operation binds to the running event loop.

    Attributes:
        sink: where events go, or `None`.
        affinity: the connection's; whether its loop runs in this thread is nearly always all that
            has to be asked.
        attributes: what every event of this namespace carries.
        started_attributes: the same, for events that carry no more; a sink that tries to change
            them fails.
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
        self, sink: Sink | None, backend: str, attributes: Mapping[str, Any], connection: Connection
    ) -> None:
        self.sink: Final = sink
        self.affinity: Final = connection.affinity
        # Weak, since observers and their attempts refer to each other: a store that is dropped lets
        # go of its adapter at once.
        self._connection: Final = weakref.ref(connection)
        self.attributes: Final[dict[str, Any]] = {**attributes, "ctx.store.backend": backend}
        self.started_attributes: Final = MappingProxyType(self.attributes)
        self._backend: Final = backend
        self._silent: Final[dict[Operation, Attempt]] = {}

    def attempt(self, operation: Operation, known: Mapping[str, Any] | None = None) -> Attempt:
        """Run an operation inside of `with`; `known` are attributes for the event that ends it."""
        if self.sink is not None:
            return _ObservedAttempt(self, operation, known)
        # Without a sink an attempt holds no state, so one serves all callers.
        silent = self._silent.get(operation)
        if silent is None:
            silent = self._silent[operation] = Attempt(self, operation)
        return silent

    def bind(self) -> None:
        """Bind the store to the running event loop; see `Connection.bind`."""
        connection = self._connection()
        if connection is not None:
            connection.bind()

    def start(self, operation: Operation) -> float:
        """Tell the sink that an operation begins, and return the time."""
        if self.sink is not None:
            try:
                self.sink.emit(operation.started, level="debug", attributes=self.started_attributes)
            except Exception:  # noqa: BLE001 - a sink of the user's may raise anything
                self.sink_failed()
        return perf_counter()

    def succeed(self, operation: Operation, began: float, attributes: dict[str, Any]) -> None:
        """Tell the sink that it is done; `attributes` become the event's."""
        self._end(operation.success, "debug", began, attributes)

    def failed(
        self, operation: Operation, error: Exception, began: float, attributes: dict[str, Any]
    ) -> StoreError:
        """`error` as a `StoreError` that knows its operation and backend, for the caller to raise.

        Args:
            operation: what failed.
            error: what the adapter raised.
            began: when `start` was called, as it says.
            attributes: become those of the event that the sink gets.
        """
        failure = error if isinstance(error, StoreError) else _translated(operation, error)
        if failure.__suppress_context__:
            failure.__context__ = (
                None  # `from None` only hides it, and a decoder's error quotes the value (LIF-22)
            )
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
        """Log, from within an `except` block, that the sink raised."""
        if self.sink is not None:
            self.sink.failed()

    def _end(self, event: str, level: str, began: float, attributes: dict[str, Any]) -> None:
        if self.sink is not None:
            attributes["ctx.duration_ms"] = (perf_counter() - began) * 1000
            try:
                self.sink.emit(event, level=level, attributes=attributes)
            except Exception:  # noqa: BLE001 - as above
                self.sink_failed()


class Attempt:
    """One run of an operation; without a sink all that it does is to translate errors."""

    __slots__ = ("_observer", "_operation")

    def __init__(self, observer: Observer, operation: Operation) -> None:
        self._observer: Final = observer
        self._operation: Final = operation

    def __enter__(self) -> Self:
        if get_ident() != self._observer.affinity.runner._thread_id:  # noqa: SLF001 - see Affinity
            self._bind()
        return self

    def note(self, attribute: str, value: Any) -> None:
        """Add an attribute of the telemetry registry to the event that ends this run; `None` is
        left out.
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
        except StoreError as error:  # raised within `__enter__`, so `__exit__` doesn't see it
            self.__exit__(type(error), error, error.__traceback__)
            raise


class LifecycleAttempt(Attempt):
    """Opening, closing or pinging, which bind to the event loop each in its own way; it is not told
    to telemetry.
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
        if get_ident() != self._observer.affinity.runner._thread_id:  # noqa: SLF001 - see Affinity
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
    """Raise `failure`, unless it is the error that is on its way already."""
    if failure is not error:
        try:
            raise failure
        finally:
            del failure


def _translated(operation: Operation, error: Exception) -> StoreError:
    # Adapters translate their driver's exceptions themselves. What still arrives here came from an
    # adapter with a gap, so the message says the exception's class and not its text, which may
    # quote a value or a URL.
    if isinstance(error, TimeoutError):
        return store_error(
            ErrorCode.STORE_TIMEOUT,
            ("The backend didn't reply in time. Retry, or raise the adapter's timeout."),
        )
    if isinstance(error, ConnectionError):
        return store_error(
            ErrorCode.STORE_CONNECTION_FAILED,
            f"Can't reach the backend ({type(error).__name__}). Check that it is running, and that its address is right.",
        )
    return store_error(
        operation.failure,
        (
            f"The adapter raised {type(error).__name__} instead of a StoreError. This is a bug in the adapter; see the cause."
        ),
    )
