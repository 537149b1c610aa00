"""Reports what the store does to external systems.

Rule: each optional integration has its own module.
"""

from igniter_store.telemetry.logging import LoggingTelemetry
from igniter_store.telemetry.registry import EVENTS, Telemetry

__all__ = ["EVENTS", "LoggingTelemetry", "Telemetry"]
