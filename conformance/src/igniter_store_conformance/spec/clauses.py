"""The clauses of the contract, as data: the one place where they are written.

Rule: `docs/contract.md` is generated from this module (`igniter-conformance clauses`), and a test
    compares the two.
Rule: a clause is never weakened, and its id is never reused. A new clause carries in `since` the
    version of the contract that introduced it. No suite is judged by clauses newer than the version
    that it pins.
"""

from __future__ import annotations

from typing import Final

from igniter_store.contract import Adapter, Claims, Counters, KeyValue, PubSub, Scan, Streams
from msgspec import Struct

VERSIONS: Final = ("1",)
"""Every version of the contract so far, the newest last."""


class Clause(Struct, frozen=True):
    """One promise.

    Attributes:
        id: the id in tests, reports and changelogs ("KV-4").
        sentence: the promise, in the words of `docs/contract.md`.
        since: the version of the contract that introduced it.
    """

    id: str
    sentence: str
    since: str = "1"


class Section(Struct, frozen=True):
    """The clauses of one concept.

    Attributes:
        title: the heading in `docs/contract.md`.
        capability: the class whose subclasses must keep these clauses; `Adapter` for clauses that
            apply to every adapter.
        clauses: the clauses, in reading order.
    """

    title: str
    capability: type[Adapter]
    clauses: tuple[Clause, ...]


SECTIONS: Final = (
    Section(
        "Lifecycle",
        Adapter,
        (
            Clause("LIF-1", "`open` twice, `close` twice, `close` before `open`: no error."),
            Clause(
                "LIF-2",
                (
                    "An operation after `close` raises `STORE_CLOSED`; it does not reconnect by "
                    "itself."
                ),
            ),
            Clause(
                "LIF-3",
                "`open` against a backend that isn't there raises `STORE_CONNECTION_FAILED` "
                "within the connect timeout, and leaves nothing running.",
            ),
            Clause(
                "LIF-4",
                (
                    "Cancelling any operation leaves the adapter correct: the next operations get "
                    "their own answers."
                ),
            ),
            Clause(
                "LIF-5",
                "`close` ends all tasks, threads, sockets and files of the adapter, and wakes "
                "blocked readers and listeners with `STORE_CLOSED`.",
            ),
            Clause(
                "LIF-6",
                "A client that the user passed in stays open; one that the adapter made is closed.",
            ),
            Clause(
                "LIF-7",
                "Two adapters on one backend see each other's writes at once (memory: two stores "
                "on one adapter, or two adapters of one name).",
            ),
            Clause(
                "LIF-8",
                "An operation before the first `open` opens the adapter, or raises "
                "`STORE_NOT_CONNECTED`. `open` after `close` opens anew, with the same data.",
            ),
            Clause(
                "LIF-9",
                "An adapter has the methods of the capabilities that it inherits, and none of the "
                "others; its `name` is one lower-case word.",
            ),
            Clause(
                "LIF-10",
                "`ping` asks the backend for a sign of life, and returns the seconds that it took.",
            ),
            Clause(
                "LIF-11",
                "In another event loop than the one in which it was opened an adapter works, or "
                "each operation raises `STORE_CONFIGURATION_INVALID`; in its own it goes on.",
            ),
            Clause(
                "LIF-12",
                "Once the event loop in which it was opened is closed, `abandon` makes an adapter "
                "as if it had never been opened: `open` works in another loop, with the same "
                "data. Before that it does nothing.",
            ),
            Clause(
                "LIF-13",
                (
                    "`abandon` releases every thread, socket and file that the closed event loop "
                    "has left."
                ),
            ),
            Clause(
                "LIF-14",
                "In a forked child an operation of an adapter that the parent had opened works "
                "there or raises `STORE_CONFIGURATION_INVALID`, and `close` only forgets; the "
                "parent doesn't notice.",
            ),
            Clause(
                "LIF-15",
                (
                    "A forked child exits by itself, and may open the adapter anew once it has "
                    "closed it."
                ),
            ),
            Clause(
                "LIF-16",
                "`open`, `close` and the `cancel` of a subscription work in another event loop "
                "once the former one is closed; what belonged to that one is over.",
            ),
            Clause(
                "LIF-20",
                "A process with an open adapter may fork. Its workers, each with an adapter of "
                "its own, lose nothing that was acknowledged, whatever the parent does with its "
                "adapter, which goes on; an adapter that can't work in a forked process refuses "
                "to open there with `STORE_CONFIGURATION_INVALID`.",
            ),
            Clause(
                "LIF-21",
                "An adapter keeps the place of its data from the moment that it is made: when the "
                "process changes its working directory afterwards, `open` finds the same data and "
                "leaves nothing in the new directory.",
            ),
            Clause(
                "LIF-22",
                "No error shows a key, a value, an owner, a group or a consumer, and neither does "
                "anything that it was raised from: `__cause__` and `__context__` hold at most the "
                "backend's code word and words that name nothing of the user's.",
            ),
        ),
    ),
    Section(
        "Key-value",
        KeyValue,
        (
            Clause("KV-1", '`get` of a missing key is `None`; of an empty value `b""`.'),
            Clause(
                "KV-2",
                "`set` then `get` gives the same bytes, for every byte value, 0 bytes to 8 MiB.",
            ),
            Clause(
                "KV-3",
                (
                    "Keys are exact: case, unicode (no normalization), spaces, newlines, glob "
                    "characters, 1 character to 1 KiB."
                ),
            ),
            Clause(
                "KV-4", "`set` replaces the value, and clears a TTL unless it brings one. *(Redis)*"
            ),
            Clause(
                "KV-5",
                "`set(if absent)` writes only when there is no live key; `set(if present)` only "
                "when there is one; each says whether it wrote; atomic among concurrent callers.",
            ),
            Clause(
                "KV-6",
                "After its TTL, a key is gone for `get`, `exists`, `mget`, `scan`, `set(if "
                "absent)`, `increment`, `ttl`, `expire`: in the same moment for all.",
            ),
            Clause(
                "KV-7",
                (
                    "TTLs under a second work (0.05 s); a key never lives less than its TTL, nor "
                    "more than TTL + 50 ms."
                ),
            ),
            Clause(
                "KV-8",
                (
                    "`expire` gives a live key a new TTL and says True; False for a missing or "
                    "expired key, which it does not create."
                ),
            ),
            Clause(
                "KV-9",
                "`ttl` is the remaining time, `math.inf` without one, `None` for a missing key. "
                "`persist` removes a TTL and says whether there was one.",
            ),
            Clause(
                "KV-10",
                (
                    "`delete` says how many live keys it removed; missing keys are no error. "
                    "`getdel` reads and removes in one atomic step."
                ),
            ),
            Clause(
                "KV-11",
                "`mget` answers in the order asked, duplicates and missing included; `mset` "
                "writes all its entries with their own TTLs, in one round trip where the backend "
                "can.",
            ),
            Clause("KV-12", "`mget`/`mset` with nothing do nothing; with 10,000 keys they work."),
            Clause(
                "KV-13",
                (
                    "A value is the adapter's own: changing what was passed in or handed out "
                    "changes nothing stored."
                ),
            ),
            Clause(
                "KV-14",
                "Setting over a key of another kind (a stream) replaces it; reading a stream as a "
                "value raises `STORE_OPERATION_FAILED`. *(Redis: SET replaces, GET is WRONGTYPE)*",
            ),
            Clause(
                "KV-15",
                "`mset` is a plain set of each entry: it replaces values, clears old TTLs, and of "
                "two entries for one key the last wins. `delete` counts a key that is named twice "
                "once. *(Redis)*",
            ),
            Clause(
                "KV-16",
                (
                    "A key that was deleted or has expired is new: no TTL, no number and no kind "
                    "of its former life comes back. *(Redis)*"
                ),
            ),
            Clause(
                "KV-17",
                (
                    "A refused write (`only_if`) changes neither value nor TTL, and says False. "
                    "*(Redis)*"
                ),
            ),
        ),
    ),
    Section(
        "Counters",
        Counters,
        (
            Clause(
                "CTR-1",
                (
                    "A missing counter counts from 0; any delta, negative too; the new value is "
                    "returned."
                ),
            ),
            Clause(
                "CTR-2",
                "Concurrent increments are all counted, from many tasks and from many processes.",
            ),
            Clause(
                "CTR-3",
                (
                    "The range is signed 64 bit; leaving it raises `STORE_INCREMENT_FAILED` and "
                    "changes nothing. *(Redis)*"
                ),
            ),
            Clause(
                "CTR-4",
                (
                    "Incrementing a value that is no integer raises `STORE_INCREMENT_FAILED` and "
                    "changes nothing. *(Redis)*"
                ),
            ),
            Clause(
                "CTR-5",
                (
                    "`increment` keeps an existing TTL. *(Redis)* With `ttl=` it sets one only "
                    "where there is none, in the same atomic step."
                ),
            ),
            Clause(
                "CTR-6",
                "A counter's stored form is its decimal text, readable by `get`, and a decimal "
                "text that was set can be incremented. *(Redis)*",
            ),
            Clause(
                "CTR-7",
                (
                    "`ttl` of a counter is what is left of the time that `increment` or `expire` "
                    "gave it; counting on keeps it."
                ),
            ),
        ),
    ),
    Section(
        "Claims",
        Claims,
        (
            Clause(
                "CLM-1",
                (
                    "Of N concurrent `set_nx` on one key exactly one wins: among tasks, "
                    "connections and processes."
                ),
            ),
            Clause(
                "CLM-2", "A claim ends with its TTL; then another wins it. Without TTL it stays."
            ),
            Clause(
                "CLM-3",
                "`compare_delete` removes only for the same owner bytes, atomically; says whether "
                "it did. A late release by a former owner never removes the new owner's claim.",
            ),
            Clause(
                "CLM-4",
                "`compare_expire` renews only for the owner, atomically; says whether it did.",
            ),
            Clause(
                "CLM-5",
                "`acquire` gives a fencing token greater than every token ever given for this "
                "key: after release, expiry, and restart of the client. So that token counters do "
                "not pile up, one that was unused for 30 days may be forgotten; a counter begins "
                "at the backend's clock in milliseconds, so tokens still grow.",
            ),
            Clause(
                "CLM-6",
                (
                    "While one owner's lease is live no other `acquire` succeeds: under "
                    "contention, cancellations and connection loss."
                ),
            ),
            Clause(
                "CLM-7", "When the backend can't be reached, claiming raises; it never says yes."
            ),
            Clause(
                "CLM-8",
                (
                    "A live claim refuses everybody, its own holder too, at once; the refused "
                    "call changes neither owner nor TTL. *(Redis)*"
                ),
            ),
            Clause(
                "CLM-9",
                (
                    "A claim with a TTL that was asked for by a call that was then cancelled is "
                    "either not taken, or ends with its TTL."
                ),
            ),
            Clause(
                "CLM-10",
                "A claim without TTL that the store asked for, for a caller that was then "
                "cancelled, is given back, from another task than the one that asked; a claim "
                "that the same owner held before stays.",
            ),
        ),
    ),
    Section(
        "Publish and subscribe",
        PubSub,
        (
            Clause(
                "PUB-1",
                (
                    "A message published after `subscribe` returned is delivered, once per "
                    "subscription."
                ),
            ),
            Clause("PUB-2", "One publisher's messages on one channel arrive in their order."),
            Clause(
                "PUB-3", "Payloads are exact bytes, up to 1 MiB; channel names as exact as keys."
            ),
            Clause(
                "PUB-4",
                "Several subscriptions on one channel each get each message; cancelling one "
                "leaves the others; the last one ends the backend's subscription.",
            ),
            Clause(
                "PUB-5",
                (
                    "Nothing is delivered after `cancel` returned; cancel twice is fine; cancel "
                    "from inside the callback works."
                ),
            ),
            Clause(
                "PUB-6",
                (
                    "A raising callback is reported and stops nothing; a slow one delays no other "
                    "subscription and no command."
                ),
            ),
            Clause(
                "PUB-7",
                "Pattern: `*` any run, `?` one character, `[ab]`, `[^a]`, `[a-c]`, `\\` escapes; "
                "`[!a]` is no negation. *(Redis globs; Python's fnmatch differs)* The callback is "
                "told the channel.",
            ),
            Clause(
                "PUB-8",
                (
                    "A subscription that matches by channel and another by pattern each get the "
                    "message. *(Redis)*"
                ),
            ),
            Clause("PUB-9", "Subscribers in other processes get the message (shared backends)."),
            Clause(
                "PUB-10",
                "After a lost connection subscriptions are live again by themselves; messages of "
                "the gap are lost; an observer is told of the gap.",
            ),
            Clause(
                "PUB-11",
                (
                    "Publishing with no subscriber is no error. No backlog is kept for later "
                    "subscribers."
                ),
            ),
            Clause(
                "PUB-12",
                (
                    "Subscribing, publishing and cancelling may be started from within a "
                    "callback, and none of it waits for the other."
                ),
            ),
            Clause(
                "PUB-13",
                (
                    "A subscriber that lives is reached, however far the backend's wall clock "
                    "steps ahead or back."
                ),
            ),
        ),
    ),
    Section(
        "Streams",
        Streams,
        (
            Clause(
                "STR-1",
                (
                    "`xadd` returns an id `<ms>-<seq>`; ids of one stream grow strictly, also "
                    "when the clock goes back."
                ),
            ),
            Clause(
                "STR-2",
                "`xrange` gives entries in order between inclusive ends; `-`, `+`, `<ms>` without "
                "seq, and exclusive `(` bounds work; `count` limits; `xrevrange` is the reverse.",
            ),
            Clause(
                "STR-3",
                (
                    "`max_len` exact keeps exactly the newest n; approximate keeps at least n, "
                    "and is bounded. *(Redis)*"
                ),
            ),
            Clause(
                "STR-4",
                "`xgroup_create` creates a missing stream; again for the same group it changes "
                "nothing: not the position, not the pending list.",
            ),
            Clause(
                "STR-5",
                (
                    "A group starts after `start`: `0` all, `$` only what comes, an id what "
                    "follows it."
                ),
            ),
            Clause(
                "STR-6",
                (
                    "Reading new messages gives each message to exactly one consumer of a group; "
                    "different groups each get all."
                ),
            ),
            Clause(
                "STR-7",
                "A blocking read returns as soon as a message comes (≤ 100 ms in other "
                "processes), or after its time with nothing; it blocks no other operation, and is "
                "cancellable.",
            ),
            Clause(
                "STR-8",
                (
                    "Read messages are pending for their consumer until acknowledged, with idle "
                    "time and delivery count."
                ),
            ),
            Clause(
                "STR-9",
                "`xack` says how many were pending; unknown ids, a second ack and a missing group "
                "count 0; ids acked by another consumer of the group work; one malformed id acks "
                "none.",
            ),
            Clause(
                "STR-10",
                "`xautoclaim` moves messages idle for at least `min_idle` to the caller, resets "
                "their idle time, raises the delivery count; younger ones stay.",
            ),
            Clause("STR-11", "Of concurrent claimers each message goes to one."),
            Clause(
                "STR-12",
                "Trimmed or deleted entries that are pending are not handed out as messages; "
                "they leave the pending list when claimed. *(Redis 7)*",
            ),
            Clause(
                "STR-13",
                "Reading in a group that does not exist raises `STORE_STREAM_GROUP_MISSING`; so "
                "does a blocked reader whose group or stream is removed, within a second.",
            ),
            Clause(
                "STR-14",
                (
                    "`xlen`, `xdel`, `xtrim` count what they say. A stream with no entries still "
                    "knows its groups and its last id."
                ),
            ),
            Clause(
                "STR-15", "Payloads are exact bytes, empty to 1 MiB; no count = no limit of ours."
            ),
            Clause(
                "STR-16",
                "Nothing that was acknowledged to the appender is lost when readers crash: every "
                "message is delivered at least once, and after all acks none is pending.",
            ),
            Clause("STR-17", "An entry that other software wrote with other fields is readable."),
            Clause(
                "STR-18",
                "Reading with `history` gives the consumer its own unacknowledged entries again, "
                "in order, others' never; deleted ones are left out. It counts as a delivery and "
                "resets the idle time *(Redis)*; `xpending` and `xrange` do not.",
            ),
            Clause(
                "STR-19",
                (
                    "`xgroups` names every group with its pending count, last delivered id and, "
                    "where the backend knows it, its lag."
                ),
            ),
            Clause(
                "STR-20",
                (
                    "A group read gives entries in order of id, at most `count`; with nothing new "
                    "and without `block` it answers at once."
                ),
            ),
            Clause(
                "STR-21",
                "An entry's fields keep their order. `xadd` keeps the stream's TTL. *(Redis)*",
            ),
            Clause(
                "STR-22",
                "`xgroup_destroy` removes this group and its pending list, leaves the others and "
                "the entries, and says whether it was there.",
            ),
            Clause(
                "STR-23",
                (
                    "A stream command on a key of another kind raises `STORE_OPERATION_FAILED` "
                    "and changes nothing. *(Redis)*"
                ),
            ),
            Clause(
                "STR-24",
                "An entry is given whatever bytes its names and values are, and hides none of its "
                "neighbours: by range, read, history and takeover.",
            ),
            Clause(
                "STR-25",
                (
                    "`xpending` lists every pending entry, however many there are, and `count` of "
                    "those that the filters leave."
                ),
            ),
        ),
    ),
    Section(
        "Scan",
        Scan,
        (
            Clause(
                "SCN-1",
                'Following cursors until `"0"` gives every key that was there all along, at least '
                "once; the store removes duplicates within a page.",
            ),
            Clause("SCN-2", "Patterns are as in PUB-7; the rest of the pattern is literal."),
            Clause(
                "SCN-3", "`count` is a hint; small counts and empty pages with a cursor are legal."
            ),
            Clause("SCN-4", "A wrong cursor raises `STORE_SCAN_FAILED`."),
            Clause(
                "SCN-5",
                "`delete_prefix(prefix)` removes every key beginning with exactly that prefix, of "
                "every kind, and no other: not with glob characters in it, not a longer neighbour.",
            ),
            Clause(
                "SCN-6",
                (
                    "Scanning a million keys holds no million keys in the client, and blocks no "
                    "other caller for long."
                ),
            ),
            Clause(
                "SCN-7",
                (
                    "A scan ends, whatever is added or deleted meanwhile, and never gives a key "
                    "that was not there."
                ),
            ),
            Clause(
                "SCN-8",
                "A key, group or consumer whose bytes aren't UTF-8 is given with a lone surrogate "
                "for each such byte, as `surrogateescape` has it, and every method takes it in "
                "that form.",
            ),
            Clause("SCN-9", "Patterns and prefixes match bytes, those that aren't UTF-8 as well."),
        ),
    ),
    Section(
        "Concurrency, faults (harness with control over the server)",
        Adapter,
        (
            Clause(
                "FLT-1",
                "A connection cut before, during and after a command: the caller gets its own "
                "answer or `STORE_CONNECTION_FAILED`; never another caller's answer, never a hang.",
            ),
            Clause(
                "FLT-2",
                (
                    "Reads are retried once the backend is back; writes that may have been "
                    "applied are not, and say `maybe_applied`."
                ),
            ),
            Clause(
                "FLT-3",
                (
                    "After kill and restart of the server the adapter works again without help, "
                    "subscriptions and blocked readers included."
                ),
            ),
            Clause(
                "FLT-4",
                (
                    "A command that outlasts its timeout raises `STORE_TIMEOUT`; later commands "
                    "get the right answers."
                ),
            ),
            Clause(
                "FLT-5",
                (
                    "A thousand concurrent callers, with random cancellations: every one that is "
                    "not cancelled gets the right answer."
                ),
            ),
            Clause(
                "FLT-6",
                "The server's errors (OOM, READONLY, NOAUTH, MOVED, LOADING, BUSY) become "
                "`StoreError`s with the right code and `retryable`.",
            ),
            Clause(
                "FLT-10",
                "An answer that has arrived is never reported as a timeout, even if the event "
                "loop was blocked for longer than the timeout.",
            ),
            Clause(
                "FLT-12",
                "A connection that passes nothing any more, and isn't closed, is noticed and "
                "replaced: commands, blocked readers and `subscribe` fail at most once for each "
                "such connection, and subscriptions are live again (PUB-10).",
            ),
            Clause(
                "FLT-13",
                (
                    "An error is in no reference cycle: it is freed, with all that its call held, "
                    "as soon as its caller lets go of it."
                ),
            ),
        ),
    ),
    Section(
        "Model",
        Adapter,
        (
            Clause(
                "MDL-1",
                "Any sequence of operations with any arguments gives the same answers as the "
                "reference model (hypothesis state machine), in single and interleaved use.",
            ),
        ),
    ),
)

CLAUSES: Final = {clause.id: clause for section in SECTIONS for clause in section.clauses}
"""Every clause by its id, in the order of the contract."""

CAPABILITY_OF: Final = {
    clause.id: section.capability for section in SECTIONS for clause in section.clauses
}
"""By clause id: the class whose subclasses must keep the clause."""

_PREAMBLE: Final = """\
# The adapter contract, version {version}

<!-- Made from conformance/src/igniter_store_conformance/spec/clauses.py by `igniter-conformance \
clauses`; change it there. -->

What every backend promises, clause by clause. Signatures, units, atomicity and errors stand on \
the abstract classes in
`core/src/igniter_store/contract/`; the clauses here are what tests and reports name. The \
conformance kit holds every adapter to each of
them by at least one test, and proves the test with an adapter that breaks the clause. *(Redis)* \
means: this is what Redis 7 and 8 and
Valkey do, and it decides where a clause is silent.
"""


def is_newer(version: str, pinned: str) -> bool:
    """Return True when `version` of the contract came after `pinned`."""
    return _numbers(version) > _numbers(pinned)


def markdown() -> str:
    """Return the text of `docs/contract.md`."""
    lines = [_PREAMBLE.format(version=VERSIONS[-1])]
    for section in SECTIONS:
        lines.append(f"## {section.title}")
        lines += [
            f"- {clause.id} {clause.sentence}"
            + ("" if clause.since == "1" else f" *(since {clause.since})*")
            for clause in section.clauses
        ]
        lines.append("")
    return "\n".join(lines)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
