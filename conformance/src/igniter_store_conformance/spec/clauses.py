"""The clauses of the contract, as data. This is the only place where they are written.

Rule: `igniter-conformance clauses` generates `docs/contract.md` from this module, and a test
    compares the two.
Rule: a clause is never weakened, and its id is never reused. The attribute `since` of a new clause
    is the version of the contract that introduced it. Clauses that are newer than the version that
    a suite pins don't affect the verdict of that suite.
"""

from __future__ import annotations

import textwrap
from typing import Final

from igniter_store.contract import Adapter, Claims, Counters, KeyValue, PubSub, Scan, Streams
from msgspec import Struct

VERSIONS: Final = ("1",)
"""All versions of the contract, oldest first."""

_WIDTH: Final = 100


class Clause(Struct, frozen=True):
    """One clause of the contract.

    Attributes:
        id: the id in tests, reports and changelogs ("KV-4").
        sentence: the text of the clause in `docs/contract.md`.
        since: the version of the contract that introduced it.
    """

    id: str
    sentence: str
    since: str = "1"


class Section(Struct, frozen=True):
    """The clauses about one concept.

    Attributes:
        title: the heading in `docs/contract.md`.
        capability: the class whose subclasses must satisfy these clauses. Clauses of `Adapter`
            apply to every adapter.
        clauses: the clauses, in the order of the document.
    """

    title: str
    capability: type[Adapter]
    clauses: tuple[Clause, ...]


SECTIONS: Final = (
    Section(
        "Lifecycle",
        Adapter,
        (
            Clause(
                "LIF-1",
                ("A second `open`, a second `close` and a `close` before `open` raise no error."),
            ),
            Clause(
                "LIF-2",
                (
                    "After `close`, every operation raises `STORE_CLOSED`. The adapter doesn't "
                    "reconnect by itself."
                ),
            ),
            Clause(
                "LIF-3",
                (
                    "If the backend is unreachable, `open` raises `STORE_CONNECTION_FAILED` "
                    "within the connect timeout, and leaves nothing running."
                ),
            ),
            Clause(
                "LIF-4",
                (
                    "Cancelling an operation leaves the adapter in a correct state: every later "
                    "operation gets its own reply."
                ),
            ),
            Clause(
                "LIF-5",
                (
                    "`close` ends all tasks and threads of the adapter, and closes all its "
                    "sockets and files. It wakes blocked readers and listeners, which raise "
                    "`STORE_CLOSED`. If its tasks are cancelled meanwhile, another `close` "
                    "finishes it."
                ),
            ),
            Clause(
                "LIF-6",
                (
                    "`close` closes a client that the adapter created. It doesn't close a client "
                    "that the user passed in."
                ),
            ),
            Clause(
                "LIF-7",
                (
                    "Two adapters on one backend see each other's writes immediately. For the "
                    "memory backend, this applies to two stores on one adapter, and to two "
                    "adapters with the same name."
                ),
            ),
            Clause(
                "LIF-8",
                (
                    "An operation before the first `open` either opens the adapter or raises "
                    "`STORE_NOT_CONNECTED`. After `close`, `open` opens the adapter again, with "
                    "the same data."
                ),
            ),
            Clause(
                "LIF-9",
                (
                    "An adapter has the methods of the capabilities that it inherits, and no "
                    "method of any other capability. Its `name` is one lower-case word."
                ),
            ),
            Clause(
                "LIF-10",
                (
                    "`ping` checks that the backend responds, and returns the elapsed time in "
                    "seconds."
                ),
            ),
            Clause(
                "LIF-11",
                (
                    "In an event loop other than the one that opened the adapter, each operation "
                    "either works or raises `STORE_CONFIGURATION_INVALID`. In the loop that "
                    "opened it, the adapter continues to work."
                ),
            ),
            Clause(
                "LIF-12",
                (
                    "When the event loop that opened an adapter is closed, `abandon` resets the "
                    "adapter to its state before the first `open`. The adapter can then be opened "
                    "in another loop, with the same data. While the loop isn't closed, `abandon` "
                    "does nothing."
                ),
            ),
            Clause(
                "LIF-13",
                (
                    "`abandon` releases every thread, socket and file that the closed event loop "
                    "left behind."
                ),
            ),
            Clause(
                "LIF-14",
                (
                    "In a forked child, an operation of an adapter that the parent opened either "
                    "works or raises `STORE_CONFIGURATION_INVALID`. In the child, `close` only "
                    "drops the inherited state. Neither call affects the parent."
                ),
            ),
            Clause(
                "LIF-15",
                (
                    "A forked child exits by itself. After the child has closed the adapter, it "
                    "may open the adapter again."
                ),
            ),
            Clause(
                "LIF-16",
                (
                    "After the event loop of an adapter is closed, `open`, `close` and the "
                    "`cancel` of a subscription work in another event loop. Everything that "
                    "belonged to the closed loop has ended. This also holds if the loop ended "
                    "during an `open` or a `close`."
                ),
            ),
            Clause(
                "LIF-20",
                (
                    "A process with an open adapter may fork. Its workers, each with its own "
                    "adapter, lose no acknowledged write, regardless of how the parent uses or "
                    "closes its adapter. The parent's adapter continues to work. If an adapter "
                    "can't work in a forked process, its `open` raises "
                    "`STORE_CONFIGURATION_INVALID` there."
                ),
            ),
            Clause(
                "LIF-21",
                (
                    "An adapter determines the location of its data when it is created. If the "
                    "process changes its working directory afterwards, `open` finds the same data "
                    "and leaves nothing in the new directory."
                ),
            ),
            Clause(
                "LIF-22",
                (
                    "An error contains no key, value, owner, group or consumer, and neither does "
                    "any exception that it was raised from. `__cause__` and `__context__` contain "
                    "at most the error prefix of the backend, and words that identify no user "
                    "data."
                ),
            ),
        ),
    ),
    Section(
        "Key-value",
        KeyValue,
        (
            Clause(
                "KV-1",
                ('`get` of a missing key returns `None`. `get` of an empty value returns `b""`.'),
            ),
            Clause(
                "KV-2",
                (
                    "`get` returns exactly the bytes that `set` stored, for every byte value, and "
                    "for lengths from 0 bytes to 8 MiB."
                ),
            ),
            Clause(
                "KV-3",
                (
                    "The adapter compares keys exactly and doesn't normalize them. Case, Unicode "
                    "form, spaces, newlines and glob characters are significant. The adapter "
                    "supports keys from 1 character to 1 KiB."
                ),
            ),
            Clause(
                "KV-4",
                (
                    "`set` replaces the value. It also removes an existing TTL, or replaces it if "
                    "the call passes a TTL. *(Redis)*"
                ),
            ),
            Clause(
                "KV-5",
                (
                    '`set` with `only_if="absent"` writes only if the key isn\'t live, and `set` '
                    'with `only_if="present"` only if it is. Each call returns whether it wrote. '
                    "The check and the write are one atomic step among concurrent callers."
                ),
            ),
            Clause(
                "KV-6",
                (
                    "After its TTL has expired, a key is missing for `get`, `exists`, `mget`, "
                    '`scan`, `set` with `only_if="absent"`, `increment`, `ttl` and `expire`, and '
                    "for all of them from the same moment."
                ),
            ),
            Clause(
                "KV-7",
                (
                    "TTLs of less than a second work (0.05 s). A key never lives shorter than its "
                    "TTL, and never more than 50 ms longer."
                ),
            ),
            Clause(
                "KV-8",
                (
                    "`expire` sets a new TTL on a live key and returns True. For a missing or "
                    "expired key it returns False, and doesn't create the key."
                ),
            ),
            Clause(
                "KV-9",
                (
                    "`ttl` returns the remaining time of a key, `math.inf` if the key has no TTL, "
                    "and `None` if the key is missing. `persist` removes a TTL and returns "
                    "whether the key had one."
                ),
            ),
            Clause(
                "KV-10",
                (
                    "`delete` returns the number of live keys that it removed. A missing key "
                    "isn't an error. `getdel` reads and removes a key in one atomic step."
                ),
            ),
            Clause(
                "KV-11",
                (
                    "`mget` returns its results in the order of the requested keys, including "
                    "duplicate and missing keys. `mset` writes all its entries, each with its own "
                    "TTL, in one round trip if the backend supports it."
                ),
            ),
            Clause(
                "KV-12",
                "`mget` and `mset` do nothing for an empty list, and work with 10,000 keys.",
            ),
            Clause(
                "KV-13",
                (
                    "The adapter owns its values. If the caller changes an argument or a result, "
                    "the stored data doesn't change."
                ),
            ),
            Clause(
                "KV-14",
                (
                    "Setting a value replaces a key of another type (a stream). Reading a stream "
                    "as a value raises `STORE_OPERATION_FAILED`. *(Redis: SET replaces, GET "
                    "returns WRONGTYPE)*"
                ),
            ),
            Clause(
                "KV-15",
                (
                    "`mset` sets each entry as a plain `set` does: it replaces the value and "
                    "removes an existing TTL. If two entries have the same key, the last one "
                    "wins. If a call of `delete` names a key twice, the key counts once. "
                    "*(Redis)*"
                ),
            ),
            Clause(
                "KV-16",
                (
                    "A key that is written after it was deleted or has expired is new. It "
                    "inherits neither the TTL nor the number nor the type of the former key. "
                    "*(Redis)*"
                ),
            ),
            Clause(
                "KV-17",
                (
                    "A `set` that `only_if` rejects changes neither the value nor the TTL, and "
                    "returns False. *(Redis)*"
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
                    "`increment` starts a missing counter at 0, accepts any delta, including a "
                    "negative one, and returns the new value."
                ),
            ),
            Clause(
                "CTR-2",
                (
                    "The adapter counts all concurrent increments, from many tasks and from many "
                    "processes."
                ),
            ),
            Clause(
                "CTR-3",
                (
                    "A counter has the range of a signed 64-bit integer. An increment that would "
                    "leave the range raises `STORE_INCREMENT_FAILED` and changes nothing. "
                    "*(Redis)*"
                ),
            ),
            Clause(
                "CTR-4",
                (
                    "An increment of a value that isn't an integer raises "
                    "`STORE_INCREMENT_FAILED` and changes nothing. *(Redis)*"
                ),
            ),
            Clause(
                "CTR-5",
                (
                    "`increment` keeps an existing TTL. *(Redis)* With `ttl=`, it sets a TTL in "
                    "the same atomic step, but only if the counter has none."
                ),
            ),
            Clause(
                "CTR-6",
                (
                    "A counter is stored as its decimal text, which `get` returns. A decimal text "
                    "that was set as a value can be incremented. *(Redis)*"
                ),
            ),
            Clause(
                "CTR-7",
                (
                    "`ttl` of a counter returns the remaining time of the TTL that `increment` or "
                    "`expire` set. Later increments keep this TTL."
                ),
            ),
            Clause(
                "CTR-8",
                "Counters are compared by name as exactly as keys (KV-3).",
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
                    "If N callers call `set_nx` for one key concurrently, exactly one of them "
                    "gets the claim. The callers may be tasks, connections or processes."
                ),
            ),
            Clause(
                "CLM-2",
                (
                    "A claim ends when its TTL expires, and another owner can then get it. A "
                    "claim without a TTL stays."
                ),
            ),
            Clause(
                "CLM-3",
                (
                    "`compare_delete` removes a claim only if the owner bytes are the same. It "
                    "compares and removes in one atomic step, and returns whether it removed the "
                    "claim. A late release by a former owner never removes the claim of the new "
                    "owner."
                ),
            ),
            Clause(
                "CLM-4",
                (
                    "`compare_expire` renews a claim only for its owner, in one atomic step, and "
                    "returns whether it renewed the claim."
                ),
            ),
            Clause(
                "CLM-5",
                (
                    "`acquire` returns a fencing token that is greater than every token that was "
                    "ever issued for the key, even after a release, an expiry or a restart of the "
                    "client. To keep token counters from accumulating, a counter that was unused "
                    "for 30 days may be deleted. A new counter starts at the backend's clock in "
                    "milliseconds, so tokens still increase."
                ),
            ),
            Clause(
                "CLM-6",
                (
                    "While the lease of one owner is live, no other `acquire` succeeds. Lock "
                    "contention, cancellation and connection loss don't change this."
                ),
            ),
            Clause(
                "CLM-7",
                (
                    "If the backend is unreachable, a call that requests a claim raises an error. "
                    "It never reports success."
                ),
            ),
            Clause(
                "CLM-8",
                (
                    "A live claim immediately rejects every other attempt to claim the key, even "
                    "one by its own holder. The rejected call changes neither the owner nor the "
                    "TTL. *(Redis)*"
                ),
            ),
            Clause(
                "CLM-9",
                (
                    "If a call that requests a claim with a TTL is cancelled, the claim is either "
                    "not taken or ends when its TTL expires."
                ),
            ),
            Clause(
                "CLM-10",
                (
                    "If the store requests a claim without a TTL for a caller that is then "
                    "cancelled, it releases the claim in another task than the one that requested "
                    "it. A claim that the same owner held before stays."
                ),
            ),
            Clause(
                "CLM-11",
                ("Claims and token counters are compared by name as exactly as keys (KV-3)."),
            ),
            Clause(
                "CLM-12",
                (
                    "An owner is any bytes, from 0 bytes to 1 MiB. Owners are the same only if all "
                    "their bytes are."
                ),
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
                    "After `subscribe` has returned, the subscription receives each newly "
                    "published message that it matches, exactly once."
                ),
            ),
            Clause(
                "PUB-2",
                (
                    "Messages of one publisher on one channel arrive in the order in which they "
                    "were published."
                ),
            ),
            Clause(
                "PUB-3",
                (
                    "The adapter delivers payloads as exact bytes, up to 1 MiB. It compares "
                    "channel names as exactly as keys (KV-3)."
                ),
            ),
            Clause(
                "PUB-4",
                (
                    "If a channel has several subscriptions, each of them receives each message. "
                    "Cancelling one of them doesn't affect the others. Cancelling the last one "
                    "ends the subscription at the backend."
                ),
            ),
            Clause(
                "PUB-5",
                (
                    "After `cancel` has returned, the subscription receives no more messages. A "
                    "second `cancel` isn't an error. `cancel` also works from within the "
                    "callback."
                ),
            ),
            Clause(
                "PUB-6",
                (
                    "If a callback raises, the adapter reports the error. All subscriptions "
                    "continue, including this one. A slow callback delays no other subscription "
                    "and no command."
                ),
            ),
            Clause(
                "PUB-7",
                (
                    "In a pattern, `*` matches any run of characters, `?` matches one character, "
                    "`[ab]`, `[^a]` and `[a-c]` match one character of a set, and `\\` escapes a "
                    "character. `[!a]` isn't a negation. *(Redis globs; Python's fnmatch "
                    "differs)* The callback receives the name of the channel."
                ),
            ),
            Clause(
                "PUB-8",
                (
                    "If one subscription matches a message by channel and another one by pattern, "
                    "each of them receives the message. *(Redis)*"
                ),
            ),
            Clause(
                "PUB-9",
                (
                    "Subscribers in other processes receive the message, if the backend is shared "
                    "between processes."
                ),
            ),
            Clause(
                "PUB-10",
                (
                    "After a lost connection, subscriptions become live again without "
                    "intervention. Messages that were published during the gap are lost. The "
                    "adapter reports the gap to an observer (`on_gap`)."
                ),
            ),
            Clause(
                "PUB-11",
                (
                    "Publishing without a subscriber isn't an error. The backend keeps no backlog "
                    "for later subscribers."
                ),
            ),
            Clause(
                "PUB-12",
                (
                    "A callback may start calls that subscribe, publish and cancel. None of these "
                    "calls waits for another."
                ),
            ),
            Clause(
                "PUB-13",
                (
                    "Messages reach every live subscriber, regardless of how far the backend's "
                    "wall clock steps forward or back."
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
                    "`xadd` returns an id of the form `<ms>-<seq>`. The ids of one stream "
                    "strictly increase, even if the clock goes back."
                ),
            ),
            Clause(
                "STR-2",
                (
                    "`xrange` returns the entries between two inclusive bounds, in order. A bound "
                    "may also be `-`, `+`, a `<ms>` without a sequence number, or exclusive with "
                    "a leading `(`. `count` limits the number of entries. `xrevrange` returns the "
                    "entries in reverse order."
                ),
            ),
            Clause(
                "STR-3",
                (
                    "An exact `max_len` of n keeps exactly the newest n entries. An approximate "
                    "`max_len` of n keeps at least n entries, and limits the length of the "
                    "stream. *(Redis)*"
                ),
            ),
            Clause(
                "STR-4",
                (
                    "`xgroup_create` creates the stream if it is missing. If the group already "
                    "exists, the call changes nothing, neither the position nor the pending list."
                ),
            ),
            Clause(
                "STR-5",
                (
                    "A group reads the entries after `start`: `0` means all entries, `$` means "
                    "only entries that are added later, and an id means the entries that follow "
                    "it."
                ),
            ),
            Clause(
                "STR-6",
                (
                    "A read of new entries delivers each entry to exactly one consumer of a "
                    "group. Each group gets all entries."
                ),
            ),
            Clause(
                "STR-7",
                (
                    "A blocking read returns as soon as an entry arrives, within 100 ms if the "
                    "reader is in another process. If its time expires, it returns an empty list. "
                    "It blocks no other operation, and it can be cancelled."
                ),
            ),
            Clause(
                "STR-8",
                (
                    "An entry that was read is pending for its consumer until it is acknowledged. "
                    "A pending entry has an idle time and a delivery count."
                ),
            ),
            Clause(
                "STR-9",
                (
                    "`xack` returns the number of entries that were pending. Unknown ids, ids "
                    "that were already acknowledged, and a missing group count as 0. `xack` also "
                    "acknowledges entries that another consumer of the group read. If one id is "
                    "malformed, `xack` acknowledges no entry."
                ),
            ),
            Clause(
                "STR-10",
                (
                    "`xautoclaim` moves pending entries that have been idle for at least "
                    "`min_idle` to the caller, resets their idle time and increments their "
                    "delivery count. Entries with a shorter idle time stay with their consumer."
                ),
            ),
            Clause(
                "STR-11",
                ("If several callers claim entries concurrently, each entry goes to one of them."),
            ),
            Clause(
                "STR-12",
                (
                    "The adapter never delivers a pending entry that was trimmed or deleted. A "
                    "claim removes such an entry from the pending list. *(Redis 7)*"
                ),
            ),
            Clause(
                "STR-13",
                (
                    "A read in a group that doesn't exist raises `STORE_STREAM_GROUP_MISSING`. If "
                    "the group or the stream is removed during a blocking read, the read raises "
                    "the same error within a second."
                ),
            ),
            Clause(
                "STR-14",
                (
                    "`xlen` returns the number of entries. `xdel` and `xtrim` return the number "
                    "of entries that they removed. A stream without entries keeps its groups and "
                    "its last id."
                ),
            ),
            Clause(
                "STR-15",
                (
                    "The adapter returns payloads as exact bytes, from empty to 1 MiB. Without "
                    "`count`, it adds no limit of its own."
                ),
            ),
            Clause(
                "STR-16",
                (
                    "If readers crash, the adapter loses no entry whose append was acknowledged. "
                    "Every entry is delivered at least once. After all entries are acknowledged, "
                    "none is pending."
                ),
            ),
            Clause(
                "STR-17",
                "The adapter can read an entry that other software wrote with other fields.",
            ),
            Clause(
                "STR-18",
                (
                    "A read with `history` returns the consumer's own unacknowledged entries "
                    "again, in order. It never returns entries of other consumers, and it omits "
                    "deleted entries. It counts as a delivery and resets the idle time *(Redis)*. "
                    "`xpending` and `xrange` do neither."
                ),
            ),
            Clause(
                "STR-19",
                (
                    "`xgroups` returns every group with its pending count, its last delivered id "
                    "and, if the backend can determine it, its lag."
                ),
            ),
            Clause(
                "STR-20",
                (
                    "A group read returns at most `count` entries, in the order of their ids. "
                    "Without new entries and without `block`, it returns immediately."
                ),
            ),
            Clause(
                "STR-21",
                (
                    "The fields of an entry keep their order. `xadd` keeps the TTL of the stream. "
                    "*(Redis)*"
                ),
            ),
            Clause(
                "STR-22",
                (
                    "`xgroup_destroy` removes the group and its pending list, and returns whether "
                    "the group existed. It keeps the other groups and the entries."
                ),
            ),
            Clause(
                "STR-23",
                (
                    "A stream command on a key of another type raises `STORE_OPERATION_FAILED` "
                    "and changes nothing. *(Redis)*"
                ),
            ),
            Clause(
                "STR-24",
                (
                    "The adapter returns an entry with any bytes in its names and values, and the "
                    "entry doesn't hide its neighbours. This applies to ranges, reads, history "
                    "reads and claims."
                ),
            ),
            Clause(
                "STR-25",
                (
                    "`xpending` returns every pending entry, regardless of how many there are. "
                    "`count` limits the entries that remain after the filters are applied."
                ),
            ),
            Clause(
                "STR-26",
                (
                    "Streams, groups, consumers and fields are compared by name as exactly as keys "
                    "(KV-3). The names of groups, consumers and fields also have up to 1 KiB."
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
                (
                    'A scan that follows the cursors until `"0"` returns every key that existed '
                    "throughout the scan, at least once. The store removes duplicates within a "
                    "page."
                ),
            ),
            Clause("SCN-2", "Patterns have the syntax of PUB-7. The rest of a pattern is literal."),
            Clause(
                "SCN-3",
                "`count` is a hint. Small counts, and empty pages with a cursor, are valid.",
            ),
            Clause("SCN-4", "An invalid cursor raises `STORE_SCAN_FAILED`."),
            Clause(
                "SCN-5",
                (
                    "`delete_prefix(prefix)` removes every key that begins with exactly this "
                    "prefix, regardless of the key's type. It removes no other key: glob "
                    "characters in the prefix are literal, and a similar key with a longer name "
                    "stays (`org:10:a` for the prefix `org:1:`)."
                ),
            ),
            Clause(
                "SCN-6",
                (
                    "A scan of a million keys never holds a million keys in the client, and "
                    "doesn't block other callers for long."
                ),
            ),
            Clause(
                "SCN-7",
                (
                    "A scan ends, regardless of keys that are added or deleted meanwhile. It "
                    "never returns a key that didn't exist."
                ),
            ),
            Clause(
                "SCN-8",
                (
                    "If the bytes of a key, group or consumer aren't UTF-8, the adapter returns "
                    "the name with a lone surrogate for each such byte, as `surrogateescape` "
                    "does. Every method accepts the name in this form."
                ),
            ),
            Clause(
                "SCN-9",
                "Patterns and prefixes match bytes, including bytes that aren't UTF-8.",
            ),
        ),
    ),
    Section(
        "Concurrency and faults (the harness controls the server)",
        Adapter,
        (
            Clause(
                "FLT-1",
                (
                    "If a connection is cut before, during or after a command, the caller gets "
                    "its own reply or `STORE_CONNECTION_FAILED`. It never gets the reply of "
                    "another caller, and it never hangs."
                ),
            ),
            Clause(
                "FLT-2",
                (
                    "The adapter retries reads when the backend is reachable again. It doesn't "
                    "retry writes that may have been applied: these raise an error with "
                    "`maybe_applied`."
                ),
            ),
            Clause(
                "FLT-3",
                (
                    "After the server was killed and restarted, the adapter works again without "
                    "intervention, including its subscriptions and blocked readers."
                ),
            ),
            Clause(
                "FLT-4",
                (
                    "A command that exceeds its timeout raises `STORE_TIMEOUT`. Later commands "
                    "get the right replies."
                ),
            ),
            Clause(
                "FLT-5",
                (
                    "If a thousand callers run concurrently and some of them are cancelled at "
                    "random, every caller that isn't cancelled gets the right reply."
                ),
            ),
            Clause(
                "FLT-6",
                (
                    "The adapter converts errors of the server (OOM, READONLY, NOAUTH, MOVED, "
                    "LOADING, BUSY) to `StoreError`s with the right code and the right "
                    "`retryable`."
                ),
            ),
            Clause(
                "FLT-10",
                (
                    "The adapter never reports a timeout for a reply that has arrived, even if "
                    "the event loop was blocked for longer than the timeout."
                ),
            ),
            Clause(
                "FLT-12",
                (
                    "The adapter detects and replaces a half-open connection: one that passes no "
                    "data any more, but isn't closed. Commands, blocked readers and `subscribe` "
                    "fail at most once for each such connection. Subscriptions become live again "
                    "(PUB-10)."
                ),
            ),
            Clause(
                "FLT-13",
                (
                    "An error isn't part of a reference cycle. It is freed, with everything that "
                    "its call held, as soon as its caller drops it."
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
                (
                    "Any sequence of operations with any arguments returns the same results as "
                    "the reference model (a hypothesis state machine), for a single caller and "
                    "for interleaved callers."
                ),
            ),
        ),
    ),
)

CLAUSES: Final = {clause.id: clause for section in SECTIONS for clause in section.clauses}
"""All clauses by id, in the order of the contract."""

CAPABILITY_OF: Final = {
    clause.id: section.capability for section in SECTIONS for clause in section.clauses
}
"""By clause id: the class whose subclasses must satisfy the clause."""

_PREAMBLE: Final = """\
# The adapter contract, version {version}

<!-- `igniter-conformance clauses` generates this file. To change a clause, edit
conformance/src/igniter_store_conformance/spec/clauses.py. -->

This document lists the guarantees that every backend must provide. The abstract classes in
`core/src/igniter_store/contract/` specify signatures, units, atomicity and errors. Tests and
reports refer to the clauses by their ids. The conformance kit checks every adapter against each
clause with at least one test, and verifies the test with an adapter that violates the clause.

*(Redis)* marks the behaviour of Redis 7, Redis 8 and Valkey. Where a clause is silent, this
behaviour decides.
"""


def is_newer(version: str, pinned: str) -> bool:
    """Return True if `version` of the contract is newer than `pinned`."""
    return _numbers(version) > _numbers(pinned)


def markdown() -> str:
    """Return the text of `docs/contract.md`."""
    lines = [_PREAMBLE.format(version=VERSIONS[-1])]
    for section in SECTIONS:
        lines.append(f"## {section.title}")
        lines += [_item(clause) for clause in section.clauses]
        lines.append("")
    return "\n".join(lines)


def _item(clause: Clause) -> str:
    since = "" if clause.since == "1" else f" *(since {clause.since})*"
    return textwrap.fill(
        f"- {clause.id} {clause.sentence}{since}",
        width=_WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
