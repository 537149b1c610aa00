"""Any sequence of calls, alone or interleaved, gives the answers of a reference that was written from the contract alone (MDL-1)."""

from __future__ import annotations

import asyncio
import copy
import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from igniter_store.contract import Entry, ErrorCode, GroupInfo, ManualClock, PendingEntry, StoreError, StreamEntry
from igniter_store_memory import MemoryAdapter

START = 1_700_000_000.0
Id: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Call:
    """One method of an adapter with its arguments."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


class Refused(Exception):  # noqa: N818 - an answer
    """The code that the contract names for a call."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Handed:
    consumer: str
    at: float
    times: int


@dataclass
class Readers:
    position: Id
    pending: dict[Id, Handed] = field(default_factory=dict[Id, Handed])
    consumers: set[str] = field(default_factory=set[str])


@dataclass
class Stream:
    last: Id = (0, 0)
    entries: dict[Id, dict[str, bytes]] = field(default_factory=dict[Id, dict[str, bytes]])
    groups: dict[str, Readers] = field(default_factory=dict[str, Readers])


@dataclass
class Held:
    value: bytes | Stream
    ends: float = math.inf


@dataclass(eq=False)
class Waiting:
    """A blocked read: what it waits for, and once it is over its answer or the code that it raised."""

    stream: str
    group: str
    consumer: str
    count: int | None
    until: float
    answer: list[StreamEntry] | ErrorCode | None = None


class Reference:
    """The contract in plain words: one dict, and a look at the clock each time. Slow, and without a single clever line."""

    def __init__(self) -> None:
        self.now = START
        self.held: dict[str, Held] = {}
        self.waiting: list[Waiting] = []

    def live(self, key: str) -> Held | None:
        held = self.held.get(key)
        return held if held is not None and self.now < held.ends else None

    def names(self) -> list[str]:
        return sorted(key for key in self.held if self.live(key) is not None)

    def lose(self, key: str) -> None:
        self.held.pop(key, None)
        self.wake(key, None, ErrorCode.STORE_STREAM_GROUP_MISSING)

    def write(self, key: str, value: bytes | Stream, ttl: float | None) -> None:
        self.lose(key)
        self.held[key] = Held(value, math.inf if ttl is None else self.now + ttl)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        for waiting in self.waiting:
            held = self.held.get(waiting.stream)
            gone = math.inf if held is None else held.ends
            if waiting.answer is None and min(waiting.until, gone) <= end:
                waiting.answer = [] if waiting.until < gone else ErrorCode.STORE_STREAM_GROUP_MISSING
        self.now = end

    # KeyValue

    def get(self, key: str) -> bytes | None:
        held = self.live(key)
        if held is None:
            return None
        if isinstance(held.value, Stream):
            raise Refused(ErrorCode.STORE_OPERATION_FAILED)
        return held.value

    def getdel(self, key: str) -> bytes | None:
        value = self.get(key)
        if value is not None:
            self.lose(key)
        return value

    def set(self, key: str, value: bytes, *, ttl: float | None = None, only_if: str | None = None) -> bool:
        is_there = self.live(key) is not None
        if (only_if == "absent" and is_there) or (only_if == "present" and not is_there):
            return False
        self.write(key, value, ttl)
        return True

    def delete(self, keys: list[str]) -> int:
        there = [key for key in self.names() if key in keys]
        for key in there:
            self.lose(key)
        return len(there)

    def exists(self, key: str) -> bool:
        return key in self.names()

    def expire(self, key: str, ttl: float) -> bool:
        held = self.live(key)
        if held is None:
            return False
        held.ends = self.now + ttl
        return True

    def persist(self, key: str) -> bool:
        held = self.live(key)
        if held is None or held.ends == math.inf:
            return False
        held.ends = math.inf
        return True

    def ttl(self, key: str) -> float | None:
        held = self.live(key)
        return None if held is None else held.ends - self.now

    def mget(self, keys: list[str]) -> list[bytes | None]:
        found = [self.live(key) for key in keys]
        return [held.value if held is not None and isinstance(held.value, bytes) else None for held in found]

    def mset(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.write(entry.key, entry.value, entry.ttl)

    # Counters and Claims

    def increment(self, key: str, delta: int = 1, *, ttl: float | None = None, start: int = 0) -> int:
        held = self.live(key)
        text = str(start).encode() if held is None else held.value
        try:
            assert isinstance(text, bytes)
            number = int(text)
            assert str(number).encode() == text
            assert -(2**63) <= number < 2**63
            assert -(2**63) <= number + delta < 2**63
        except (AssertionError, ValueError):
            raise Refused(ErrorCode.STORE_INCREMENT_FAILED) from None
        ends = math.inf if held is None else held.ends
        if ends == math.inf and ttl is not None:
            ends = self.now + ttl
        self.held[key] = Held(str(number + delta).encode(), ends)
        return number + delta

    def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return self.set(key, owner, ttl=ttl, only_if="absent")

    def compare_delete(self, key: str, owner: bytes) -> bool:
        return self.get(key) == owner and self.delete([key]) == 1

    def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return self.get(key) == owner and self.expire(key, ttl)

    def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if self.live(key) is not None:
            return None
        token = self.increment(token_key, start=round(self.now * 1000))
        self.expire(token_key, 30 * 86_400)
        self.write(key, owner, ttl)
        return token

    def delete_prefix(self, prefix: str) -> int:
        return self.delete([key for key in self.names() if key[: len(prefix)] == prefix])

    # Streams

    def stream(self, key: str) -> Stream | None:
        held = self.live(key)
        if held is not None and isinstance(held.value, bytes):
            raise Refused(ErrorCode.STORE_OPERATION_FAILED)
        return None if held is None else held.value  # type: ignore[return-value]  # neither checker keeps what was ruled out

    def made(self, key: str) -> Stream:
        if self.stream(key) is None:
            self.write(key, Stream(), None)
        stream = self.stream(key)
        assert stream is not None
        return stream

    def readers(self, key: str, group: str) -> tuple[Stream, Readers]:
        stream = self.stream(key)
        if stream is None or group not in stream.groups:
            raise Refused(ErrorCode.STORE_STREAM_GROUP_MISSING)
        return stream, stream.groups[group]

    def wake(self, key: str, group: str | None, answer: ErrorCode) -> None:
        for waiting in self.waiting:
            if waiting.stream == key and group in {None, waiting.group} and waiting.answer is None:
                waiting.answer = answer

    def xadd(self, key: str, fields: dict[str, bytes], *, max_len: int | None = None, approximate: bool = False) -> str:
        stream = self.made(key)
        stream.last = max((round(self.now * 1000), 0), (stream.last[0], stream.last[1] + 1))
        stream.entries[stream.last] = fields
        added = stream.last
        for waiting in self.waiting:
            if waiting.stream == key and waiting.answer is None:
                waiting.answer = self.xreadgroup(key, waiting.group, waiting.consumer, count=waiting.count) or None
        if max_len is not None:
            self.xtrim(key, max_len)
        return spelled(added)

    def xlen(self, key: str) -> int:
        stream = self.stream(key)
        return 0 if stream is None else len(stream.entries)

    def xtrim(self, key: str, max_len: int, *, approximate: bool = False) -> int:
        stream = self.stream(key)
        return 0 if stream is None else self.xdel(key, [spelled(i) for i in sorted(stream.entries, reverse=True)[max_len:]])

    def xdel(self, key: str, ids: list[str]) -> int:
        stream = self.stream(key)
        there = [] if stream is None else [i for i in stream.entries if spelled(i) in ids]
        for i in there:
            assert stream is not None
            del stream.entries[i]
        return len(there)

    def xrange(self, key: str, start: str = "-", end: str = "+", *, count: int | None = None) -> list[StreamEntry]:
        stream = self.stream(key)
        low, high = (-1, 0) if start == "-" else numbers(start), (2**64, 0) if end == "+" else numbers(end)
        return [] if stream is None else entries(stream, [i for i in sorted(stream.entries) if low <= i <= high][:count])

    def xrevrange(self, key: str, end: str = "+", start: str = "-", *, count: int | None = None) -> list[StreamEntry]:
        return self.xrange(key, start, end)[::-1][:count]

    def xgroup_create(self, key: str, group: str, start: str = "0") -> bool:
        stream = self.made(key)
        if group in stream.groups:
            return False
        stream.groups[group] = Readers(stream.last if start == "$" else numbers(start))
        return True

    def xgroup_destroy(self, key: str, group: str) -> bool:
        stream = self.stream(key)
        if stream is None or stream.groups.pop(group, None) is None:
            return False
        self.wake(key, group, ErrorCode.STORE_STREAM_GROUP_MISSING)
        return True

    def xreadgroup(self, key: str, group: str, consumer: str, *, count: int | None = None, history: bool = False) -> list[StreamEntry]:
        stream, readers = self.readers(key, group)
        readers.consumers.add(consumer)
        if history:
            chosen = [i for i in sorted(readers.pending) if readers.pending[i].consumer == consumer and i in stream.entries][:count]
        else:
            chosen = [i for i in sorted(stream.entries) if i > readers.position][:count]
            readers.position = max([readers.position, *chosen])
        self.hand(readers, consumer, chosen)
        return entries(stream, chosen)

    def hand(self, readers: Readers, consumer: str, chosen: list[Id]) -> None:
        for i in chosen:
            times = readers.pending[i].times if i in readers.pending else 0
            readers.pending[i] = Handed(consumer, self.now, times + 1)

    def xgroups(self, key: str) -> list[GroupInfo]:
        stream = self.stream(key)
        return (
            []
            if stream is None
            else [
                GroupInfo(name, len(of.consumers), len(of.pending), spelled(of.position), sum(i > of.position for i in stream.entries))
                for name, of in sorted(stream.groups.items())
            ]
        )

    def xack(self, key: str, group: str, ids: list[str]) -> int:
        stream = self.stream(key)
        if stream is None or group not in stream.groups:
            return 0
        pending = stream.groups[group].pending
        return len([pending.pop(numbers(i)) for i in dict.fromkeys(ids) if numbers(i) in pending])

    def xpending(
        self, key: str, group: str, *, min_idle: float | None = None, consumer: str | None = None, count: int | None = None
    ) -> list[PendingEntry]:
        _, readers = self.readers(key, group)
        listed = [PendingEntry(spelled(i), of.consumer, self.now - of.at, of.times) for i, of in sorted(readers.pending.items())]
        return [of for of in listed if consumer in {None, of.consumer} and of.idle >= (min_idle or 0)][:count]

    def xautoclaim(self, key: str, group: str, consumer: str, min_idle: float, *, count: int | None = None) -> list[StreamEntry]:
        stream, readers = self.readers(key, group)
        readers.consumers.add(consumer)
        chosen: list[Id] = []
        for i in sorted(readers.pending):
            if len(chosen) == count:
                break
            if i not in stream.entries:
                del readers.pending[i]
            elif self.now - readers.pending[i].at >= min_idle:
                chosen.append(i)
        self.hand(readers, consumer, chosen)
        return entries(stream, chosen)


def spelled(i: Id) -> str:
    return f"{i[0]}-{i[1]}"


def numbers(text: str) -> Id:
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)


def entries(stream: Stream, ids: list[Id]) -> list[StreamEntry]:
    return [StreamEntry(spelled(i), stream.entries[i]) for i in ids]


async def answer_of(adapter: MemoryAdapter, call: Call) -> Any:
    try:
        return await getattr(adapter, call.name)(*call.arguments, **call.options)
    except StoreError as error:
        return error.code


def expected_of(reference: Reference, call: Call) -> Any:
    try:
        return getattr(reference, call.name)(*call.arguments, **call.options)
    except Refused as refused:
        return refused.code


# Few of everything, so that calls meet. Times are whole eighths of a second, which a float adds without error; TTLs end between the
# steps of the clock where streams have readers, since only then is it fixed who of a timeout and an expiry comes first.
KEYS = st.sampled_from(["a", "a*", "ab"])
VALUES = st.sampled_from([b"", b"1", b"-7", b"01", b"9223372036854775807", b"9223372036854775808", b"me"])
OWNERS = st.sampled_from([b"me", b"you", b""])
TTLS = st.sampled_from([0.5, 1.0, 2.0])
OPTIONAL_TTLS = st.none() | TTLS
GROUPS = st.sampled_from(["g", "g", "g", "h"])
CONSUMERS = st.sampled_from(["c", "d"])
COUNTS = st.none() | st.integers(1, 3)
STEPS = st.sampled_from([0.25, 0.5, 1.0])


def call(name: str, *arguments: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.just(name), st.tuples(*arguments), st.fixed_dictionaries(options))


KEYVALUE_CALLS = st.one_of(
    call("get", KEYS),
    call("getdel", KEYS),
    call("set", KEYS, VALUES, ttl=OPTIONAL_TTLS, only_if=st.sampled_from([None, None, "absent", "present"])),
    call("delete", st.lists(KEYS, max_size=3)),
    call("exists", KEYS),
    call("expire", KEYS, TTLS),
    call("persist", KEYS),
    call("ttl", KEYS),
    call("mget", st.lists(KEYS, max_size=4)),
    call("mset", st.lists(st.builds(Entry, KEYS, VALUES, OPTIONAL_TTLS), max_size=3)),
    call("delete_prefix", st.sampled_from(["a", "a*", "ab", "b"])),
)
COUNTER_CALLS = call("increment", KEYS, st.sampled_from([1, 0, -3, 2**63 - 1, -(2**63)]), ttl=OPTIONAL_TTLS)
CLAIM_CALLS = st.one_of(
    call("set_nx", KEYS, OWNERS, ttl=OPTIONAL_TTLS),
    call("compare_delete", KEYS, OWNERS),
    call("compare_expire", KEYS, OWNERS, TTLS),
    call("acquire", KEYS, OWNERS, TTLS, token_key=st.sampled_from(["token:1", "token:2"])),
)


STREAMS = st.sampled_from(["s"] * 8 + ["t"])
NEWEST = st.integers(0, 5).map("#{}".format)  # "#0" is the newest entry, "#1" the one before


def append_calls() -> st.SearchStrategy[Call]:
    lengths = st.sampled_from([None, None, None, None, 1, 3])
    return call("xadd", STREAMS, st.fixed_dictionaries({"f": VALUES}), max_len=lengths, approximate=st.just(False))


def create_calls(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    return call("xgroup_create", STREAMS, GROUPS, st.sampled_from(["0", "$", "1700000000500", "1700000001000-1"]) | ids)


def read_calls(*, history: bool) -> st.SearchStrategy[Call]:
    return call("xreadgroup", STREAMS, GROUPS, CONSUMERS, count=COUNTS, history=st.just(history))


def settle_calls(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    return st.one_of(
        call("xack", STREAMS, GROUPS, st.lists(ids, max_size=3)),
        call("xpending", STREAMS, GROUPS, min_idle=st.sampled_from([None, 0.25, 1.0]), consumer=st.none() | CONSUMERS, count=COUNTS),
    )


def takeover_calls() -> st.SearchStrategy[Call]:
    return call("xautoclaim", STREAMS, GROUPS, CONSUMERS, st.sampled_from([0.0, 0.0, 0.25, 1.0]), count=COUNTS)


def range_calls(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    bounds = {"start": st.just("-") | ids, "end": st.just("+") | ids, "count": COUNTS}
    return st.one_of(call("xrange", STREAMS, **bounds), call("xrevrange", STREAMS, **bounds), call("xlen", STREAMS))


def shorten_calls(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    return st.one_of(
        call("xdel", STREAMS, st.lists(ids, min_size=1, max_size=2)),
        call("xtrim", STREAMS, st.sampled_from([4, 3, 2, 1, 0]), approximate=st.just(False)),
    )


ENDING_CALLS = st.one_of(
    call("xgroup_destroy", STREAMS, GROUPS),
    call("expire", STREAMS, st.sampled_from([0.375, 1.125])),
    call("persist", STREAMS),
    call("delete", st.lists(STREAMS, max_size=1)),
    call("delete_prefix", STREAMS),
    call("set", STREAMS, VALUES, ttl=st.sampled_from([None, 0.375])),
)


class Machine(RuleBasedStateMachine):
    """One adapter and one reference, asked the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.adapter = MemoryAdapter(clock=self.clock)
        self.reference = Reference()
        self.runner = asyncio.Runner()

    def ask(self, question: Call) -> Any:
        expected = expected_of(self.reference, question)
        assert self.runner.run(answer_of(self.adapter, question)) == expected
        return expected

    @rule(seconds=STEPS)
    def let_time_pass(self, seconds: float) -> None:
        async def advance() -> None:
            self.clock.advance(seconds)

        self.runner.run(advance())
        self.reference.advance(seconds)

    def teardown(self) -> None:
        self.runner.close()


class KeyMachine(Machine):
    """Values, counters and claims under the same few keys, with a stream now and then."""

    @rule(question=KEYVALUE_CALLS)
    def use_a_value(self, question: Call) -> None:
        self.ask(question)

    @rule(question=COUNTER_CALLS)
    def count(self, question: Call) -> None:
        self.ask(question)
        self.ask(Call("ttl", question.arguments[:1]))

    @rule(question=CLAIM_CALLS)
    def claim(self, question: Call) -> None:
        self.ask(question)
        if question.name == "acquire":
            self.ask(Call("ttl", (question.options["token_key"],)))

    @rule(key=KEYS)
    def make_a_stream(self, key: str) -> None:
        self.ask(Call("xadd", (key, {"f": b"1"})))

    @rule(pattern=st.sampled_from([("*", "a*ab"), ("a", "a"), ("a?", "a*ab"), ("a\\*", "a*"), ("[a]b", "ab")]), count=st.integers(1, 3))
    def scan(self, pattern: tuple[str, str], count: int) -> None:
        async def walk() -> list[str]:
            page = await self.adapter.scan(pattern[0], count=count)
            found = page.keys
            while page.cursor != "0":
                page = await self.adapter.scan(pattern[0], cursor=page.cursor, count=count)
                found += page.keys
            return [key for key in found if not key.startswith("token")]

        matching = {"*": ["a", "a*", "ab"], "a": ["a"], "a?": ["a*", "ab"], "a\\*": ["a*"], "[a]b": ["ab"]}[pattern[0]]
        assert sorted(self.runner.run(walk())) == [key for key in self.reference.names() if key in matching]


class StreamMachine(Machine):
    """Streams, groups and blocked readers under the same few names."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tasks: list[tuple[asyncio.Task[Any], Waiting]] = []

    @initialize()
    def make_a_stream(self) -> None:
        for group in ("g", "h"):
            self.ask(Call("xgroup_create", ("s", group)))
        for _ in range(4):
            self.ids.append(self.ask(Call("xadd", ("s", {"f": b"1"}))))
        self.ask(Call("xreadgroup", ("s", "g", "c"), {"count": 2}))

    @rule(question=append_calls())
    def append(self, question: Call) -> None:
        answer = self.ask(question)
        if not isinstance(answer, ErrorCode):
            self.ids.append(answer)

    @rule(question=create_calls(NEWEST))
    def make_a_group(self, question: Call) -> None:
        self.ask(self.with_real_ids(question))

    @rule(question=read_calls(history=False))
    def read(self, question: Call) -> None:
        self.ask_and_look(question)

    @rule(question=read_calls(history=True))
    def read_again(self, question: Call) -> None:
        self.ask_and_look(question)

    @rule(question=settle_calls(NEWEST))
    def settle(self, question: Call) -> None:
        self.ask_and_look(question)

    @rule(question=takeover_calls())
    def take_over(self, question: Call) -> None:
        self.ask_and_look(question)

    @rule(question=range_calls(NEWEST))
    def look(self, question: Call) -> None:
        self.ask(self.with_real_ids(question))

    @rule(question=shorten_calls(NEWEST))
    def shorten(self, question: Call) -> None:
        self.ask(self.with_real_ids(question))

    @rule(question=ENDING_CALLS, ends=st.sampled_from([False, False, False, True]))
    def end_something(self, question: Call, ends: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        if ends:
            self.ask(question)

    def ask_and_look(self, question: Call) -> None:
        self.ask(self.with_real_ids(question))
        self.ask(Call("xpending", question.arguments[:2]))
        self.ask(Call("xgroups", question.arguments[:1]))

    @rule(group=GROUPS, consumer=CONSUMERS, count=COUNTS, block=st.sampled_from([0.3125, 0.8125]))
    def wait_for_entries(self, group: str, consumer: str, count: int | None, block: float) -> None:
        async def start() -> asyncio.Task[Any]:
            question = Call("xreadgroup", ("s", group, consumer), {"count": count, "block": block})
            task = asyncio.create_task(answer_of(self.adapter, question))
            await asyncio.sleep(0)
            return task

        answer = expected_of(self.reference, Call("xreadgroup", ("s", group, consumer), {"count": count}))
        waiting = Waiting("s", group, consumer, count, self.reference.now + block, answer or None)
        self.reference.waiting.append(waiting)
        self.tasks.append((self.runner.run(start()), waiting))

    @rule(which=st.integers(0, 3))
    def cancel_a_wait(self, which: int) -> None:
        still = [pair for pair in self.tasks if pair[1].answer is None]
        if still:
            task, waiting = still[which % len(still)]
            task.cancel()
            self.tasks.remove((task, waiting))
            self.reference.waiting.remove(waiting)

    @invariant()
    def blocked_readers_have_their_answers_or_still_wait(self) -> None:
        async def settle() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        self.runner.run(settle())
        assert [task.result() if task.done() else None for task, _ in self.tasks] == [waiting.answer for _, waiting in self.tasks]

    def with_real_ids(self, question: Call) -> Call:
        def real(part: Any) -> Any:
            if isinstance(part, list):
                return [real(of) for of in part]  # pyright: ignore[reportUnknownVariableType]  # arguments are anything
            if not (isinstance(part, str) and part.startswith("#")):
                return part
            place = int(part[1:])
            return self.ids[-1 - place] if place < len(self.ids) else "7-7"

        return Call(
            question.name, tuple(real(part) for part in question.arguments), {name: real(part) for name, part in question.options.items()}
        )


LIMITS = settings(max_examples=200, stateful_step_count=50, deadline=None)


@pytest.mark.clause("MDL-1")
def test_values_counters_and_claims_answer_as_the_reference_does() -> None:
    run_state_machine_as_test(KeyMachine, settings=LIMITS)


@pytest.mark.clause("MDL-1")
def test_streams_groups_and_blocked_readers_answer_as_the_reference_does() -> None:
    run_state_machine_as_test(StreamMachine, settings=LIMITS)


def is_some_serial_order(programs: list[list[tuple[Call, Any]]]) -> bool:
    """True when taking turns in some order gives everybody the answers that they got."""

    def search(state: Reference, places: tuple[int, ...]) -> bool:
        if all(place == len(program) for place, program in zip(places, programs, strict=True)):
            return True
        for turn, place in enumerate(places):
            if place == len(programs[turn]):
                continue
            question, answer = programs[turn][place]
            after = copy.deepcopy(state)
            if expected_of(after, question) == answer and search(after, (*places[:turn], place + 1, *places[turn + 1 :])):
                return True
        return False

    return search(Reference(), (0,) * len(programs))


FROZEN_IDS = st.sampled_from(["1700000000000-0", "1700000000000-1"])
CALLERS = st.lists(
    st.lists(
        st.one_of(
            COUNTER_CALLS,
            CLAIM_CALLS,
            KEYVALUE_CALLS,
            append_calls(),
            create_calls(FROZEN_IDS),
            read_calls(history=False),
            settle_calls(FROZEN_IDS),
            takeover_calls(),
            range_calls(FROZEN_IDS),
            shorten_calls(FROZEN_IDS),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=2,
    max_size=3,
)


@pytest.mark.clause("MDL-1", "CTR-2", "CLM-1")
@settings(max_examples=150, deadline=None)
@given(programs=CALLERS, pauses=st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_interleaved_callers_get_the_answers_of_some_serial_order(programs: list[list[Call]], pauses: list[int]) -> None:
    adapter = MemoryAdapter(clock=ManualClock(START))

    async def run(program: list[Call], first_pause: int) -> list[tuple[Call, Any]]:
        answers: list[tuple[Call, Any]] = []
        for place, question in enumerate(program):
            for _ in range(pauses[(first_pause + place) % len(pauses)]):
                await asyncio.sleep(0)
            answers.append((question, await answer_of(adapter, question)))
        return answers

    async def run_all() -> list[list[tuple[Call, Any]]]:
        return await asyncio.gather(*(run(program, 4 * number) for number, program in enumerate(programs)))

    answered = asyncio.run(run_all())

    assert is_some_serial_order(answered)
