"""The one place where an operation is timed, told to telemetry, and its errors given their context.

Rule: an operation emits `started`, and then either `success` or `error`; one that is cancelled emits `started` alone.
Rule: whatever else an adapter raises becomes a `StoreError` here, in one translator; `CancelledError` passes.
Rule: a telemetry sink that raises is logged once and never reaches the caller. Without a sink nothing is measured.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

from igniter_store.contract import ErrorCode, StoreError, store_error

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

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
    """A telemetry sink that can't hurt; shared by a store and its scopes."""

    __slots__ = ("_has_failed", "_logger", "_telemetry")

    def __init__(self, telemetry: Telemetry, logger: logging.Logger) -> None:
        self._telemetry = telemetry
        self._logger = logger
        self._has_failed = False

    def emit(self, name: str, level: str, attributes: Mapping[str, Any]) -> None:
        """Pass an event on; log the first failure."""
        try:
            self._telemetry.emit(name, level=level, attributes=attributes)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                self._logger.exception("The telemetry sink %s raised; later failures of it are not logged.", type(self._telemetry).__name__)


class Observer:
    """Watches the operations of one namespace of one store.

    Attributes:
        sink: where events go, or `None`.
        attributes: what every event of this namespace carries.
    """

    __slots__ = ("_backend", "attributes", "sink")

    def __init__(self, sink: Sink | None, backend: str, attributes: Mapping[str, Any]) -> None:
        self.sink = sink
        self.attributes: dict[str, Any] = {**attributes, "ctx.store.backend": backend}
        self._backend = backend

    def attempt(self, operation: Operation, known: Mapping[str, Any] | None = None) -> Attempt:
        """Run an operation inside of `with`; `known` are attributes for the event that ends it."""
        return Attempt(self, operation, known)

    def fail(self, operation: Operation, error: Exception) -> NoReturn:
        """Raise `error` as a `StoreError` that knows its operation and backend."""
        failure = error if isinstance(error, StoreError) else _translated(operation, error)
        failure.operation = failure.operation or operation.name
        failure.backend = failure.backend or self._backend
        if failure is error:
            raise failure
        raise failure from error


class Attempt:
    """One run of an operation."""

    __slots__ = ("_attributes", "_began", "_known", "_observer", "_operation")

    def __init__(self, observer: Observer, operation: Operation, known: Mapping[str, Any] | None) -> None:
        self._observer = observer
        self._operation = operation
        self._known = known
        self._began = 0.0
        self._attributes: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        observer = self._observer
        if observer.sink is not None:
            self._attributes = observer.attributes.copy()
            if self._known is not None:
                self._attributes.update(self._known)
            observer.sink.emit(self._operation.started, "debug", observer.attributes)
            self._began = perf_counter()
        return self

    def note(self, attribute: str, value: Any) -> None:
        """Add an attribute of the telemetry registry to the event that ends this run; `None` is left out."""
        if self._attributes is not None and value is not None:
            self._attributes[attribute] = value

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            if self._attributes is not None:
                self._finish(self._operation.success, "debug")
        elif isinstance(error, Exception):
            try:
                self._observer.fail(self._operation, error)
            except StoreError as failure:
                if self._attributes is not None:
                    self._attributes["ctx.error.code"] = str(failure.code)
                    self._attributes["ctx.error.message"] = failure.message
                    self._attributes["ctx.error.operation"] = self._operation.name
                    self._finish(self._operation.error, "error")
                # An error that is ours already goes on as it is; a translated one takes its place.
                if failure is not error:
                    raise

    def _finish(self, name: str, level: str) -> None:
        attributes, sink = self._attributes, self._observer.sink
        if attributes is not None and sink is not None:
            attributes["ctx.duration_ms"] = (perf_counter() - self._began) * 1000
            sink.emit(name, level, attributes)


def _translated(operation: Operation, error: Exception) -> StoreError:
    # Adapters translate their driver's exceptions themselves. What still arrives here came from an adapter with a gap, so the message says
    # the exception's class and not its text, which may quote a value or a URL.
    if isinstance(error, TimeoutError):
        return store_error(ErrorCode.STORE_TIMEOUT, "The backend did not answer in time. Try again, or raise the adapter's timeout.")
    if isinstance(error, ConnectionError):
        return store_error(
            ErrorCode.STORE_CONNECTION_FAILED,
            f"The backend can't be reached ({type(error).__name__}). Is it running, and is its address right?",
        )
    return store_error(operation.failure, f"The adapter raised {type(error).__name__}, which it should have translated. See the cause.")
