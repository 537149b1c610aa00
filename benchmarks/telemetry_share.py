"""What does telemetry cost, with a sink that does nothing?

P6. Two stores in memory, one with a sink. An operation with a sink emits two events, each with its
attributes, and reads the clock twice. In memory the operation itself takes about a microsecond, so
the ratio is worse than on any server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store import Store

from benchmarks.measuring import Contestant, Pace, measure
from benchmarks.payload import KEY, SERVICE, VALUE
from benchmarks.question import Answer, ask
from benchmarks.results import Comparison, Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from igniter_store.namespaces.kv import KeyValueNamespace

_URL: Final = "memory://"
_ASKED: Final = 0.75
_NOTE: Final = (
    "an operation in memory takes about a microsecond, so a sink that costs a tenth of one is "
    "visible in the ratio. The table has its cost in microseconds next to each ratio; compared "
    "with a round trip to a server, it is small."
)
_WITHOUT, _WITH = "store without telemetry", "store.with_telemetry(no-op)"


class NoOpTelemetry:
    """A sink that accepts everything and does nothing."""

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Do nothing."""


async def answer(pace: Pace) -> Answer:
    """Get and set, for one caller and for fifty."""
    building = Store.create().with_service(SERVICE)
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    async with (
        building.with_url(_URL).build() as silent,
        building.with_url(_URL).with_telemetry(NoOpTelemetry()).build() as observed,
    ):
        stores = {_WITHOUT: silent.kv, _WITH: observed.kv}
        for operation in ("kv.get", "kv.set"):
            contestants = [await _contestant(name, kv, operation) for name, kv in stores.items()]
            for callers in (1, 50):
                title = f"{operation}, {callers} caller{'s' if callers > 1 else ''}"
                comparison = await measure(title, contestants, callers=callers, pace=pace)
                comparisons.append(comparison)
                figures += _figures(title, comparison)
    return Answer(comparisons, figures)


async def _contestant(name: str, kv: KeyValueNamespace, operation: str) -> Contestant:
    await kv.set(KEY, VALUE)
    if operation == "kv.get":
        return Contestant(name, kv.get, [KEY], lambda _: VALUE)
    return Contestant(name, lambda key: kv.set(key, VALUE), [KEY], lambda _: True)


def _figures(title: str, comparison: Comparison) -> list[Figure]:
    return [
        Figure(
            "P6",
            f"memory {title}: with a no-op sink ÷ without",
            comparison.ratios(_WITH, _WITHOUT),
            asked=_ASKED,
            note=_NOTE,
        ),
        Figure(
            "P6",
            f"memory {title}: what the sink costs",
            comparison.microseconds_between(_WITH, _WITHOUT),
            unit="µs",
        ),
    ]


if __name__ == "__main__":
    ask(__file__, __doc__, answer)
