"""Values: clauses KV-1 to KV-5, KV-10, KV-13 and KV-17.

TTLs are tested in `expiry`, calls with many keys in `batches`, streams under the same keys in
`kinds`, and concurrent callers in `concurrency.keys`.
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
        """`get` of a key that was never set returns `None`.

        It neither raises an error nor returns empty bytes.

        If this fails, check the reply of your backend for "no such key", and the code that converts
        it to `None`.
        """
        assert await trial.adapter.get(trial.key()) is None

    @clause("KV-1")
    async def test_an_empty_value_is_not_a_missing_one(self, trial: Trial) -> None:
        """`get` of a key with an empty value returns `b""`, and the key exists.

        If this fails, look for a truth test (`if value:`) where `value is None` is meant.
        """
        key = trial.key()
        await trial.adapter.set(key, b"")

        assert await trial.adapter.get(key) == b""
        assert await trial.adapter.exists(key) is True
        assert await trial.adapter.mget([key]) == [b""]

    @clause("KV-2")
    async def test_every_byte_comes_back(self, trial: Trial) -> None:
        """`get` returns exactly the bytes that `set` stored, for any bytes.

        If this fails, look for decoding, trimming, escaping or a text column on the way to the
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
        """Values of 64 KiB, one byte more and less, and 8 MiB are returned complete.

        If this fails, look for a size limit of your backend, or for code that treats the first
        chunk of a reply as the whole reply.
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
            )  # doesn't show the bytes: there are millions

    @clause("KV-2")
    async def test_the_store_holds_the_bytes_without_a_cache(self, trial: Trial) -> None:
        """`set` writes to the backend, and `get` returns a value that another program wrote there.

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
        """Keys that differ only slightly are different keys.

        The names differ in case, spaces, accents, newlines, NUL or glob characters.

        If this fails, look for a case-insensitive collation, normalized Unicode, trimmed text, or a
        key that is used as a pattern.
        """
        keys = trial.keys(NAMES)
        for place, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % place)

        for place, key in enumerate(keys):
            assert await trial.adapter.get(key) == b"%d" % place, f"key {NAMES[place]!r}"
        assert await trial.adapter.mget(keys) == [b"%d" % place for place in range(len(keys))]

    @clause("KV-3")
    async def test_delete_keeps_keys_with_similar_names(self, trial: Trial) -> None:
        """`delete` removes only the key that it names, even if the name has glob characters.

        If this fails, look at how `delete` compares keys: as a pattern, as a prefix, or without
        regard to case?
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
        """Two keys of 1 KiB that differ in their last character are different keys.

        Their common prefix, one character shorter, is a third key.

        If this fails, look for a column or an index that truncates keys.
        """
        base = "k" * (LONGEST_NAME - len(trial.prefix.encode()) - 1)
        keys = [trial.key(base + last) for last in "ab"] + [trial.key(base)]
        for place, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % place)

        assert [await trial.adapter.get(key) for key in keys] == [b"0", b"1", b"2"]

    @clause("KV-4")
    async def test_a_set_replaces_the_value(self, trial: Trial) -> None:
        """`set` overwrites an existing value with a longer, shorter, empty or equal one.

        If this fails, look for an insert that does nothing when the key exists.
        """
        key = trial.key()
        for value in (b"first", b"the second is longer", b"3", b"", b"", b"last"):
            assert await trial.adapter.set(key, value) is True
            assert await trial.adapter.get(key) == value

    @clause("KV-4")
    async def test_a_plain_set_clears_the_ttl(self, trial: Trial) -> None:
        """`set` without a TTL removes the TTL that the key had.

        If this fails, look for the deadline of the old value in a separate table, or for an upsert
        that doesn't update the deadline column.
        """
        key, time = trial.key(), trial.time
        await trial.adapter.set(key, b"old", ttl=time.ttl)

        await trial.adapter.set(key, b"new")

        assert await trial.adapter.ttl(key) == math.inf
        await time.expires(time.ttl)
        assert await trial.adapter.get(key) == b"new"

    @clause("KV-4")
    async def test_a_set_with_a_ttl_replaces_the_ttl(self, trial: Trial) -> None:
        """`set` with a TTL replaces the old TTL, whether the new one is shorter or longer.

        If this fails, look for a deadline that is only moved in one direction.
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
        """`set` with `only_if="absent"` writes only if the key is missing.

        The first call returns True and writes. The second returns False and keeps the value. After
        a delete, the next call writes again.

        If this fails, look at the condition (NX in Redis, an insert that does nothing on conflict
        in SQL), and at how the adapter finds out whether the write happened.
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
        """`set` with `only_if="present"` writes only if the key exists.

        On a missing key it returns False and creates nothing. On an existing key it returns True
        and writes.

        If this fails, look at the condition (XX in Redis, an update and its row count in SQL).
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
    async def test_conditional_set_treats_expired_key_as_missing(self, trial: Trial) -> None:
        """A conditional `set` treats an expired key as missing.

        `only_if="present"` returns False and `only_if="absent"` writes, each as the first access to
        the key after its TTL is over.

        If this fails, check whether the condition compares the deadline, or only checks that a row
        exists.
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
        """`delete` returns the number of keys that existed.

        A second call with the same keys returns 0, and a call without keys doesn't raise.

        If this fails, look for code that counts the requested keys.
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
        """`delete` doesn't count a key whose TTL is over.

        If this fails, look for expired rows that stay in the table until a sweep removes them.
        """
        gone, stays, time = trial.key("gone"), trial.key("stays"), trial.time
        await trial.adapter.set(gone, b"value", ttl=time.ttl)
        await trial.adapter.set(stays, b"value")

        await time.expires(time.ttl)

        assert await trial.adapter.delete([gone, stays]) == 1

    @clause("KV-10", Streams)
    async def test_delete_removes_every_kind(self, trial: Trial) -> None:
        """`delete` removes and counts a stream as it does a value.

        If this fails, look for a separate table per type, of which `delete` only clears one.
        """
        value, stream = trial.key("value"), trial.key("stream")
        await trial.adapter.set(value, b"value")
        await trial.adapter.xadd(stream, {"field": b"value"})

        assert await trial.adapter.delete([value, stream]) == 2
        assert await trial.adapter.xlen(stream) == 0

    @clause("KV-10")
    async def test_getdel_gives_the_value_once(self, trial: Trial) -> None:
        """`getdel` returns the value once, and removes the key with its TTL.

        The next call returns `None`. The same holds for empty values.

        If this fails, check whether the read and the delete are a single step, and look for a truth
        test of the value.
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
        """Changing a `bytearray` after a call doesn't change the stored value.

        If this fails, look for the caller's own object in your data. `bytes(value)` makes a copy.
        """
        key, batched = trial.keys(["key", "batched"])
        value = bytearray(b"before")
        # a caller without a type checker
        await trial.adapter.set(key, value)  # type: ignore[arg-type]
        await trial.adapter.mset([Entry(batched, value)])  # type: ignore[arg-type]  # the same

        value[:] = b"after!"

        assert await trial.adapter.get(key) == b"before"
        assert await trial.adapter.mget([batched]) == [b"before"]
        assert type(await trial.adapter.get(key)) is bytes

    @clause("KV-13", Claims)
    async def test_an_owner_is_not_shared_with_the_caller(self, trial: Trial) -> None:
        """Changing an owner's `bytearray` after a claim doesn't change the owner of the claim.

        If this fails, look for the caller's own object in your data.
        """
        for take in (
            trial.adapter.set_nx,
            partial(trial.adapter.acquire, token_key=trial.token_key(trial.key())),
        ):
            key, owner = trial.key(), bytearray(b"before")
            # a caller without a type checker
            assert await take(key, owner, ttl=3_000)  # type: ignore[arg-type]

            owner[:] = b"after!"

            assert await trial.adapter.compare_delete(key, b"after!") is False
            assert await trial.adapter.compare_delete(key, b"before") is True

    @clause("KV-13", Scan)
    async def test_scan_page_belongs_to_the_caller(self, trial: Trial) -> None:
        """Changing the list of keys in a page doesn't change a later page.

        If this fails, look for an internal list of keys that is returned without a copy.
        """
        keys = trial.keys("ab")
        await trial.adapter.mset([Entry(key, b"value") for key in keys])

        for _ in range(2):
            found = await walk(trial.adapter, escape(trial.prefix) + "*", 1_000)
            assert sorted(found) == keys
            (await trial.adapter.scan(escape(trial.prefix) + "*", count=1_000)).keys.clear()

    @clause("KV-13")
    async def test_mget_list_belongs_to_the_caller(self, trial: Trial) -> None:
        """Changing the list that `mget` returned doesn't change a later result.

        If this fails, look for a result that is cached and returned again.
        """
        keys = trial.keys("ab")
        await trial.adapter.mset([Entry(key, b"value") for key in keys])

        first = await trial.adapter.mget(keys)
        first.clear()

        assert await trial.adapter.mget(keys) == [b"value", b"value"]

    @clause("KV-17")
    async def test_a_refused_set_changes_nothing(self, trial: Trial) -> None:
        """A conditional `set` that returns False changes neither the value nor its TTL.

        This holds for calls with any TTL.

        If this fails, look for a deadline that is written before the condition is checked.
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
