"""Telemetry as log records of the standard library."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


class LoggingTelemetry:
    """Logs each event as one record.

    The message is the event's name, followed by the attributes as text. The attributes are also
    available as `record.attributes`.

    Args:
        logger: the logger to use; the default is "igniter_store.telemetry".
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logging.getLogger("igniter_store.telemetry") if logger is None else logger

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Log one event if its level is enabled for the logger."""
        number = _LEVELS.get(level, logging.INFO)
        if self._logger.isEnabledFor(number):
            text = " ".join(
                f"{attribute.removeprefix('ctx.')}={value}"
                for attribute, value in attributes.items()
            )
            self._logger.log(
                number, "%s %s", name, text, extra={"event": name, "attributes": dict(attributes)}
            )
