"""Scanning keys: clauses SCN-1 to SCN-4, SCN-6 and SCN-7.

Deleting by prefix (SCN-5) is tested in `delete_prefix`.

Rule: the backend may hold keys of other software, so every pattern begins with the test's own
    prefix, or only the test's own keys are checked.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from igniter_store.contract import (
    START,
    Claims,
    Counters,
    Entry,
    ErrorCode,
    KeyValue,
    Streams,
    escape,
)

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.operations import answer_or_code
from igniter_store_conformance.tools.samples import GLOBS, NAMES
from igniter_store_conformance.tools.scans import LARGE, PAGES, all_of, put, walk

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_WRONG: Final = (
    "",
    "nonsense",
    "*",
    "1.5",
    "0x10",
    "-1",
    " 0",
    "0 ",
    "99999999999999999999999999",
    "\u0663",
)


class ScanClauses(Suite):
    """Scans with cursors, and deletes by prefix."""

    @clause("SCN-1", KeyValue)
    async def test_every_key_is_given(self, trial: Trial) -> None:
        """A scan returns each key at least once, as a `str`, to every client.

        There are no keys, one, slightly more than a page, or thousands.

        If this fails, look at the first and the last page, and check that an empty page doesn't end
        the scan.
        """
        adapter, other = trial.adapter, await trial.other()
        for number in (0, 1, 11, 101, 3_000):
            keys = trial.keys(f"{number}:{place}" for place in range(number))
            await put(adapter, keys)
            found = await walk(
                other, f"{escape(trial.prefix)}{number}:*", 1_000 if number > 101 else 10
            )
            assert set(found) == set(keys), f"of {number} keys"
            assert all(type(key) is str for key in found)

    @clause("SCN-1", KeyValue, Counters, Claims, Streams)
    async def test_keys_of_every_kind_are_given(self, trial: Trial) -> None:
        """A scan returns keys of every type.

        These are values, counters, claims, streams, an emptied stream, and the counter of fencing
        tokens.

        If this fails, look for types that are stored in separate tables.
        """
        adapter = trial.adapter
        keys = trial.keys(["value", "counter", "claim", "lease", "stream", "empty"])
        value, counter, claim, lease, stream, empty = keys
        token = trial.token_key(lease)
        await adapter.set(value, b"")
        await adapter.increment(counter)
        await adapter.set_nx(claim, b"owner")
        await adapter.acquire(lease, b"owner", 3_000, token_key=token)
        await adapter.xadd(stream, {"field": b"1"})
        await adapter.xgroup_create(empty, "group")

        assert set(await walk(adapter, all_of(trial), 1_000)) == {*keys, token}

    @clause("SCN-1", KeyValue)
    async def test_scan_returns_keys_that_exist_throughout(self, trial: Trial) -> None:
        """A scan returns every key that exists throughout, while other keys change.

        Between pages, keys are added, overwritten and deleted, including keys that were already
        returned.

        If this fails, look for a cursor that is an index into a list. Deleting keys before the
        index shifts the keys after it.
        """
        adapter, other = trial.adapter, await trial.other()
        stays, goes = (
            trial.keys(f"stays:{place}" for place in range(120)),
            trial.keys(f"goes:{place}" for place in range(120)),
        )
        await put(adapter, [key for pair in zip(goes, stays, strict=True) for key in pair])

        seen, turn, page = set[str](), 0, await adapter.scan(all_of(trial), count=12)
        while True:
            seen.update(page.keys)
            if page.cursor == START:
                break
            await other.delete([key for key in page.keys if key in goes] or goes[-1:])
            if turn < 20:
                await other.mset(
                    [Entry(trial.key(f"comes:{turn}"), b""), Entry(stays[turn], b"overwritten")]
                )
            turn += 1
            await asyncio.sleep(0)
            page = await adapter.scan(all_of(trial), cursor=page.cursor, count=12)

        assert seen.issuperset(stays)
        assert seen <= {*stays, *goes, *trial.keys(f"comes:{number}" for number in range(20))}

    @clause("SCN-1", KeyValue)
    async def test_expired_keys_are_not_given(self, trial: Trial) -> None:
        """A scan doesn't return expired keys, even if it began before they expired.

        If this fails, look for keys that stay in the table until they are swept.
        """
        adapter, time = trial.adapter, trial.time
        mortal, lasting = (
            trial.keys(f"mortal:{place}" for place in range(60)),
            trial.keys(f"lasting:{place}" for place in range(60)),
        )
        await put(adapter, lasting)
        page = await adapter.scan(all_of(trial), count=5)
        await adapter.mset([Entry(key, b"", time.ttl) for key in mortal])
        page = await adapter.scan(all_of(trial), count=5)

        await time.expires(time.ttl)
        rest = (
            set[str]()
            if page.cursor == START
            else set(await walk(adapter, all_of(trial), 500, cursor=page.cursor))
        )

        assert not rest & set(mortal)
        assert rest | set(page.keys) >= set(lasting)
        assert set(await walk(adapter, all_of(trial), 500)) == set(lasting)

    @clause("SCN-1", KeyValue)
    async def test_scans_at_once_do_not_disturb_each_other(self, trial: Trial) -> None:
        """Concurrent scans don't affect each other: each returns all keys of its pattern.

        They use different counts and patterns, on two clients.

        If this fails, look for a scan position that is stored in the client instead of in the
        cursor.
        """
        clients, keys = (
            (trial.adapter, await trial.other()),
            trial.keys(f"{place % 3}:{place}" for place in range(90)),
        )
        await put(trial.adapter, keys)

        scans = [(turn % 3, (7, 30, 100)[turn % 3], clients[turn % 2]) for turn in range(6)]
        found = await asyncio.gather(
            *(
                walk(client, f"{escape(trial.prefix)}{group}:*", count)
                for group, count, client in scans
            )
        )

        for (group, _, _), names in zip(scans, found, strict=True):
            assert set(names) == {key for key in keys if key.startswith(f"{trial.prefix}{group}:")}

    @clause("SCN-2", KeyValue, limit=60)
    async def test_keys_are_matched_by_rediss_globs(self, trial: Trial) -> None:
        """Every pattern of the table finds the keys that it should, and no others.

        If this fails, look at `contract.patterns.Pattern`. Python's `fnmatch`, LIKE in SQL and GLOB
        in SQLite all differ from Redis.
        """
        names = {
            trial.key(subject): subject
            for _, matching, others in GLOBS
            for subject in (*matching, *others)
        }
        await put(trial.adapter, names)

        found = await asyncio.gather(
            *(walk(trial.adapter, escape(trial.prefix) + pattern, 1_000) for pattern, _, _ in GLOBS)
        )

        for (pattern, matching, others), keys in zip(GLOBS, found, strict=True):
            subjects = {names[key] for key in keys}
            assert subjects >= set(matching), f"pattern {pattern!r} missed something"
            assert not subjects & set(others), f"pattern {pattern!r} found something else"

    @clause("SCN-2", KeyValue, limit=60)
    async def test_escaped_key_matches_only_itself(self, trial: Trial) -> None:
        r"""The escaped form of a key is a pattern that matches only this key.

        This holds for keys of any characters.

        If this fails, look at how `\` is parsed, at case, accents and spaces, and for a match that
        may begin or end in the middle of the key.
        """
        keys = trial.keys(NAMES)
        await put(trial.adapter, keys)

        found = await asyncio.gather(*(walk(trial.adapter, escape(key), 1_000) for key in keys))

        for name, key, got in zip(NAMES, keys, found, strict=True):
            assert set(got) == {key}, f"the pattern for {name!r}"

    @clause("SCN-2", KeyValue)
    async def test_a_star_finds_everything(self, trial: Trial) -> None:
        """The pattern `*` finds all keys of the test, regardless of their characters.

        If this fails, look for newlines or other special characters that `*` doesn't match.
        """
        keys = trial.keys(NAMES)
        await put(trial.adapter, keys)

        assert {
            key for key in await walk(trial.adapter, "*", 1_000) if key.startswith(trial.prefix)
        } == set(keys)

    @clause("SCN-3", KeyValue)
    async def test_count_is_only_a_hint(self, trial: Trial) -> None:
        """A scan returns the same keys for any `count`.

        `count` is 1, larger than the number of keys, or different for every page.

        If this fails, look for a cursor that only works with the `count` it was created with.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(30))
        await put(adapter, keys)

        for count in (1, 3, 30, 31, 10_000):
            assert set(await walk(adapter, all_of(trial), count)) == set(keys), (
                f"with a count of {count}"
            )
        page = await adapter.scan(all_of(trial), count=1)
        found, turn = set(page.keys), 0
        while page.cursor != START:
            turn += 1
            await asyncio.sleep(0)
            page = await adapter.scan(
                all_of(trial), cursor=page.cursor, count=(7, 1, 4, 500)[turn % 4]
            )
            found.update(page.keys)
        assert found == set(keys)

    @clause("SCN-3", KeyValue)
    async def test_empty_pages_do_not_end_a_scan(self, trial: Trial) -> None:
        """A scan with small pages finds a single key among many, wherever it is.

        A scan whose pattern matches no key ends, too.

        If this fails, look for a cursor that becomes `"0"` because a page is empty.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(40))
        await put(adapter, keys)

        for wanted in (keys[0], keys[20], keys[-1]):
            assert set(await walk(adapter, escape(wanted), 7)) == {wanted}
        assert await walk(adapter, escape(trial.key("missing")), 7) == []

    @clause("SCN-4", KeyValue)
    async def test_a_wrong_cursor_is_refused(self, trial: Trial) -> None:
        """An invalid cursor raises `STORE_SCAN_FAILED` instead of restarting the scan.

        If this fails, look for a cursor that is parsed with `int()`, or checked with a truth test.
        Numbers that no scan returned aren't tested here: Redis accepts them.
        """
        adapter = trial.adapter
        await put(adapter, trial.keys(f"{place}" for place in range(30)))
        await adapter.scan(all_of(trial), count=5)

        for cursor in _WRONG:
            await refused(
                adapter.scan(all_of(trial), cursor=cursor, count=5),
                ErrorCode.STORE_SCAN_FAILED,
                f"the cursor {cursor!r}",
            )

    @clause("SCN-6", KeyValue, limit=120)
    async def test_no_page_holds_everything(self, trial: Trial) -> None:
        """With 20,000 keys, a page with a small `count` has only a small part of them.

        Following the cursors returns all keys.

        If this fails, look for KEYS, or for a query without LIMIT.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(LARGE))
        await put(adapter, keys)

        page = await adapter.scan(all_of(trial), count=10)
        assert page.cursor != START
        assert len(page.keys) < LARGE / 20
        page = await adapter.scan(all_of(trial), cursor=page.cursor, count=10)
        assert page.cursor != START
        assert len(page.keys) < LARGE / 20
        assert set(await walk(adapter, all_of(trial), 1_000)) == set(keys)
        await adapter.delete_prefix(trial.prefix)

    @clause("SCN-6", KeyValue, limit=120)
    async def test_a_long_removal_lets_others_have_their_turn(self, trial: Trial) -> None:
        """While `delete_prefix` deletes 20,000 keys, other calls on the adapter return.

        Some of them return before the deletion is done.

        If this fails, look for a deletion in a single step, on the server or on the event loop.
        """
        adapter, canary = trial.adapter, trial.key("canary")
        await put(adapter, [canary, *trial.keys(f"p:{place}" for place in range(LARGE))])
        answers = 0
        removing = asyncio.create_task(adapter.delete_prefix(trial.key("p:")))
        await asyncio.sleep(0)

        while not removing.done():
            assert await adapter.get(canary) == b"value"
            answers += not removing.done()
            await asyncio.sleep(0)

        assert await removing == LARGE
        assert answers > 0, "no scan returned before everything was deleted"

    @clause("SCN-7", KeyValue, limit=120)
    async def test_a_scan_ends_while_keys_are_added(self, trial: Trial) -> None:
        """A scan ends even if other clients add keys as fast as it reads them.

        Between two pages, the test adds as many keys as a page covers. The scan returns no key that
        never existed.

        If this fails, look for a cursor that is an index into a growing list.
        """
        adapter, other, random = trial.adapter, await trial.other(), trial.random
        stays = trial.keys(f"{random.getrandbits(64):x}" for _ in range(60))
        await put(adapter, stays)

        there, found, pages, page = (
            set(stays),
            set[str](),
            1,
            await adapter.scan(all_of(trial), count=10),
        )
        while page.cursor != START:
            found.update(page.keys)
            added = trial.keys(f"{random.getrandbits(64):x}" for _ in range(10))
            await put(other, added)
            there.update(added)
            pages += 1
            assert pages < PAGES / 10, f"{pages} pages and no end, while keys are added"
            await asyncio.sleep(0)
            page = await adapter.scan(all_of(trial), cursor=page.cursor, count=10)
        found.update(page.keys)

        assert found.issuperset(stays)
        assert found <= there
        await adapter.delete_prefix(trial.prefix)

    @clause("SCN-7", KeyValue)
    async def test_deleting_each_scanned_page_deletes_all_keys(self, trial: Trial) -> None:
        """Deleting each page's keys before reading the next page deletes all keys.

        If this fails, look for a cursor that is an index into a list. Deleting keys before the
        index shifts the keys after it.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(200))
        await put(adapter, keys)

        page = await adapter.scan(all_of(trial), count=20)
        deleted = await adapter.delete(page.keys) if page.keys else 0
        while page.cursor != START:
            await asyncio.sleep(0)
            page = await adapter.scan(all_of(trial), cursor=page.cursor, count=20)
            deleted += await adapter.delete(page.keys) if page.keys else 0

        assert deleted == 200
        assert await walk(adapter, all_of(trial), 1_000) == []

    @clause("SCN-7", KeyValue)
    async def test_a_scan_ends_when_everything_is_gone(self, trial: Trial) -> None:
        """If all keys are deleted after the first page, the scan ends without an error.

        The rest of the scan goes on without these keys.

        If this fails, look for a cursor that is a key and only works while that key exists.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(100))
        await put(adapter, keys)
        page = await adapter.scan(all_of(trial), count=10)

        await (await trial.other()).delete_prefix(trial.prefix)

        assert set(page.keys) <= set(keys)
        rest = (
            list[str]()
            if page.cursor == START
            else await walk(adapter, all_of(trial), 10, cursor=page.cursor)
        )
        assert set(rest) <= set(keys)
        assert await walk(adapter, all_of(trial), 1_000) == []

    @clause("SCN-4", KeyValue)
    async def test_a_cursor_with_something_about_it_is_refused(self, trial: Trial) -> None:
        """A valid cursor with extra characters before or after it raises `STORE_SCAN_FAILED`.

        The extra character is a letter, a space or a newline.

        If this fails, look for a cursor of which only the beginning is parsed. Use `fullmatch`, not
        `match`.
        """
        adapter = trial.adapter
        await put(adapter, trial.keys(f"{place}" for place in range(500)))
        page = await adapter.scan(all_of(trial), count=5)
        assert page.cursor != START

        for cursor in (
            f"{page.cursor}x",
            f"{page.cursor} ",
            f"{page.cursor}\n",
            f" {page.cursor}",
            f"x{page.cursor}",
        ):
            await refused(
                adapter.scan(all_of(trial), cursor=cursor, count=5),
                ErrorCode.STORE_SCAN_FAILED,
                f"the cursor {cursor!r}",
            )
        assert set(await walk(adapter, all_of(trial), 100, cursor=page.cursor)) <= set(
            trial.keys(f"{place}" for place in range(500))
        )

    @clause("SCN-4", KeyValue)
    async def test_cursor_of_finished_scan_returns_page_or_raises(self, trial: Trial) -> None:
        """A cursor of a finished scan returns a page of keys or raises `STORE_SCAN_FAILED`.

        The page has only keys that exist.

        If this fails, look for code that looks up the scan and assumes that it exists. The adapter
        must not raise any other error.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(500))
        await put(adapter, keys)
        page = await adapter.scan(all_of(trial), count=5)
        used = [page.cursor]
        while page.cursor != START:
            page = await adapter.scan(all_of(trial), cursor=page.cursor, count=50)
            used.append(page.cursor)
            await asyncio.sleep(0)

        for cursor in used[:-1]:
            again = await answer_or_code(
                partial(adapter.scan, all_of(trial), cursor=cursor, count=50)
            )
            assert again is ErrorCode.STORE_SCAN_FAILED or set(again.keys) <= set(keys), (
                f"the cursor {cursor!r}"
            )

    @clause("SCN-6", KeyValue, limit=120)
    async def test_every_page_stays_small_in_large_scans(self, trial: Trial) -> None:
        """With 20,000 keys, every page of a scan has only a small part of them, even the last one.

        If this fails, look for a page that starts where the scan began instead of at the cursor.
        """
        adapter, keys = trial.adapter, trial.keys(f"{place}" for place in range(LARGE))
        await put(adapter, keys)

        found, page = set[str](), await adapter.scan(all_of(trial), count=500)
        while True:
            assert len(page.keys) < LARGE / 4
            found.update(page.keys)
            if page.cursor == START:
                break
            await asyncio.sleep(0)
            page = await adapter.scan(all_of(trial), cursor=page.cursor, count=500)
        assert found == set(keys)
        await adapter.delete_prefix(trial.prefix)

    @clause("SCN-6", KeyValue, limit=120)
    async def test_a_long_removal_is_done_in_steps(self, trial: Trial) -> None:
        """While 20,000 keys are deleted, another call sees some of them gone and others there.

        If this fails, look for a deletion in a single step, on the server or on the event loop.
        Awaiting something before or after that step isn't enough.
        """
        adapter, keys = trial.adapter, trial.keys(f"p:{place}" for place in range(LARGE))
        await put(adapter, keys)
        sample, parts = keys[:: LARGE // 50], set[int]()
        removing = asyncio.create_task(adapter.delete_prefix(trial.key("p:")))

        while not removing.done():
            parts.add(sum(value is not None for value in await adapter.mget(sample)))
            await asyncio.sleep(0)

        assert await removing == LARGE
        assert parts - {0, len(sample)}, "no reader saw a part of the deletion"
