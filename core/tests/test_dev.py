"""`store.dev`, above the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, RecordingAdapter, ScanPage, Store, StoreError

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock


async def everything(store: Store[str], pattern: str = "*", **arguments: Any) -> list[str]:
    return sorted([key async for key in store.dev.iterate(pattern, **arguments)])


async def test_a_scan_gives_keys_as_kv_takes_them(igniter_store: Store[str]) -> None:
    await igniter_store.batch.set({"user:1": "a", "user:2": "b", "order:1": "c"})

    page = await igniter_store.dev.scan("user:*")

    assert (sorted(page.keys), page.cursor) == (["user:1", "user:2"], "0")
    assert await igniter_store.batch.get(sorted(page.keys)) == ["a", "b"]


@pytest.mark.clause("SCN-1")
@pytest.mark.parametrize("count", [1, 7, 1000])
async def test_following_cursors_gives_every_key(count: int, igniter_store: Store[str]) -> None:
    keys = [f"k{number}" for number in range(50)]
    await igniter_store.batch.set(dict.fromkeys(keys, 1))
    found: list[str] = []
    cursor = "0"

    while True:
        page = await igniter_store.dev.scan("*", cursor=cursor, count=count)
        found += page.keys
        cursor = page.cursor
        if cursor == "0":
            break

    assert sorted(set(found)) == sorted(keys)
    assert await everything(igniter_store, count=count) == sorted(keys)


@pytest.mark.clause("SCN-2")
@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*", ["*", "a", "a*b", "ab"]),
        ("a*", ["a", "a*b", "ab"]),
        ("a?", ["ab"]),
        ("a\\*b", ["a*b"]),
        ("[*]", ["*"]),
        ("\\*", ["*"]),
    ],
)
async def test_pattern_matches_user_key_as_redis_glob(
    pattern: str, wanted: list[str], igniter_store: Store[str]
) -> None:
    await igniter_store.batch.set(dict.fromkeys(["*", "a", "a*b", "ab"], 1))

    assert await everything(igniter_store, pattern) == wanted


async def test_each_namespace_is_scanned_by_itself(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("value", 1)
    await igniter_store.counter.increment("counter")
    await igniter_store.claim.once("claim", "w")
    await igniter_store.streams.append("stream", 1)

    found = {
        namespace: await everything(igniter_store, namespace=namespace)
        for namespace in ("kv", "counter", "claim", "streams", "dead")
    }

    assert found == {
        "kv": ["value"],
        "counter": ["counter"],
        "claim": ["claim"],
        "streams": ["stream"],
        "dead": [],
    }


async def test_iterate_returns_prefix_like_key_unchanged(igniter_store: Store[str]) -> None:
    key = "igniter:store:test:kv:igniter:store:test:kv:x"
    await igniter_store.kv.set(key, 1)

    assert await everything(igniter_store) == [key]


async def test_expired_keys_are_not_found(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.kv.set("k", 1, ttl=5)

    igniter_clock.advance(5)

    assert await everything(igniter_store) == []


async def test_a_page_has_no_key_twice(igniter_recorder: RecordingAdapter) -> None:
    class Repeating(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            answer = await super().pass_on(method, *args, **kwargs)
            return (
                ScanPage(answer.cursor, answer.keys * 2) if isinstance(answer, ScanPage) else answer
            )

    store = Store.create().with_adapter(Repeating(igniter_recorder)).with_service("test").build()
    await store.batch.set({"a": 1, "b": 2})

    page = await store.dev.scan("*")

    assert page.keys == ["a", "b"]


@pytest.mark.clause("SCN-4")
async def test_a_cursor_of_another_scan_is_refused(igniter_store: Store[str]) -> None:
    with pytest.raises(StoreError) as caught:
        await igniter_store.dev.scan("*", cursor="999999-1")

    assert caught.value.code == ErrorCode.STORE_SCAN_FAILED


async def test_a_scan_of_other_peoples_keys_finds_nothing(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    other = Store.create().with_adapter(igniter_recorder).with_service("test2").build()
    await other.kv.set("theirs", 1)
    await igniter_store.scope("org", 1).kv.set("scoped", 1)
    await igniter_store.kv.set("mine", 1)

    assert await everything(igniter_store) == ["mine"]
    assert await everything(other) == ["theirs"]


FOREIGN = ["caf\udce9", "\udcff", "\udcff\udcfe", "\udcc3x\udca9", "a\udc80:b"]


@pytest.mark.clause("SCN-8")
async def test_key_that_is_not_utf8_is_taken_back(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    org = igniter_store.scope("org", 1)
    for key in FOREIGN:
        await org.kv.set(key, key.encode("utf-8", "surrogateescape").hex())
    await org.kv.set("plain", "1")

    found = await everything(org)

    assert found == sorted([*FOREIGN, "plain"])
    assert await everything(org, "caf\udce9*") == await everything(org, "caf?") == ["caf\udce9"]
    for key in FOREIGN:
        assert await org.kv.get(key) == key.encode("utf-8", "surrogateescape").hex()
        assert await org.kv.exists(key) is True
        assert await org.kv.expire(key, 60) is True
        assert await org.kv.ttl(key) == pytest.approx(60)
        assert await org.kv.persist(key) is True
        assert await org.kv.touch(key, 60) is True
    assert await org.batch.get(FOREIGN) == [
        key.encode("utf-8", "surrogateescape").hex() for key in FOREIGN
    ]
    assert await org.kv.pop(FOREIGN[0]) is not None
    assert await org.kv.remove(FOREIGN[1]) is True
    assert await org.batch.remove(FOREIGN) == 3
    assert await everything(org) == ["plain"]


@pytest.mark.clause("SCN-8")
@pytest.mark.parametrize("namespace", ["counter", "claim", "streams"])
async def test_each_namespace_takes_back_names_of_any_bytes(
    namespace: str, igniter_store: Store[str]
) -> None:
    for key in FOREIGN:
        await igniter_store.counter.increment(key, ttl=60)
        await igniter_store.claim.once(key, "w", ttl=60)
        await igniter_store.streams.append(key, 1)

    for key in await everything(igniter_store, namespace=namespace):
        if namespace == "counter":
            assert await igniter_store.counter.get(key) == 1
            assert await igniter_store.counter.ttl(key) == pytest.approx(60)
            assert await igniter_store.counter.remove(key) is True
        elif namespace == "claim":
            assert await igniter_store.claim.owner(key) == "w"
            assert await igniter_store.claim.release(key, "w") is True
        else:
            group = igniter_store.streams.group(key, key)
            await group.ensure(key)
            assert [message.message for message in await group.read(key)] == [1]
            assert [pending.consumer for pending in await group.pending(key, consumer=key)] == [key]
            assert await group.destroy(key) is True
            assert await igniter_store.streams.drop(key) is True

    assert await everything(igniter_store, namespace=namespace) == []


@pytest.mark.clause("SCN-8")
async def test_bytes_that_are_utf8_together_are_one_key(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("\udcc3\udca9", 1)

    assert await igniter_store.kv.get("\u00e9") == 1
    assert await everything(igniter_store) == ["\u00e9"]


NO_BYTES = ["\ud800", "\udfff", "\udc7f", "\udd00", "a\udc00b", "\udcff\ud800"]


@pytest.mark.parametrize("key", NO_BYTES, ids=ascii)
async def test_surrogate_that_stands_for_no_byte_is_refused(
    key: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    for call in (
        igniter_store.kv.get(key),
        igniter_store.streams.append(key, 1),
        igniter_store.batch.get([key]),
    ):
        with pytest.raises(StoreError) as caught:
            await call
        assert caught.value.code == ErrorCode.STORE_KEY_INVALID
        assert caught.value.__context__ is None
    assert igniter_recorder.calls == []


async def test_telemetry_gets_names_that_utf8_can_encode(
    igniter_recorder: RecordingAdapter,
) -> None:
    emitted: list[str] = []

    class Sink:
        def emit(self, name: str, *, level: str, attributes: Any) -> None:
            emitted.append(f"{name} {level} {dict(attributes)}")

    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_telemetry(Sink())
        .build()
    )
    group = store.streams.group("g\udcff", "c\udcff")
    await group.ensure("s\udcff")
    await group.read("s\udcff")

    "".join(emitted).encode()
    assert "s\\\\udcff" in "".join(emitted)
