"""Telling others what the store does. One optional integration a module."""

from igniter_store.telemetry.logging import LoggingTelemetry
from igniter_store.telemetry.registry import EVENTS, Telemetry

__all__ = ["EVENTS", "LoggingTelemetry", "Telemetry"]
