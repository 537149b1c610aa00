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
    """Writes each event as one record: the name as its message, the attributes as text behind it
    and as `record.attributes`.

    Args:
        logger: where to; the logger "igniter_store.telemetry" if left out.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logging.getLogger("igniter_store.telemetry") if logger is None else logger

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Log one event, if the logger takes its level."""
        number = _LEVELS.get(level, logging.INFO)
        if self._logger.isEnabledFor(number):
            text = " ".join(
                f"{attribute.removeprefix('ctx.')}={value}"
                for attribute, value in attributes.items()
            )
            self._logger.log(
                number, "%s %s", name, text, extra={"event": name, "attributes": dict(attributes)}
            )
