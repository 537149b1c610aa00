"""The kit finds the faults of generated adapters: run them with `nox -s thorough`."""

from __future__ import annotations

import random
import time

import pytest
from generated_adapters.adapters import EQUIVALENT, Generated, generated
from generated_adapters.killing import first_tests, killer_of

SAMPLE = 30
EVERYTHING = generated()


def _sampled(seed: int) -> list[Generated]:
    chosen = random.Random(seed)  # noqa: S311 - to be repeated
    return chosen.sample([each for each in EVERYTHING if each.name not in EQUIVALENT], SAMPLE)


def test_at_least_six_hundred_adapters_are_generated() -> None:
    names = {each.name for each in EVERYTHING}

    assert len(names) == len(EVERYTHING) >= 600
    assert names >= EQUIVALENT.keys()


@pytest.mark.thorough
def test_sampled_adapters_are_found() -> None:
    seed = int(time.time())
    survivors = [each for each in _sampled(seed) if killer_of(each, first_tests(each)) is None]

    assert [each.name for each in survivors] == [], f"seed {seed}"


@pytest.mark.thorough
@pytest.mark.parametrize("broken", EVERYTHING, ids=lambda broken: broken.name)
def test_generated_adapter_is_found(broken: Generated) -> None:
    is_found = killer_of(broken, first_tests(broken)) is not None

    assert is_found is (broken.name not in EQUIVALENT)
