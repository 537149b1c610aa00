"""Every operation of the contract, as data: what it takes, what it does, and how it is called.

The tests of the crossing, the generated broken adapters and `docs/contract.md` are made from this
table.

Rule: the table is complete. A test of the kit compares it with the abstract methods of the contract
    and with their parameters.
Rule: arguments are placeholders (`Kind`), so that a test can put any value of a dimension there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from igniter_store.contract import Adapter, Claims, Counters, KeyValue, PubSub, Scan, Streams
from msgspec import Struct, field


class Kind(StrEnum):
    """What a parameter is. In a call of the table, it stands for a value of that kind."""

    KEY = "key"
    VALUE = "value"
    TTL = "TTL"
    CONDITION = "condition"
    DELTA = "delta"
    OWNER = "owner"
    TOKEN_KEY = "token key"
    CHANNEL = "channel"
    PATTERN = "pattern"
    PAYLOAD = "payload"
    CALLBACK = "callback"
    STREAM = "stream"
    FIELD = "field"
    ID = "id"
    BOUND = "bound"
    LENGTH = "length"
    SWITCH = "switch"
    COUNT = "count"
    GROUP = "group"
    CONSUMER = "consumer"
    BLOCK = "block"
    MIN_IDLE = "min_idle"
    PREFIX = "prefix"
    CURSOR = "cursor"


NAMES: Final = (Kind.KEY, Kind.STREAM, Kind.GROUP, Kind.CONSUMER, Kind.FIELD)
"""Names that the adapter stores, and compares exactly."""


class Trait(StrEnum):
    """What an operation is."""

    READS = "reads"
    WRITES = "writes"
    CONDITIONAL = "conditional"
    """Whether it takes effect depends on what is stored."""
    EXCLUSIVE = "exclusive"
    """Concurrent calls with the same arguments give the results of calls one after the other."""
    REMOVES = "removes"
    MAKES = "makes"
    BLOCKS = "blocks"
    SETS_TTL = "sets a TTL"
    KEEPS_TTL = "keeps the TTL"
    CLEARS_TTL = "clears the TTL"
    DELIVERS = "delivers"


PARAMETERS: Final[dict[str, dict[str, tuple[Kind, ...]]]] = {
    "ping": {},
    "get": {"key": (Kind.KEY,)},
    "getdel": {"key": (Kind.KEY,)},
    "set": {
        "key": (Kind.KEY,),
        "value": (Kind.VALUE,),
        "ttl": (Kind.TTL,),
        "only_if": (Kind.CONDITION,),
    },
    "delete": {"keys": (Kind.KEY,)},
    "exists": {"key": (Kind.KEY,)},
    "expire": {"key": (Kind.KEY,), "ttl": (Kind.TTL,)},
    "persist": {"key": (Kind.KEY,)},
    "ttl": {"key": (Kind.KEY,)},
    "mget": {"keys": (Kind.KEY,)},
    "mset": {"entries": (Kind.KEY, Kind.VALUE, Kind.TTL)},
    "increment": {"key": (Kind.KEY,), "delta": (Kind.DELTA,), "ttl": (Kind.TTL,)},
    "set_nx": {"key": (Kind.KEY,), "owner": (Kind.OWNER,), "ttl": (Kind.TTL,)},
    "compare_delete": {"key": (Kind.KEY,), "owner": (Kind.OWNER,)},
    "compare_expire": {"key": (Kind.KEY,), "owner": (Kind.OWNER,), "ttl": (Kind.TTL,)},
    "acquire": {
        "key": (Kind.KEY,),
        "owner": (Kind.OWNER,),
        "ttl": (Kind.TTL,),
        "token_key": (Kind.TOKEN_KEY,),
    },
    "publish": {"channel": (Kind.CHANNEL,), "payload": (Kind.PAYLOAD,)},
    "subscribe": {
        "channel": (Kind.CHANNEL,),
        "callback": (Kind.CALLBACK,),
        "on_gap": (Kind.CALLBACK,),
    },
    "psubscribe": {
        "pattern": (Kind.PATTERN,),
        "callback": (Kind.CALLBACK,),
        "on_gap": (Kind.CALLBACK,),
    },
    "xadd": {
        "stream": (Kind.STREAM,),
        "fields": (Kind.FIELD, Kind.VALUE),
        "max_len": (Kind.LENGTH,),
        "approximate": (Kind.SWITCH,),
    },
    "xlen": {"stream": (Kind.STREAM,)},
    "xtrim": {
        "stream": (Kind.STREAM,),
        "max_len": (Kind.LENGTH,),
        "approximate": (Kind.SWITCH,),
    },
    "xdel": {"stream": (Kind.STREAM,), "ids": (Kind.ID,)},
    "xrange": {
        "stream": (Kind.STREAM,),
        "start": (Kind.BOUND,),
        "end": (Kind.BOUND,),
        "count": (Kind.COUNT,),
    },
    "xrevrange": {
        "stream": (Kind.STREAM,),
        "end": (Kind.BOUND,),
        "start": (Kind.BOUND,),
        "count": (Kind.COUNT,),
    },
    "xgroup_create": {
        "stream": (Kind.STREAM,),
        "group": (Kind.GROUP,),
        "start": (Kind.BOUND,),
    },
    "xgroup_destroy": {"stream": (Kind.STREAM,), "group": (Kind.GROUP,)},
    "xreadgroup": {
        "stream": (Kind.STREAM,),
        "group": (Kind.GROUP,),
        "consumer": (Kind.CONSUMER,),
        "count": (Kind.COUNT,),
        "block": (Kind.BLOCK,),
        "history": (Kind.SWITCH,),
    },
    "xgroups": {"stream": (Kind.STREAM,)},
    "xack": {"stream": (Kind.STREAM,), "group": (Kind.GROUP,), "ids": (Kind.ID,)},
    "xpending": {
        "stream": (Kind.STREAM,),
        "group": (Kind.GROUP,),
        "min_idle": (Kind.MIN_IDLE,),
        "consumer": (Kind.CONSUMER,),
        "count": (Kind.COUNT,),
    },
    "xautoclaim": {
        "stream": (Kind.STREAM,),
        "group": (Kind.GROUP,),
        "consumer": (Kind.CONSUMER,),
        "min_idle": (Kind.MIN_IDLE,),
        "count": (Kind.COUNT,),
    },
    "scan": {"pattern": (Kind.PATTERN,), "cursor": (Kind.CURSOR,), "count": (Kind.COUNT,)},
    "delete_prefix": {"prefix": (Kind.PREFIX,)},
}
"""The kinds of each parameter of each method, in the order of its signature."""


class Pair(Struct, frozen=True):
    """An `Entry` of placeholders."""

    key: Any
    value: Any
    ttl: Any = None


class Newest(Struct, frozen=True):
    """An id that is known only when the call is made.

    0 is the newest id of the stream, 1 the one before.
    """

    place: int


class Step(Struct, frozen=True):
    """A call, whose arguments may be placeholders."""

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


class Operation(Struct, frozen=True):
    """A method of the contract, called in one way.

    Attributes:
        title: names the operation in tests and messages.
        capability: the class that has the method.
        before: the calls that prepare what the call needs.
        call: the call.
        traits: what the operation is.
    """

    title: str
    capability: type[Adapter]
    before: tuple[Step, ...]
    call: Step
    traits: frozenset[Trait]

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.call.method

    @property
    def kinds(self) -> frozenset[Kind]:
        """The placeholders of the call."""
        found: set[Kind] = set()
        _collect((self.call.arguments, self.call.options), found)
        return frozenset(found)


def step(method: str, *arguments: Any, **options: Any) -> Step:
    """Return a call."""
    return Step(method, arguments, options)


def _collect(part: Any, found: set[Kind]) -> None:
    match part:
        case Kind():
            found.add(part)
        case Pair():
            _collect((part.key, part.value, part.ttl), found)
        case dict():
            _collect([*part.keys(), *part.values()], found)  # pyright: ignore[reportUnknownArgumentType]  # arguments are anything
        case list() | tuple():
            for each in part:  # pyright: ignore[reportUnknownVariableType]  # arguments are anything
                _collect(each, found)
        case _:
            pass


_READ: Final = frozenset({Trait.READS})
_K, _V, _T, _O, _S = Kind.KEY, Kind.VALUE, Kind.TTL, Kind.OWNER, Kind.STREAM
_F, _G, _C = Kind.FIELD, Kind.GROUP, Kind.CONSUMER
_VALUE: Final = (step("set", _K, _V, ttl=2_000.0),)
_ADD: Final = step("xadd", _S, {_F: _V})
_TWO: Final = (_ADD, _ADD)
_GROUP: Final = (*_TWO, step("xgroup_create", _S, _G))
_PENDING: Final = (*_GROUP, step("xreadgroup", _S, _G, _C))


def _traits(*traits: Trait) -> frozenset[Trait]:
    return frozenset(traits)


OPERATIONS: Final = (
    Operation("get", KeyValue, _VALUE, step("get", _K), _READ),
    Operation(
        "getdel",
        KeyValue,
        _VALUE,
        step("getdel", _K),
        _traits(Trait.READS, Trait.REMOVES, Trait.EXCLUSIVE),
    ),
    Operation(
        "set",
        KeyValue,
        _VALUE,
        step("set", _K, _V),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CLEARS_TTL),
    ),
    Operation(
        "set with a TTL",
        KeyValue,
        (),
        step("set", _K, _V, ttl=_T),
        _traits(Trait.WRITES, Trait.MAKES, Trait.SETS_TTL),
    ),
    Operation(
        "set if absent",
        KeyValue,
        (),
        step("set", _K, _V, ttl=_T, only_if="absent"),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CONDITIONAL, Trait.EXCLUSIVE, Trait.SETS_TTL),
    ),
    Operation(
        "set if present",
        KeyValue,
        _VALUE,
        step("set", _K, _V, ttl=_T, only_if="present"),
        _traits(Trait.WRITES, Trait.CONDITIONAL, Trait.SETS_TTL),
    ),
    Operation(
        "delete",
        KeyValue,
        _VALUE,
        step("delete", [_K]),
        _traits(Trait.REMOVES, Trait.EXCLUSIVE),
    ),
    Operation("exists", KeyValue, _VALUE, step("exists", _K), _READ),
    Operation(
        "expire", KeyValue, _VALUE, step("expire", _K, _T), _traits(Trait.WRITES, Trait.SETS_TTL)
    ),
    Operation(
        "persist",
        KeyValue,
        _VALUE,
        step("persist", _K),
        _traits(Trait.WRITES, Trait.CLEARS_TTL, Trait.EXCLUSIVE),
    ),
    Operation("ttl", KeyValue, _VALUE, step("ttl", _K), _READ),
    Operation("mget", KeyValue, _VALUE, step("mget", [_K]), _READ),
    Operation(
        "mset",
        KeyValue,
        _VALUE,
        step("mset", [Pair(_K, _V)]),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CLEARS_TTL),
    ),
    Operation(
        "mset with a TTL",
        KeyValue,
        (),
        step("mset", [Pair(_K, _V, _T)]),
        _traits(Trait.WRITES, Trait.MAKES, Trait.SETS_TTL),
    ),
    Operation(
        "increment",
        Counters,
        (step("increment", _K, 41, ttl=2_000.0),),
        step("increment", _K, Kind.DELTA),
        _traits(Trait.WRITES, Trait.MAKES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "increment with a TTL",
        Counters,
        (),
        step("increment", _K, Kind.DELTA, ttl=_T),
        _traits(Trait.WRITES, Trait.MAKES, Trait.SETS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "set_nx",
        Claims,
        (),
        step("set_nx", _K, _O, ttl=_T),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CONDITIONAL, Trait.EXCLUSIVE, Trait.SETS_TTL),
    ),
    Operation(
        "set_nx without a TTL",
        Claims,
        (),
        step("set_nx", _K, _O),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CONDITIONAL, Trait.EXCLUSIVE),
    ),
    Operation(
        "compare_delete",
        Claims,
        (step("set_nx", _K, _O, ttl=2_000.0),),
        step("compare_delete", _K, _O),
        _traits(Trait.REMOVES, Trait.CONDITIONAL, Trait.EXCLUSIVE),
    ),
    Operation(
        "compare_expire",
        Claims,
        (step("set_nx", _K, _O, ttl=2_000.0),),
        step("compare_expire", _K, _O, _T),
        _traits(Trait.WRITES, Trait.CONDITIONAL, Trait.SETS_TTL),
    ),
    Operation(
        "acquire",
        Claims,
        (),
        step("acquire", _K, _O, _T),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CONDITIONAL, Trait.EXCLUSIVE, Trait.SETS_TTL),
    ),
    Operation(
        "xadd",
        Streams,
        (_ADD, step("expire", _S, 2_000.0)),
        step("xadd", _S, {_F: _V}),
        _traits(Trait.WRITES, Trait.MAKES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "xadd with max_len",
        Streams,
        (*_TWO, *_TWO),
        step("xadd", _S, {_F: _V}, max_len=2, approximate=False),
        _traits(Trait.WRITES, Trait.MAKES, Trait.REMOVES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation("xlen", Streams, _TWO, step("xlen", _S), _READ),
    Operation(
        "xtrim",
        Streams,
        _TWO,
        step("xtrim", _S, 1, approximate=False),
        _traits(Trait.REMOVES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "xdel",
        Streams,
        _TWO,
        step("xdel", _S, [Newest(0)]),
        _traits(Trait.REMOVES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation("xrange", Streams, _TWO, step("xrange", _S), _READ),
    Operation("xrevrange", Streams, _TWO, step("xrevrange", _S), _READ),
    Operation(
        "xgroup_create",
        Streams,
        _TWO,
        step("xgroup_create", _S, _G),
        _traits(Trait.WRITES, Trait.MAKES, Trait.CONDITIONAL, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "xgroup_destroy",
        Streams,
        _GROUP,
        step("xgroup_destroy", _S, _G),
        _traits(Trait.REMOVES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "xreadgroup",
        Streams,
        _GROUP,
        step("xreadgroup", _S, _G, _C),
        _traits(Trait.READS, Trait.DELIVERS, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation(
        "xreadgroup that may wait",
        Streams,
        _GROUP,
        step("xreadgroup", _S, _G, _C, block=30.0),
        _traits(Trait.READS, Trait.DELIVERS, Trait.BLOCKS, Trait.KEEPS_TTL),
    ),
    Operation(
        "xreadgroup of the history",
        Streams,
        _PENDING,
        step("xreadgroup", _S, _G, _C, history=True),
        _traits(Trait.READS, Trait.DELIVERS, Trait.KEEPS_TTL),
    ),
    Operation("xgroups", Streams, _PENDING, step("xgroups", _S), _READ),
    Operation(
        "xack",
        Streams,
        _PENDING,
        step("xack", _S, _G, [Newest(0), Newest(1)]),
        _traits(Trait.REMOVES, Trait.KEEPS_TTL, Trait.EXCLUSIVE),
    ),
    Operation("xpending", Streams, _PENDING, step("xpending", _S, _G), _READ),
    Operation(
        "xpending of a consumer",
        Streams,
        _PENDING,
        step("xpending", _S, _G, consumer=_C),
        _READ,
    ),
    Operation(
        "xautoclaim",
        Streams,
        (*_GROUP, step("xreadgroup", _S, _G, "first consumer")),
        step("xautoclaim", _S, _G, _C, 0.0),
        _traits(Trait.READS, Trait.DELIVERS, Trait.KEEPS_TTL),
    ),
    Operation(
        "delete_prefix",
        Scan,
        (step("set", _K, _V),),
        step("delete_prefix", _K),
        _traits(Trait.REMOVES),
    ),
)
"""The operations that work on stored data.

`ping`, `scan` and the methods of `PubSub` have tests of their own.
"""

APART: Final = {Adapter: ("ping",), Scan: ("scan",), PubSub: ("publish", "subscribe", "psubscribe")}
"""The methods that `OPERATIONS` leaves out."""
