"""Turns the body of a test, a coroutine function, into a plain function that any pytest runs.

Rule: no async plugin is needed and none interferes. pytest sees a plain method, which runs the body
    in an event loop of its own.
Rule: an adapter that hangs fails at the test's time limit. An adapter that leaves tasks behind
    fails the tests of its lifecycle.
Rule: the result of a test is one of the six states, with a reason (see `states`).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import zlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import pytest
from msgspec import Struct

from igniter_store_conformance.engine.clause_info import Body, ClauseTest
from igniter_store_conformance.engine.failure_location import places
from igniter_store_conformance.engine.harness import Harness
from igniter_store_conformance.engine.trial import Trial
from igniter_store_conformance.engine.watchdog import Hangs, Watch
from igniter_store_conformance.spec import states
from igniter_store_conformance.spec.clauses import is_newer
from igniter_store_conformance.spec.states import Lacks, NotExercised, State

if TYPE_CHECKING:
    from igniter_store.contract import Adapter

    from igniter_store_conformance.engine.suite import Suite

Plain: TypeAlias = Callable[[Any, pytest.FixtureRequest], None]

LIMIT: Final = 30.0
"""The time limit of a test in seconds, unless the test or `--conformance-timeout` sets another."""

# Any exception of an adapter is a finding. So is a missing exception: pytest's own type for it
# isn't an `Exception`.
_FINDINGS: Final = (Exception, pytest.fail.Exception, Hangs)
_STRAY_LIMIT: Final = 2.0  # seconds for tasks to finish by themselves once every adapter is closed
_ABOUT_LIFE: Final = (
    "LIF",
    "FLT",
    # Clauses whose tests also check for leaks. Elsewhere a leak would hide the test's own finding.
)
_SESSION_SEED: Final = secrets.randbits(32)
# By class and complaint: the first test that reported it.
_FAILED_HARNESSES: Final = pytest.StashKey[dict[tuple[type, str], str]]()


def clause(
    clause_id: str, *needs: type[Adapter], since: str | None = None, limit: float = LIMIT
) -> Callable[[Body], Plain]:
    """Make a test of the suite out of `async def test_…(self, trial)`.

    A plain function that runs event loops itself is accepted as well.

    Args:
        clause_id: the one clause that the test checks.
        needs: capabilities that the test uses beyond the clause's own.
        since: the version of the contract that introduced the test, if it is newer than its clause.
        limit: the time limit of the test in seconds.
    """

    def decorate(body: Body) -> Plain:
        test = ClauseTest(clause_id, body, needs, since, limit)

        def plain(self: Suite, request: pytest.FixtureRequest) -> None:
            __tracebackhide__ = True
            run(self, test, request)

        plain.__name__ = body.__name__
        plain.__qualname__ = body.__qualname__
        plain.__doc__ = body.__doc__
        plain.__module__ = body.__module__
        plain.__dict__["__wrapped__"] = body  # so that pytest and an IDE show the line of the body
        plain.__dict__["__signature__"] = _SIGNATURE
        plain.__dict__["clause_test"] = test
        marked: Plain = pytest.mark.clause(clause_id)(plain)
        return marked

    return decorate


class End(Struct, frozen=True):
    """The result of a test.

    Attributes:
        state: one of the six states.
        detail: the reason, in one line; empty for a plain pass.
        error: the exception that was raised, if the test failed, whether expected or not.
    """

    state: State
    detail: str = ""
    error: BaseException | None = None


# one return for each state
def judge(suite: Suite, test: ClauseTest, trial: Trial, limit: float) -> End:  # noqa: PLR0911
    """Run one test, for at most `limit` seconds, and return one of the six states."""
    known = suite.known_failing.get(test.name)
    not_scored = is_newer(test.since, suite.contract)
    try:
        trial.require(test.needs)
        with Watch(limit) as trial.watch:
            _run_body(suite, test, trial, limit)
    except Lacks as lacking:
        return End(State.LACKS, str(lacking))
    except NotExercised as needed:
        return End(State.NOT_EXERCISED, str(needed))
    except _FINDINGS as error:
        if known is not None:
            return End(State.KNOWN_FAILING, known, error)
        if not_scored:
            return End(State.NOT_SCORED, f"it fails: {_first_line(error)}", error)
        return End(State.FAILED, _first_line(error), error)
    if known is not None:
        return End(State.FAILED, f"stale: listed as known failing ({known}), and passes")
    return End(State.NOT_SCORED, "it passes") if not_scored else End(State.PASSED)


def run(suite: Suite, test: ClauseTest, request: pytest.FixtureRequest) -> None:
    """Run one test as a test of pytest."""
    __tracebackhide__ = True
    seed, limit = _seed(request), test.limit * suite.patience * _limit_factor(request)
    _note(request, states.CLAUSE, test.clause.id)
    _note(request, states.TEST, test.name)
    _note(request, states.CONTRACT, suite.contract)
    trial = _trial(suite, request, seed, limit)
    _note(request, states.ADAPTER, trial.name_of_adapter)
    _note(
        request,
        states.CAPABILITIES,
        " ".join(capability.__name__ for capability in trial.capabilities),
    )
    known = (getattr(trial.harness.server, name, None) for name in ("kind", "version"))
    _note(request, states.SERVER, " ".join(str(word) for word in known if word))
    end = judge(suite, test, trial, limit)
    _note(request, states.STATE, str(end.state))
    _note(request, states.DETAIL, end.detail)
    match end.state:
        case State.LACKS:
            pytest.skip(f"{end.state}: {end.detail}")
        case State.NOT_EXERCISED:
            pytest.skip(f"{end.state}; it would need {end.detail}")
        case State.KNOWN_FAILING:
            _xfail(f"{end.state}: {end.detail}", end.error)
        case State.NOT_SCORED if end.error is not None:
            _xfail(
                (
                    f"{end.state}: new in version {test.since} of the contract, the suite pins "
                    f"{suite.contract}"
                ),
                end.error,
            )
        case State.FAILED if end.error is None:
            pytest.fail(f"{test.name}: {end.detail}. Take it off the list.", pytrace=False)
        case State.FAILED:
            _note(request, states.SEED, str(seed))
            assert end.error is not None
            _note(request, states.WHERE, "\n".join(places(end.error)))
            end.error.add_note(
                f"\n{test.clause.id}: {test.clause.sentence}\n"
                f"If this fails, {test.hint}\n"
                f"To run it again: pytest {request.node.nodeid!r} --conformance-seed {seed}"
            )
            raise end.error
        case _:
            pass


def _trial(suite: Suite, request: pytest.FixtureRequest, seed: int, limit: float) -> Trial:
    """Create the trial for a test.

    A failure of the harness is reported in full only once: hundreds of tests would all report the
    same.
    """
    __tracebackhide__ = True
    failed = request.config.stash.setdefault(_FAILED_HARNESSES, {})
    try:
        harness: Any = suite.harness()
        if not isinstance(harness, Harness):
            name = type(suite).__name__
            hint = " Is a `return` missing?" if harness is None else ""
            raise TypeError(  # noqa: TRY301
                f"{name}.harness() has to return a Harness, and returned "
                f"{type(harness).__name__}.{hint}"
            )
        return Trial(
            harness,
            seed=seed,
            limit=limit / 2,
            examples=request.config.getoption("--conformance-examples", default=None),
        )
    except Exception as error:
        complaint = f"{type(error).__name__}: {error}"
        first = failed.setdefault((type(suite), complaint), request.node.name)
        if first == request.node.name:
            raise
        pytest.fail(f"the harness fails, as for {first}: {complaint}", pytrace=False)


def _run_body(suite: Suite, test: ClauseTest, trial: Trial, limit: float) -> None:
    __tracebackhide__ = True
    body = test.body
    if not inspect.iscoroutinefunction(body):
        body(suite, trial)  # it runs event loops of its own; the first client was never opened
        return
    with asyncio.Runner() as runner:
        runner.run(
            _conduct(
                body(suite, trial),
                trial,
                limit,
                is_about_life=test.clause.id.startswith(_ABOUT_LIFE),
            )
        )


async def _conduct(
    body: Coroutine[Any, Any, None], trial: Trial, limit: float, *, is_about_life: bool
) -> None:
    __tracebackhide__ = True
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(_complaint(context)))
    _beat(loop, trial.watch)
    failure = await _failure(_opened(body, trial, limit))
    closing = await _failure(trial.close())
    failure = failure or closing
    body.close()
    if failure is not None:
        raise failure
    if not is_about_life:
        return
    strays = await _strays(min(_STRAY_LIMIT, limit / 10))
    assert not strays, f"left running after every adapter was closed: {', '.join(strays)}"
    assert not complaints, (
        f"errors in tasks or futures that were never awaited: {'; '.join(complaints)}"
    )


def _beat(loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
    watch.beat()
    loop.call_later(watch.every, _beat, loop, watch)


async def _opened(body: Coroutine[Any, Any, None], trial: Trial, limit: float) -> None:
    __tracebackhide__ = True
    timeout = asyncio.timeout(limit)
    try:
        async with timeout:
            await trial.open()
            await body
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise AssertionError(
            f"not done within {limit:g} seconds: something waits for what never comes"
        ) from error


async def _failure(part: Coroutine[Any, Any, None]) -> BaseException | None:
    __tracebackhide__ = True
    try:
        await part
    except _FINDINGS as error:
        return error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        failure = AssertionError("the adapter raised CancelledError, but nothing cancelled it")
        failure.__cause__ = error
        return failure
    return None


async def _strays(limit: float) -> list[str]:
    """Return the tasks that are still running although nothing needs them any more."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=limit)
    return sorted(repr(task.get_coro()) for task in tasks if not task.done())


def _complaint(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message', 'an error')}" + ("" if error is None else f" ({error!r})")


def _xfail(reason: str, error: BaseException | None) -> NoReturn:
    try:
        pytest.xfail(reason)
    except pytest.xfail.Exception as outcome:
        raise outcome from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _note(request: pytest.FixtureRequest, name: str, value: str) -> None:
    request.node.user_properties.append((name, value))


def _seed(request: pytest.FixtureRequest) -> int:
    chosen = request.config.getoption("--conformance-seed", default=None)
    if chosen is not None:
        return int(chosen)
    # Each test has another seed, so that they don't all try the same numbers. A failure prints its
    # seed.
    return zlib.crc32(request.node.nodeid.encode(), _SESSION_SEED)


def _limit_factor(request: pytest.FixtureRequest) -> float:
    """Return the factor for time limits, for a debugger or a slow backend."""
    seconds = request.config.getoption("--conformance-timeout", default=None) or os.environ.get(
        "IGNITER_CONFORMANCE_TIMEOUT"
    )
    return 1.0 if seconds is None else float(seconds) / LIMIT


# pytest reads this signature to find fixtures, instead of the body's own.
def _signature_of_plain(self: Any, request: pytest.FixtureRequest) -> None:
    """Have the signature that every test has."""
    del self, request


_SIGNATURE: Final = inspect.signature(_signature_of_plain)
