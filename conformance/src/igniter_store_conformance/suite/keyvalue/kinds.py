"""Keys of another type: clauses KV-14 and STR-23."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, Entry, ErrorCode, KeyValue, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import Trial


class KindClauses(Suite):
    """Value methods on streams, and stream methods on values."""

    @clause("KV-14", Streams)
    async def test_a_set_replaces_a_stream(self, trial: Trial) -> None:
        """`set` and `mset` replace a stream with a value.

        The stream's entries, groups and TTL are gone.

        If this fails, look for a separate table per type. The write has to remove the key from the
        other tables in the same step.
        """
        one, other = trial.keys(["one", "other"])
        for stream in (one, other):
            await trial.adapter.xadd(stream, {"field": b"1"})
            await trial.adapter.xgroup_create(stream, "group")
            await trial.adapter.expire(stream, 3_000)

        assert await trial.adapter.set(one, b"value") is True
        await trial.adapter.mset([Entry(other, b"value")])

        assert await trial.adapter.mget([one, other]) == [b"value", b"value"]
        assert [await trial.adapter.ttl(key) for key in (one, other)] == [math.inf] * 2
        await trial.adapter.delete([one, other])
        assert await trial.adapter.xlen(one) == 0
        assert await trial.adapter.xgroups(one) == []

    @clause("KV-14", Streams)
    async def test_stream_is_not_a_value(self, trial: Trial) -> None:
        """`get` and `getdel` of a stream raise `STORE_OPERATION_FAILED`; `mget` returns `None`.

        The stream is unchanged.

        If this fails, check the reply of your backend for a key of another type, and your mapping
        of errors.
        """
        key = trial.key()
        await trial.adapter.xadd(key, {"field": b"1"})

        for call in (trial.adapter.get, trial.adapter.getdel):
            with pytest.raises(BackendFailed) as caught:
                await call(key)
            assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
        assert await trial.adapter.mget([key]) == [None]
        assert await trial.adapter.xlen(key) == 1

    @clause("KV-14", Streams)
    async def test_key_methods_work_on_stream_keys(self, trial: Trial) -> None:
        """`exists`, `ttl`, `expire`, `persist` and conditional sets work on a stream's key.

        They depend only on the key, not on the type of data that it holds.

        If this fails, look for methods that only query the table of values.
        """
        key, adapter = trial.key(), trial.adapter
        await adapter.xadd(key, {"field": b"1"})

        assert await adapter.exists(key) is True
        assert await adapter.ttl(key) == math.inf
        assert await adapter.set(key, b"value", only_if="absent") is False
        assert await adapter.expire(key, 3_000) is True
        assert 0 < (await adapter.ttl(key) or 0) <= 3_000
        assert await adapter.persist(key) is True
        assert await adapter.ttl(key) == math.inf
        assert await adapter.xlen(key) == 1
        assert await adapter.set(key, b"value", only_if="present") is True
        assert await adapter.get(key) == b"value"

    @clause("STR-23", KeyValue)
    async def test_value_is_not_a_stream(self, trial: Trial) -> None:
        """Every stream command on a value raises `STORE_OPERATION_FAILED` and keeps the value.

        If this fails, look at which error your backend raises for a wrong type, and for commands
        that overwrite the key without checking its type.
        """
        key, adapter = trial.key(), trial.adapter
        await adapter.set(key, b"value")

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "xadd": lambda: adapter.xadd(key, {"field": b"1"}),
            "xlen": lambda: adapter.xlen(key),
            "xtrim": lambda: adapter.xtrim(key, 0, approximate=False),
            "xdel": lambda: adapter.xdel(key, ["1-1"]),
            "xrange": lambda: adapter.xrange(key),
            "xrevrange": lambda: adapter.xrevrange(key),
            "xgroup_create": lambda: adapter.xgroup_create(key, "group"),
            "xgroup_destroy": lambda: adapter.xgroup_destroy(key, "group"),
            "xreadgroup": lambda: adapter.xreadgroup(key, "group", "consumer"),
            "xgroups": lambda: adapter.xgroups(key),
            "xack": lambda: adapter.xack(key, "group", ["1-1"]),
            "xpending": lambda: adapter.xpending(key, "group"),
            "xautoclaim": lambda: adapter.xautoclaim(key, "group", "consumer", 0),
        }
        for name, call in calls.items():
            await refused(call(), ErrorCode.STORE_OPERATION_FAILED, name)

        assert await adapter.get(key) == b"value"
