"""Key-value: clauses KV-1 to KV-5, KV-10, KV-13 and KV-17.

How long keys live is in `expiry`, many keys at once in `batches`, streams under the same keys in
`kinds`, many callers in `contention`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from igniter_store.contract import Claims, Entry, Scan, Streams, escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.samples import LONGEST_NAME, NAMES, PAYLOADS
from igniter_store_conformance.tools.scans import walk

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class KeyValueClauses(Suite):
    """Values under keys."""

    @clause("KV-1")
    async def test_a_missing_key_is_none(self, trial: Trial) -> None:
        """`get` of a key that was never set is `None`, not an error and not empty bytes.

        If this fails, look at what your backend answers for "no such key", and at how that becomes
        `None`.
        """
        assert await trial.adapter.get(trial.key()) is None

    @clause("KV-1")
    async def test_an_empty_value_is_not_a_missing_one(self, trial: Trial) -> None:
        """`get` of a key that holds no bytes is `b""`, and the key exists.

        If this fails, look for a test of truth (`if value:`) where `value is None` is meant.
        """
        key = trial.key()
        await trial.adapter.set(key, b"")

        assert await trial.adapter.get(key) == b""
        assert await trial.adapter.exists(key) is True
        assert await trial.adapter.mget([key]) == [b""]

    @clause("KV-2")
    async def test_every_byte_comes_back(self, trial: Trial) -> None:
        """What `set` was given, `get` returns: bytes, unchanged, whatever they spell.

        If this fails, look for decoding, trimming, escaping or a text column between you and the
        stored bytes.
        """
        for place, payload in enumerate(PAYLOADS):
            key = trial.key(f"payload-{place}")
            assert await trial.adapter.set(key, payload) is True
            value = await trial.adapter.get(key)
            assert value == payload
            assert type(value) is bytes

    @clause("KV-2", limit=120)
    async def test_large_values_come_back(self, trial: Trial) -> None:
        """Values of 64 KiB, one byte more and less, and 8 MiB come back whole.

        If this fails, look for a limit of your backend, or a read that takes what came in one piece
        for everything.
        """
        for length in (65_535, 65_536, 65_537, 8 * 1024 * 1024):
            key = trial.key(f"length-{length}")
            payload = trial.payload(length)
            await trial.adapter.set(key, payload)
            value = await trial.adapter.get(key)
            assert value is not None
            assert len(value) == length
            assert value == payload, (
                "as long as it was, and not the same"
            )  # not the bytes themselves: there are millions

    @clause("KV-2")
    async def test_the_store_holds_the_bytes_and_not_a_cache(self, trial: Trial) -> None:
        """What `set` wrote is in the backend, and what somebody else wrote there is what `get`
        reads.

        If this fails, look for a cache in your adapter, or for bytes that are wrapped before they
        are stored.
        """
        oracle = trial.oracle
        key, payload = trial.key(), trial.payload(100)
        await trial.adapter.set(key, payload)
        assert await oracle.peek(key) == payload
        assert await trial.adapter.get(key) == payload

        await oracle.poke(key, b"from outside")

        assert await trial.adapter.get(key) == b"from outside"

    @clause("KV-3")
    async def test_names_that_nearly_agree_are_different_keys(self, trial: Trial) -> None:
        """Case, spaces, accents, newlines, NUL and glob characters all tell keys apart.

        If this fails, look for a collation that ignores case, normalized unicode, trimmed text, or
        a key that is used as a pattern.
        """
        keys = trial.keys(NAMES)
        for place, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % place)

        for place, key in enumerate(keys):
            assert await trial.adapter.get(key) == b"%d" % place, f"key {NAMES[place]!r}"
        assert await trial.adapter.mget(keys) == [b"%d" % place for place in range(len(keys))]

    @clause("KV-3")
    async def test_removing_a_key_leaves_those_that_nearly_agree(self, trial: Trial) -> None:
        """`delete` takes the key that it names and no other, glob characters in it or not.

        If this fails, look at how the key is compared when it is deleted: as a pattern, a prefix,
        or without regard to case?
        """
        keys = trial.keys(NAMES)
        for place, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % place)

        for place, key in enumerate(keys):
            assert await trial.adapter.delete([key]) == 1, f"key {NAMES[place]!r}"
            left = [
                number
                for number, value in enumerate(await trial.adapter.mget(keys))
                if value is not None
            ]
            assert left == list(range(place + 1, len(keys))), f"after removing {NAMES[place]!r}"

    @clause("KV-3")
    async def test_long_keys_are_not_cut(self, trial: Trial) -> None:
        """Keys of one character more than the prefix, and of 1 KiB, differ by their last character.

        If this fails, look for a column or an index that cuts keys.
        """
        base = "k" * (LONGEST_NAME - len(trial.prefix.encode()) - 1)
        keys = [trial.key(base + last) for last in "ab"] + [trial.key(base)]
        for place, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % place)

        assert [await trial.adapter.get(key) for key in keys] == [b"0", b"1", b"2"]

    @clause("KV-4")
    async def test_a_set_replaces_the_value(self, trial: Trial) -> None:
        """Setting again writes again: longer, shorter, empty, the same.

        If this fails, look for an insert that does nothing when the key is there.
        """
        key = trial.key()
        for value in (b"first", b"the second is longer", b"3", b"", b"", b"last"):
            assert await trial.adapter.set(key, value) is True
            assert await trial.adapter.get(key) == value

    @clause("KV-4")
    async def test_a_plain_set_clears_the_ttl(self, trial: Trial) -> None:
        """A key that had a TTL and is set without one stays for good.

        If this fails, look for the deadline of the old value, kept in a table of its own or by an
        upsert that leaves its column.
        """
        key, time = trial.key(), trial.time
        await trial.adapter.set(key, b"old", ttl=time.ttl)

        await trial.adapter.set(key, b"new")

        assert await trial.adapter.ttl(key) == math.inf
        await time.expires(time.ttl)
        assert await trial.adapter.get(key) == b"new"

    @clause("KV-4")
    async def test_a_set_with_a_ttl_replaces_the_ttl(self, trial: Trial) -> None:
        """The new TTL counts, shorter or longer than the old one.

        If this fails, look for a deadline that is only ever moved in one direction.
        """
        longer, shorter, time = trial.key("longer"), trial.key("shorter"), trial.time
        await trial.adapter.set(longer, b"old", ttl=time.ttl)
        await trial.adapter.set(shorter, b"old", ttl=3_000)

        await trial.adapter.set(longer, b"new", ttl=3_000)
        await trial.adapter.set(shorter, b"new", ttl=time.ttl)
        await time.expires(time.ttl)

        assert await trial.adapter.get(longer) == b"new"
        assert await trial.adapter.get(shorter) is None

    @clause("KV-5")
    async def test_set_if_absent_writes_only_where_nothing_is(self, trial: Trial) -> None:
        """`only_if="absent"` says True and writes, then says False and leaves what is there; after
        a delete it writes again.

        If this fails, look at the condition: Redis's NX, SQL's insert that does nothing on
        conflict, and at what tells you which it was.
        """
        key = trial.key()
        assert await trial.adapter.set(key, b"first", only_if="absent") is True
        assert await trial.adapter.set(key, b"second", only_if="absent") is False
        assert await trial.adapter.get(key) == b"first"

        await trial.adapter.delete([key])

        assert await trial.adapter.set(key, b"third", only_if="absent") is True
        assert await trial.adapter.get(key) == b"third"

    @clause("KV-5")
    async def test_set_if_present_writes_only_where_something_is(self, trial: Trial) -> None:
        """`only_if="present"` says False and creates nothing, then says True and writes.

        If this fails, look at the condition: Redis's XX, SQL's update and its count of rows.
        """
        key = trial.key()
        assert await trial.adapter.set(key, b"first", only_if="present") is False
        assert await trial.adapter.exists(key) is False

        await trial.adapter.set(key, b"there")

        assert await trial.adapter.set(key, b"second", only_if="present") is True
        assert await trial.adapter.get(key) == b"second"
        assert await trial.adapter.set(key, b"", only_if="present", ttl=3_000) is True
        assert await trial.adapter.get(key) == b""
        assert await trial.adapter.set(key, b"third", only_if="absent") is False, (
            "an empty value is one"
        )
        assert await trial.adapter.set(key, b"third", only_if="present") is True

    @clause("KV-5")
    async def test_an_expired_key_is_absent_for_a_conditional_set(self, trial: Trial) -> None:
        """After its TTL a key refuses `only_if="present"` and lets `only_if="absent"` write, each
        as the first to ask for it.

        If this fails, look at whether the condition looks at the deadline, or only at whether a row
        is there.
        """
        one, other, time = trial.key("one"), trial.key("other"), trial.time
        for key in (one, other):
            await trial.adapter.set(key, b"old", ttl=time.ttl)

        await time.expires(time.ttl)

        assert await trial.adapter.set(one, b"new", only_if="present") is False
        assert await trial.adapter.set(other, b"new", only_if="absent") is True
        assert await trial.adapter.mget([one, other]) == [None, b"new"]
        assert await trial.adapter.ttl(other) == math.inf

    @clause("KV-10")
    async def test_delete_counts_the_live_keys_that_it_removed(self, trial: Trial) -> None:
        """`delete` of present and missing keys says how many there were; a second time it says 0;
        no keys are no error.

        If this fails, look for an answer that counts the keys that were asked for.
        """
        keys = trial.keys(["c", "a", "missing", "b"])
        for key in (keys[0], keys[1], keys[3]):
            await trial.adapter.set(key, b"value")

        assert await trial.adapter.delete(keys) == 3
        assert await trial.adapter.delete(keys) == 0
        assert await trial.adapter.delete([]) == 0
        assert await trial.adapter.mget(keys) == [None] * 4

    @clause("KV-10")
    async def test_delete_does_not_count_expired_keys(self, trial: Trial) -> None:
        """A key whose TTL is over was not there to be removed.

        If this fails, look for rows that are still there until a sweep takes them.
        """
        gone, stays, time = trial.key("gone"), trial.key("stays"), trial.time
        await trial.adapter.set(gone, b"value", ttl=time.ttl)
        await trial.adapter.set(stays, b"value")

        await time.expires(time.ttl)

        assert await trial.adapter.delete([gone, stays]) == 1

    @clause("KV-10", Streams)
    async def test_delete_removes_every_kind(self, trial: Trial) -> None:
        """`delete` removes a stream as it does a value, and counts it.

        If this fails, look for tables, one a kind, of which only one is deleted from.
        """
        value, stream = trial.key("value"), trial.key("stream")
        await trial.adapter.set(value, b"value")
        await trial.adapter.xadd(stream, {"field": b"value"})

        assert await trial.adapter.delete([value, stream]) == 2
        assert await trial.adapter.xlen(stream) == 0

    @clause("KV-10")
    async def test_getdel_gives_the_value_once(self, trial: Trial) -> None:
        """`getdel` returns the value and removes it with its TTL; then there is nothing, empty
        values included.

        If this fails, look at whether the delete is part of the same step as the read, and at a
        test of truth for the value.
        """
        key, empty, missing = trial.keys(["key", "empty", "missing"])
        await trial.adapter.set(key, b"value", ttl=3_000)
        await trial.adapter.set(empty, b"")

        assert await trial.adapter.getdel(key) == b"value"
        assert await trial.adapter.getdel(key) is None
        assert await trial.adapter.getdel(empty) == b""
        assert await trial.adapter.exists(empty) is False
        assert await trial.adapter.getdel(missing) is None

    @clause("KV-13")
    async def test_a_value_is_not_shared_with_the_caller(self, trial: Trial) -> None:
        """Bytes that can be changed after they were passed in don't change what is stored.

        If this fails, look for the caller's own object in your data; `bytes(value)` makes one of
        its own.
        """
        key, batched = trial.keys(["key", "batched"])
        value = bytearray(b"before")
        await trial.adapter.set(key, value)  # type: ignore[arg-type]  # a caller without a type checker
        await trial.adapter.mset([Entry(batched, value)])  # type: ignore[arg-type]  # the same

        value[:] = b"after!"

        assert await trial.adapter.get(key) == b"before"
        assert await trial.adapter.mget([batched]) == [b"before"]
        assert type(await trial.adapter.get(key)) is bytes

    @clause("KV-13", Claims)
    async def test_an_owner_is_not_shared_with_the_caller(self, trial: Trial) -> None:
        """An owner's bytes that are changed after a claim was taken with them don't change who
        holds it.

        If this fails, look for the caller's own object in your data.
        """
        for take in (
            trial.adapter.set_nx,
            partial(trial.adapter.acquire, token_key=trial.token_key(trial.key())),
        ):
            key, owner = trial.key(), bytearray(b"before")
            assert await take(key, owner, ttl=3_000)  # type: ignore[arg-type]  # a caller without a type checker

            owner[:] = b"after!"

            assert await trial.adapter.compare_delete(key, b"after!") is False
            assert await trial.adapter.compare_delete(key, b"before") is True

    @clause("KV-13", Scan)
    async def test_a_page_that_was_handed_out_is_the_callers(self, trial: Trial) -> None:
        """Changing the keys of a page changes no later page.

        If this fails, look for a list of keys that is handed out itself.
        """
        keys = trial.keys("ab")
        await trial.adapter.mset([Entry(key, b"value") for key in keys])

        for _ in range(2):
            found = await walk(trial.adapter, escape(trial.prefix) + "*", 1_000)
            assert sorted(found) == keys
            (await trial.adapter.scan(escape(trial.prefix) + "*", count=1_000)).keys.clear()

    @clause("KV-13")
    async def test_a_list_that_was_handed_out_is_the_callers(self, trial: Trial) -> None:
        """Changing the list that `mget` returned changes no later answer.

        If this fails, look for an answer that is cached and handed out again.
        """
        keys = trial.keys("ab")
        await trial.adapter.mset([Entry(key, b"value") for key in keys])

        first = await trial.adapter.mget(keys)
        first.clear()

        assert await trial.adapter.mget(keys) == [b"value", b"value"]

    @clause("KV-17")
    async def test_a_refused_set_changes_nothing(self, trial: Trial) -> None:
        """`only_if` that says False leaves the value and its TTL as they were, whatever TTL the
        call brought.

        If this fails, look for a deadline that is written before the condition is known.
        """
        plain, mortal, missing = trial.keys(["plain", "mortal", "missing"])
        time = trial.time
        await trial.adapter.set(plain, b"old")
        await trial.adapter.set(mortal, b"old", ttl=time.ttl)

        assert await trial.adapter.set(plain, b"new", ttl=time.ttl, only_if="absent") is False
        assert await trial.adapter.set(mortal, b"new", ttl=3_000, only_if="absent") is False
        assert await trial.adapter.set(mortal, b"new", only_if="absent") is False
        assert await trial.adapter.set(missing, b"new", ttl=3_000, only_if="present") is False

        assert await trial.adapter.mget([plain, mortal, missing]) == [b"old", b"old", None]
        assert await trial.adapter.ttl(plain) == math.inf
        assert 0 < (await trial.adapter.ttl(mortal) or 0) <= time.ttl
        assert await trial.adapter.ttl(missing) is None
