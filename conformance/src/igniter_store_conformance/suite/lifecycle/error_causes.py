"""Contents of errors: clause LIF-22.

Servers and drivers quote the request in their errors: "NOGROUP No such key
'igniter:store:api:organization:acme:...'". Logs contain the whole chain of an error. So these tests
search each error and everything that it was raised from.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Counters, KeyValue, Scan, StoreError, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.operations import names_for, operations_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import Trial

CANARY: Final = "canary"


class CauseClauses(Suite):
    """Errors, their causes, and the texts of both."""

    @clause("LIF-22", Counters, KeyValue)
    async def test_counter_error_shows_no_key_and_no_value(self, trial: Trial) -> None:
        """An error of `increment` contains neither the key nor the value.

        Neither do the errors that it was raised from.

        If this fails, look for the server's or the driver's message in `__cause__`. Pass on only
        the error prefix.
        """
        adapter, key, number = (
            trial.adapter,
            trial.key(f"{CANARY}-counter"),
            trial.key(f"{CANARY}-number"),
        )
        await adapter.set(key, CANARY.encode())
        await adapter.set(number, str(2**63 - 1).encode())

        for call in (
            partial(adapter.increment, key),
            partial(adapter.increment, key, ttl=60),
            partial(adapter.increment, number),
        ):
            assert await shown_by(call) == []

    @clause("LIF-22", Streams)
    async def test_error_of_a_group_shows_no_name(self, trial: Trial) -> None:
        """An error about a missing group contains no name of a stream, group or consumer.

        Neither do the errors that it was raised from.

        If this fails, look for Redis's NOGROUP message, which quotes the key and the group.
        """
        adapter, stream, other = (
            trial.adapter,
            trial.key(f"{CANARY}-stream"),
            trial.key(f"{CANARY}-other"),
        )
        await adapter.xadd(stream, {CANARY: CANARY.encode()})
        group, consumer = f"{CANARY}-group", f"{CANARY}-consumer"

        for name in (stream, other):
            calls = (
                partial(adapter.xreadgroup, name, group, consumer),
                partial(adapter.xreadgroup, name, group, consumer, block=0.05),
                partial(adapter.xreadgroup, name, group, consumer, history=True),
                partial(adapter.xpending, name, group),
                partial(adapter.xautoclaim, name, group, consumer, 0.0),
            )
            for call in calls:
                assert await shown_by(call) == []

    @clause("LIF-22", KeyValue, Streams)
    async def test_error_about_another_kind_shows_no_key(self, trial: Trial) -> None:
        """An error about a key of another type contains neither the key nor the value.

        If this fails, look for the driver's error in `__cause__` or `__context__`: `from None`
        hides the context and keeps it.
        """
        adapter, stream, key = (
            trial.adapter,
            trial.key(f"{CANARY}-stream"),
            trial.key(f"{CANARY}-value"),
        )
        await adapter.xadd(stream, {CANARY: CANARY.encode()})
        await adapter.set(key, CANARY.encode())

        calls = (
            partial(adapter.get, stream),
            partial(adapter.getdel, stream),
            partial(adapter.xadd, key, {CANARY: CANARY.encode()}),
            partial(adapter.xlen, key),
            partial(adapter.xrange, key),
            partial(adapter.xgroup_create, key, f"{CANARY}-group"),
            partial(adapter.xreadgroup, key, f"{CANARY}-group", f"{CANARY}-consumer"),
            partial(adapter.xrange, stream, CANARY),
            partial(adapter.xdel, stream, [CANARY]),
            partial(adapter.xack, stream, f"{CANARY}-group", [CANARY]),
        )
        for call in calls:
            assert await shown_by(call) == []

    @clause("LIF-22", Scan)
    async def test_error_of_a_scan_shows_no_pattern(self, trial: Trial) -> None:
        """An error of `scan` contains neither the pattern nor the cursor.

        If this fails, look for a message that quotes an argument.
        """
        assert (
            await shown_by(partial(trial.adapter.scan, f"{trial.prefix}{CANARY}*", cursor=CANARY))
            == []
        )

    @clause("LIF-22")
    async def test_error_after_close_shows_no_name(self, trial: Trial) -> None:
        """An error of a closed adapter contains no argument of the call.

        If this fails, look for a driver's error about a closed connection, which quotes the
        command.
        """
        adapter = trial.adapter
        await adapter.close()
        try:
            for operation in operations_of(trial):
                assert (
                    await shown_by(
                        partial(operation.ask, adapter, names_for(trial, operation, CANARY))
                    )
                    == []
                ), operation.title
        finally:
            await adapter.open()


async def shown_by(call: Callable[[], Awaitable[Any]]) -> list[str]:
    """Return the texts in which an error of this call shows the canary, if it raises one."""
    try:
        await call()
    except StoreError as error:
        return [
            f"{type(one).__name__}: {text}"
            for one in chain_of(error)
            for text in texts_of(one)
            if CANARY in text
        ]
    return []


def chain_of(error: BaseException) -> list[BaseException]:
    """An error, and everything that it was raised from, hidden or not."""
    chain: list[BaseException] = [error]
    for one in chain:  # the list grows during the loop
        untyped: Any = one
        together: tuple[BaseException, ...] = getattr(untyped, "exceptions", ())  # of a group
        behind: list[BaseException | None] = [one.__cause__, one.__context__, *together]
        chain += [
            more
            for more in behind
            if more is not None and all(more is not known for known in chain)
        ]
    return chain


def texts_of(error: BaseException) -> list[str]:
    """All texts of one error that a log may show."""
    texts = [str(error), repr(error), repr(error.args), *getattr(error, "__notes__", [])]
    return [*texts, repr(error.to_dict())] if isinstance(error, StoreError) else texts
