"""An adapter that never returns fails its tests, and the run continues."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import zlib
from typing import TYPE_CHECKING

import pytest
from broken_adapters.breaking import Broken
from igniter_store_conformance import AdapterSuite, State
from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.engine.clause_test import End, judge
from igniter_store_conformance.engine.failure_location import places
from igniter_store_conformance.engine.trial import Trial
from igniter_store_conformance.engine.watchdog import Hangs, Watch

if TYPE_CHECKING:
    from igniter_store_conformance import Harness

pytestmark = pytest.mark.full

GETDEL = "test_getdel_gives_the_value_once"
MODEL = "test_values_counters_and_claims_match_the_reference"
INTERLEAVED = "test_interleaved_callers_get_the_answers_of_some_order"

needs_an_alarm = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"), reason="the operating system has no alarm"
)


class Waits(Broken):
    async def getdel(self, key: str) -> bytes | None:
        await asyncio.get_running_loop().create_future()
        return None


class Blocks(Broken):
    async def getdel(self, key: str) -> bytes | None:
        time.sleep(60)  # noqa: ASYNC251 - the fault under test: it blocks the event loop
        return None


class TakesNoCancellation(Broken):
    async def getdel(self, key: str) -> bytes | None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the seconds that the watch allows. The tests block much longer."""
    monkeypatch.setattr("igniter_store_conformance.engine.watchdog._LEAST", 1.0)
    monkeypatch.setattr("igniter_store_conformance.engine.watchdog._AGAIN", 0.5)
    monkeypatch.setattr("igniter_store_conformance.engine.watchdog._GRACE", 1.0)


def ending(adapter: type[Broken], name: str) -> End:
    class Suite(AdapterSuite):
        def harness(self) -> Harness:
            return adapter.harness()

    suite, test = Suite(), clause_test_of(getattr(Suite, name))
    assert test is not None
    return judge(
        suite,
        test,
        Trial(suite.harness(), seed=zlib.crc32(name.encode()), limit=0.5, examples=500),
        1.0,
    )


@pytest.mark.parametrize("name", [GETDEL, MODEL, INTERLEAVED])
def test_call_that_never_returns_fails_the_test(name: str) -> None:
    end = ending(Waits, name)

    assert end.state is State.FAILED
    assert "something waits for what never comes" in end.detail
    assert end.error is not None
    assert places(end.error)[-1].endswith("in getdel")


@needs_an_alarm
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", [GETDEL, MODEL])
def test_call_that_blocks_event_loop_is_ended(name: str) -> None:
    end = ending(Blocks, name)

    assert (end.state, end.detail) == (
        State.FAILED,
        "the event loop was held up for 1 seconds: something blocks it instead of awaiting",
    )
    assert end.error is not None
    assert places(end.error)[-1].endswith("in getdel")


@needs_an_alarm
@pytest.mark.usefixtures("impatient")
def test_call_that_ignores_cancellation_is_ended() -> None:
    end = ending(TakesNoCancellation, GETDEL)

    assert end.state is State.FAILED
    assert end.detail == "it could not be ended: something waits and takes no cancellation"


@needs_an_alarm
def test_watch_keeps_an_existing_alarm_handler() -> None:
    """The watch neither replaces the handler of other code nor sets a timer."""

    def handler(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with Watch(1) as watch:
            watch.beat()

            assert signal.getsignal(signal.SIGALRM) is handler
            assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.signal(signal.SIGALRM, before)


@needs_an_alarm
def test_alarm_in_a_finalizer_rings_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igniter_store_conformance.engine.watchdog._LEAST", 0.2)
    monkeypatch.setattr("igniter_store_conformance.engine.watchdog._AGAIN", 0.2)

    class Slow:
        def __del__(self) -> None:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                pass

    def hang() -> None:
        Slow()  # Python swallows the exception that the alarm raises in its finalizer
        time.sleep(60)  # until the second alarm

    with Watch(0.2), pytest.raises(Hangs):
        hang()


@needs_an_alarm
def test_watch_leaves_no_handler_and_no_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ZeroDivisionError), Watch(1):
        raise ZeroDivisionError

    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_hang_is_not_caught_by_except_exception() -> None:
    """An adapter that catches `Exception` doesn't catch a hang."""
    assert not issubclass(Hangs, Exception)
