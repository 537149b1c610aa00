"""State machines that make the same calls on an adapter and on the reference, one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from igniter_store.contract import Claims, Counters, ErrorCode, KeyValue, Scan, Streams, escape

from igniter_store_conformance.model import calls
from igniter_store_conformance.model.calls import STEP, Call, Newest
from igniter_store_conformance.model.reference import (
    BlockedRead,
    Held,
    Id,
    Reference,
    Stream,
    answer_of,
)
from igniter_store_conformance.model.script import Script
from igniter_store_conformance.model.subject import UNKNOWN, Subject, agree
from igniter_store_conformance.tools.scans import walk

if TYPE_CHECKING:
    from igniter_store_conformance.engine.harness import Harness
    from igniter_store_conformance.engine.suite import Suite
    from igniter_store_conformance.engine.trial import Trial

PATTERNS = st.sampled_from(
    [("*", "a*ab"), ("a", "a"), ("a?", "a*ab"), ("a\\*", "a*"), ("[a]b", "ab")]
)


class Machine(RuleBasedStateMachine):
    """One run: the adapter, the reference, and optionally a second oracle.

    Attributes:
        harnesses: the backend under test, and the second oracle if there is one.
        suite: the class of the author's tests, which a script imports.
        test: the trial of the whole test, which consists of many runs.
        waits_follow: True if blocked reads were seen to end as time is moved; otherwise they may
            continue in real time.
    """

    harnesses: ClassVar[list[Harness]]
    suite: ClassVar[type[Suite]]
    test: ClassVar[Trial]
    waits_follow: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.runner: asyncio.Runner = asyncio.Runner()
        self.reference: Reference = Reference()
        self.script: Script = Script(self.suite)
        self.subjects: list[Subject] = []
        self._next_id = 1_000
        self._streams: dict[str, Stream] = {}
        self.runner.run(self._open())

    async def _open(self) -> None:
        for harness in self.harnesses:
            trial = self.test.again(harness)
            await trial.open()
            self.subjects.append(Subject(trial))

    @property
    def trial(self) -> Trial:
        """The first subject's trial."""
        return self.subjects[0].trial

    def has(self, *capabilities: type) -> bool:
        """Return True if every subject has these capabilities."""
        return all(
            isinstance(subject.adapter, capability)
            for subject in self.subjects
            for capability in capabilities
        )

    def teardown(self) -> None:
        """Close everything that the run has opened."""
        for subject in self.subjects:
            self.runner.run(subject.trial.close())
        self.runner.close()

    def ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Make the call on all subjects, compare, and return what the contract requires."""
        arguments = tuple(self._with_ids(arguments[0], argument) for argument in arguments)
        options = {option: self._with_ids(arguments[0], value) for option, value in options.items()}
        passed = options
        new_id: Id | None = None
        if name == "xadd":
            self._next_id += 1
            new_id = (self._next_id, 0)
            passed = {**options, "new_id": new_id}
        expected = answer_of(self.reference, name, arguments, passed)
        self.script.call(name, arguments, options, expected)
        for place, subject in enumerate(self.subjects):
            answer = self.runner.run(subject.ask(name, arguments, options, new_id=new_id))
            if not agree(
                self._comparable(name, arguments, expected),
                self._comparable(name, arguments, answer),
            ):
                self.fail(f"{name}{arguments!r} {options!r}".strip(), place, expected, answer)
        self._forget_lost_streams()
        return expected

    def _comparable(self, name: str, arguments: tuple[Any, ...], answer: Any) -> Any:
        """Return the answer without the idle times of a list that has deleted entries.

        Where time is moved from outside, the idle times of deleted entries don't change.
        """
        if (
            name != "xpending"
            or isinstance(answer, ErrorCode)
            or not self.reference.has_deleted_pending(arguments[0])
        ):
            return answer
        return [(i, consumer, deliveries) for i, consumer, _, deliveries in answer]

    def fail(self, question: str, place: int, expected: Any, answer: Any) -> None:
        """Fail with both answers, and with the run as a script."""
        who = "the adapter" if place == 0 else "the second oracle"
        raise AssertionError(
            f"{question}: {who} answered {answer!r}, the contract says {expected!r}.\n"
            f"The run as a script, to be saved and run with python:\n\n{self.script.text()}"
        )

    @precondition(lambda self: all(subject.trial.time.is_moved for subject in self.subjects))
    @rule(steps=st.sampled_from([1, 1, 2, 4]))
    def let_time_pass(self, steps: int) -> None:
        """Move time for the reference and all subjects."""
        self.script.advance(steps * STEP)
        for subject in self.subjects:
            self.runner.run(subject.trial.time.passes(steps * STEP))
        self.reference.advance(steps * STEP)
        self._forget_lost_streams()

    def _with_ids(self, stream: Any, part: Any) -> Any:
        if isinstance(part, list):
            # arguments are anything
            return [self._with_ids(stream, of) for of in part]  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(part, Newest):
            return part
        held = self.reference.live(stream) if isinstance(stream, str) else None
        issued = (
            held.value.issued if isinstance(held, Held) and isinstance(held.value, Stream) else []
        )
        return issued[-1 - part.place] if part.place < len(issued) else UNKNOWN

    def _forget_lost_streams(self) -> None:
        for name, stream in list(self._streams.items()):
            held = self.reference.live(name)
            if held is None or held.value is not stream:
                del self._streams[name]
                for subject in self.subjects:
                    subject.forget(name)
        for name, held in self.reference.held.items():
            if isinstance(held.value, Stream) and self.reference.live(name) is held:
                self._streams[name] = held.value


class KeyMachine(Machine):
    """Values, counters and claims under the same few keys, with an occasional stream."""

    @rule(call=calls.WRITE_CALLS | calls.STREAM_UNDER_A_KEY)
    def write(self, call: Call) -> None:
        """Write or remove a value, or replace it with another kind."""
        if self.has(Streams) or call.name != "xadd":
            self.ask(call.name, *call.arguments, **call.options)

    @rule(call=calls.LOOK_CALLS)
    def look(self, call: Call) -> None:
        """Read values."""
        self.ask(call.name, *call.arguments, **call.options)

    @rule(call=calls.LIFE_CALLS)
    def give_or_take_time(self, call: Call) -> None:
        """Set, remove and read TTLs."""
        self.ask(call.name, *call.arguments, **call.options)

    @precondition(lambda self: self.has(Counters))
    @rule(call=calls.COUNTER_CALLS)
    def count(self, call: Call) -> None:
        """Increment a counter, and check its TTL."""
        self.ask(call.name, *call.arguments, **call.options)
        self.ask("ttl", call.arguments[0])

    @precondition(lambda self: self.has(Claims))
    @rule(call=calls.CLAIM_CALLS)
    def claim(self, call: Call) -> None:
        """Call a method of `Claims`."""
        self.ask(call.name, *call.arguments, **call.options)

    @precondition(lambda self: self.has(Scan))
    @rule(call=calls.PREFIX_CALLS)
    def delete_by_prefix(self, call: Call) -> None:
        """Delete by prefix; token keys have another prefix."""
        self.ask(call.name, *call.arguments)

    @precondition(lambda self: self.has(Scan))
    @rule(pattern=PATTERNS, count=st.integers(1, 3))
    def scan(self, pattern: tuple[str, str], count: int) -> None:
        """Run a complete scan."""
        matching = {
            "*": ["a", "a*", "ab"],
            "a": ["a"],
            "a?": ["a*", "ab"],
            "a\\*": ["a*"],
            "[a]b": ["ab"],
        }[pattern[0]]
        expected = [key for key in self.reference.names() if key in matching]
        self.script.note(f"a scan for {pattern[0]!r}, which has to give {expected!r}")
        for place, subject in enumerate(self.subjects):
            found = self.runner.run(_walk(subject, pattern[0], count))
            if found != expected:
                self.fail(f"a scan for {pattern[0]!r}", place, expected, found)


class StreamMachine(Machine):
    """Streams, groups and blocked readers under the same few names."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[tuple[asyncio.Task[Any], BlockedRead]] = []

    @property
    def may_wait(self) -> bool:
        """True if blocked reads follow the time that is moved.

        Only then is it known when they end.
        """
        return len(self.subjects) == 1 and self.waits_follow

    @initialize()
    def make_a_stream(self) -> None:
        """Make two groups and some entries, some of them pending."""
        for group in ("g", "h"):
            self.ask("xgroup_create", "s", group)
        for _ in range(4):
            self.ask("xadd", "s", {"f": b"1"})
        self.ask("xreadgroup", "s", "g", "c", count=2)

    @rule(call=calls.APPEND_CALLS)
    def append(self, call: Call) -> None:
        """Append an entry, perhaps with trimming."""
        self.ask(call.name, *call.arguments, **call.options)

    @rule(call=calls.GROUP_CALLS)
    def make_a_group(self, call: Call) -> None:
        """Create a group, which may exist already."""
        self.ask(call.name, *call.arguments)

    @rule(call=calls.READ_CALLS)
    def read(self, call: Call) -> None:
        """Read new entries."""
        self.ask_and_look(call)

    @rule(call=calls.HISTORY_CALLS)
    def read_again(self, call: Call) -> None:
        """Read the consumer's own pending entries."""
        self.ask_and_look(call)

    @rule(call=calls.SETTLE_CALLS)
    def settle(self, call: Call) -> None:
        """Acknowledge, or list pending entries."""
        if call.name == "xpending" and self.reference.has_deleted_pending(call.arguments[0]):
            call = Call(
                call.name, call.arguments, {**call.options, "min_idle": None}
            )  # see `_comparable`
        self.ask_and_look(call)

    @rule(call=calls.TAKEOVER_CALLS)
    def take_over(self, call: Call) -> None:
        """Claim idle entries."""
        if self.reference.has_deleted_pending(call.arguments[0]):
            # The backend may choose when it removes deleted entries that are too young to be
            # claimed (STR-12). So claim everything.
            call = Call(call.name, (*call.arguments[:3], 0.0))
        self.ask_and_look(call)

    @rule(call=calls.RANGE_CALLS)
    def look(self, call: Call) -> None:
        """Read without a group."""
        self.ask(call.name, *call.arguments, **call.options)

    @rule(call=calls.SHORTEN_CALLS)
    def shorten(self, call: Call) -> None:
        """Trim or delete."""
        self.ask(call.name, *call.arguments, **call.options)

    @rule(call=calls.DESTROY_CALLS, ends=st.sampled_from([False, False, False, True]))
    def destroy(self, call: Call, ends: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        """Occasionally destroy a group."""
        if ends:
            self.ask(call.name, *call.arguments)

    @precondition(lambda self: self.has(KeyValue))
    @rule(call=calls.ENDING_CALLS, ends=st.sampled_from([False, False, False, True]))
    # hypothesis passes `ends` by name
    def end_something(self, call: Call, ends: bool) -> None:  # noqa: FBT001
        """Occasionally let a stream expire, vanish, or become a value."""
        if ends:
            self.ask(call.name, *call.arguments, **call.options)

    def ask_and_look(self, call: Call) -> None:
        """Make the call, then compare the pending list and the groups."""
        self.ask(call.name, *call.arguments, **call.options)
        self.ask("xpending", *call.arguments[:2])
        self.ask("xgroups", call.arguments[0])

    @precondition(lambda self: self.may_wait)
    @rule(group=calls.GROUPS, consumer=calls.CONSUMERS, count=calls.COUNTS, block=calls.BLOCKS)
    def wait_for_entries(self, group: str, consumer: str, count: int | None, block: float) -> None:
        """Start a blocked read in the background."""
        subject = self.subjects[0]

        async def start() -> asyncio.Task[Any]:
            task = asyncio.create_task(
                subject.ask("xreadgroup", ("s", group, consumer), {"count": count, "block": block})
            )
            await asyncio.sleep(0)
            return task

        answer = (
            answer_of(self.reference, "xreadgroup", ("s", group, consumer), {"count": count})
            or None
        )
        self.script.note(
            f"a task that waits: xreadgroup of {group!r} for {consumer!r}, "
            f"count={count!r}, block={block!r}"
        )
        waiting = BlockedRead("s", group, consumer, count, self.reference.now + block, answer)
        self.reference.waiting.append(waiting)
        self.tasks.append((self.runner.run(start()), waiting))

    @rule(which=st.integers(0, 3))
    def cancel_a_wait(self, which: int) -> None:
        """Cancel a blocked read."""
        still = [pair for pair in self.tasks if pair[1].answer is None]
        if still:
            task, waiting = still[which % len(still)]
            self.script.note("one of the waiting tasks is cancelled")
            task.cancel()
            self.tasks.remove((task, waiting))
            self.reference.waiting.remove(waiting)

    @invariant()
    def blocked_readers_have_their_answers_or_still_wait(self) -> None:
        """No reader waits that has entries to read, and no reader got another's entries."""

        async def settle() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        self.runner.run(settle())
        for task, waiting in self.tasks:
            answer = task.result() if task.done() else None
            if not agree(waiting.answer, answer):
                self.fail(
                    f"a blocked read of {waiting.group!r} for {waiting.consumer!r}",
                    0,
                    waiting.answer,
                    answer,
                )


async def _walk(subject: Subject, pattern: str, count: int) -> list[str]:
    """The short names that a scan returns, without token keys."""
    prefix = subject.trial.prefix
    found = {
        key.removeprefix(prefix)
        for key in await walk(subject.adapter, escape(prefix) + pattern, count)
    }
    return sorted(name for name in found if not name.startswith("token"))
