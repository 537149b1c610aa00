"""Run the crossed tests over generated adapters."""

from __future__ import annotations

import os
import sys
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Final

from igniter_store_conformance import AdapterSuite
from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.engine.clause_test import judge
from igniter_store_conformance.engine.trial import Trial
from igniter_store_conformance.spec.states import State

from generated_adapters.adapters import Generated, generated

if TYPE_CHECKING:
    from igniter_store_conformance import Harness

_LIMIT = 4.0


def killer_of(broken: Generated, names: list[str] | None = None) -> str | None:
    """Return the first test that fails over an adapter."""
    adapter_class = broken.adapter_class()

    class GeneratedSuite(AdapterSuite):
        def harness(self) -> Harness:
            return adapter_class.harness()

    suite = GeneratedSuite()
    for name in suite.clause_tests() if names is None else names:
        test = clause_test_of(getattr(suite, name))
        assert test is not None
        if test.clause.id.startswith("MDL"):
            continue
        trial = Trial(suite.harness(), seed=zlib.crc32(name.encode()), limit=_LIMIT / 2)
        trial.explains = False
        if judge(suite, test, trial, _LIMIT).state is State.FAILED:
            return name
    return None


_WORDS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("key", "stream", "group", "consumer", "field", "prefix", "channel", "pattern"),
        ("similar", "long"),
    ),
    **dict.fromkeys(("value", "owner", "result", "payload"), ("bytes", "similar")),
    "TTL": ("lifetime",),
    "min_idle": ("idle",),
    "delta": ("edges",),
    "count": ("count",),
    "list": ("list",),
    "list result": ("count", "list", "many"),
    "behaviour": ("state", "race"),
}
"""The dimensions that should find a mutation, by its part."""


def first_tests(broken: Generated) -> list[str]:
    """Return the crossed tests, beginning with those that should find the fault."""
    words = _WORDS.get(broken.part, ("other_client",))

    def rank(name: str) -> tuple[bool, bool]:
        is_about = name.startswith(tuple(f"test_{word}_" for word in words))
        calls = any(method in name for method in broken.methods)
        return (not (is_about and calls), not (is_about or calls))

    crossed = [
        name
        for name in AdapterSuite.clause_tests()
        if getattr(AdapterSuite, name).__module__.endswith(".crossed")
    ]
    return sorted(crossed, key=rank)


def _killed(place: int) -> tuple[int, str | None]:
    broken = generated()[place]
    return place, killer_of(broken, first_tests(broken))


def main() -> None:
    """Print the survivors."""
    everything = generated()
    wanted = [
        place
        for place, each in enumerate(everything)
        if sys.argv[1:] == [] or sys.argv[1] in each.name
    ]
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(max_workers=int(os.environ.get("WORKERS", "0")) or None) as pool:
        for place, killer in pool.map(_killed, wanted, chunksize=8):
            counts["killed" if killer else "survived"] += 1
            if killer is None:
                print("SURVIVED", everything[place].name, flush=True)  # noqa: T201 - a program
    print(dict(counts))  # noqa: T201 - the same


if __name__ == "__main__":
    main()
