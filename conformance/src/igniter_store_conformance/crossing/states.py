"""What an operation leaves as it is, and what it changes, in every state of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store.contract import KeyValue

from igniter_store_conformance.crossing.dimension import Cell, Dimension, sample
from igniter_store_conformance.crossing.program import Call, Wait, bound, look
from igniter_store_conformance.spec.operations import Kind, Newest, Operation, Trait

if TYPE_CHECKING:
    from igniter_store_conformance.crossing.program import Instruction, Program
    from igniter_store_conformance.engine.trial import Trial

_GROUPS: Final = ("group", "other")
_OF_A_METHOD: Final = {
    "get": "KV-1",
    "getdel": "KV-10",
    "set": "KV-4",
    "delete": "KV-10",
    "exists": "KV-6",
    "expire": "KV-8",
    "persist": "KV-9",
    "ttl": "KV-9",
    "mget": "KV-11",
    "mset": "KV-15",
    "increment": "CTR-5",
    "set_nx": "CLM-8",
    "compare_delete": "CLM-3",
    "compare_expire": "CLM-4",
    "acquire": "CLM-8",
    "xadd": "STR-1",
    "xlen": "STR-14",
    "xtrim": "STR-14",
    "xdel": "STR-14",
    "xrange": "STR-2",
    "xrevrange": "STR-2",
    "xgroup_create": "STR-4",
    "xgroup_destroy": "STR-13",
    "xreadgroup": "STR-6",
    "xgroups": "STR-19",
    "xack": "STR-9",
    "xpending": "STR-8",
    "xautoclaim": "STR-10",
    "delete_prefix": "SCN-5",
}


class States(Dimension):
    """The operation in every state of its key, and all that is stored afterwards."""

    word = "state"
    title = "every state of the key: what is kept, changed or refused"
    promise = (
        "{operation} does what the contract says in every state of the key (missing, expired, "
        "removed, a value, a number, a claim, a stream; with and without a TTL), and changes "
        "nothing else: not the TTL, the type, the value, the groups, their positions or their "
        "pending entries."
    )
    hint = (
        "look for a write that replaces more than it should, such as the TTL, and for a state that "
        "the operation takes for another one."
    )

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [] if Trait.BLOCKS in operation.traits else [Cell(operation)]

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} is `{operation.method}` where there are entries"

    def clause(self, cell: Cell) -> str:
        return clause_of(cell.operation)

    def program(self, cell: Cell, trial: Trial) -> Program:
        program: Program = []
        for place, (state, before) in enumerate(_states().items()):
            if not trial.time.is_moved and any(isinstance(each, Wait) for each in before):
                continue
            name = f"{place} {state}"
            bindings = {
                **sample(),
                Kind.KEY: name,
                Kind.STREAM: name,
                Kind.OWNER: b"owner",
                Kind.VALUE: b"value",
                Kind.DELTA: 1,
            }
            program += [_named(each, name) for each in before]
            call = bound(cell.operation.call, bindings)
            for _ in range(2):
                program.append(call)
                program += look(name, _GROUPS)
            if KeyValue in trial.capabilities:
                program.append(Call("expire", (name, 1_000.0), {}))
                program += look(name, _GROUPS)
        return program


def clause_of(operation: Operation) -> str:
    """Return the clause that says what an operation does."""
    return _OF_A_METHOD[operation.method]


_NAME: Final = "\0name"


def _call(method: str, *arguments: object, **options: object) -> Call:
    return Call(method, (_NAME, *arguments), options)


def _named(instruction: Instruction, name: str) -> Instruction:
    if not isinstance(instruction, Call):
        return instruction
    first = [name] if instruction.arguments[0] == [_NAME] else name
    return Call(instruction.method, (first, *instruction.arguments[1:]), instruction.options)


def _states() -> dict[str, list[Instruction]]:
    removing = Call("delete", ([_NAME],), {})
    stream: list[Instruction] = [
        *[_call("xadd", {"field": b"%d" % number}) for number in range(4)],
        _call("xgroup_create", "group"),
        _call("xgroup_create", "other", "$"),
        _call("xreadgroup", "group", "consumer", count=2),
        _call("xreadgroup", "group", "first consumer", count=1),
        _call("xack", "group", [Newest(3)]),
    ]
    return {
        "missing": [],
        "value": [_call("set", b"value")],
        "value with a TTL": [_call("set", b"value", ttl=2_000.0)],
        "other value": [_call("set", b"some other value")],
        "empty value": [_call("set", b"")],
        "number": [_call("set", b"41")],
        "number with a TTL": [_call("increment", 41, ttl=2_000.0)],
        "last number": [_call("set", b"9223372036854775807", ttl=2_000.0)],
        "text that is nearly a number": [_call("set", b" 41", ttl=2_000.0)],
        "own claim": [_call("set_nx", b"owner")],
        "own claim with a TTL": [_call("set_nx", b"owner", ttl=2_000.0)],
        "claim of another owner": [_call("set_nx", b"another owner", ttl=2_000.0)],
        "stream": stream,
        "stream with a TTL": [*stream, _call("expire", 2_000.0)],
        "stream without groups": stream[:4],
        "stream without entries": [*stream, _call("xtrim", 0, approximate=False)],
        "stream with removed entries": [*stream, _call("xdel", [Newest(2), Newest(0)])],
        "group without a stream's entry": [_call("xgroup_create", "group")],
        "expired value": [_call("set", b"value", ttl=100.0), Wait(200.0)],
        "expired number": [_call("increment", 41, ttl=100.0), Wait(200.0)],
        "expired claim": [_call("set_nx", b"owner", ttl=100.0), Wait(200.0)],
        "expired stream": [*stream, _call("expire", 100.0), Wait(200.0)],
        "removed value": [_call("set", b"value", ttl=2_000.0), removing],
        "removed number": [_call("increment", 41, ttl=2_000.0), removing],
        "removed stream": [*stream, _call("expire", 2_000.0), removing],
        "value that was a stream": [*stream, _call("set", b"value", ttl=2_000.0)],
        "stream that was a value": [_call("set", b"value", ttl=2_000.0), removing, *stream],
    }
