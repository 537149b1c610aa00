"""Life cycle: clauses LIF-1, LIF-6 to LIF-11 and LIF-21.

Closing is in `lifecycle.closing`, cancellation in `lifecycle.cancellation`, missing servers in
`faults.outages`. The tests run every operation of one list (`tools.operations`) in every state of
an adapter: open, reopened, closing, closed, never opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final

import pytest
from igniter_store.contract import CAPABILITIES, ErrorCode, KeyValue, StoreError, Subscription

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import LentClient, Suite
from igniter_store_conformance.spec.states import Lacks, NotExercised
from igniter_store_conformance.tools.operations import (
    answer_or_code,
    names_for,
    operations_of,
    wrong_answers,
)

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_LONG_ENOUGH: Final = 10.0  # seconds for one reply


class LifecycleClauses(Suite):
    """Opening and closing, and the states in between."""

    @clause("LIF-1")
    async def test_opening_and_closing_may_be_repeated(self, trial: Trial) -> None:
        """Repeated calls of `open` and `close` do nothing, in any order.

        Afterwards the adapter works.

        If this fails, look for a second connection that replaces the first, or for a second close
        of something that is already closed.
        """
        adapter = trial.adapter
        await adapter.open()
        await adapter.open()
        assert await adapter.ping() >= 0
        await adapter.close()
        await adapter.close()
        await adapter.open()
        await adapter.open()

        assert await adapter.ping() >= 0
        assert await wrong_answers(trial, adapter, adapter, "open twice") == []

    @clause("LIF-1")
    async def test_closing_before_opening_is_no_error(self, trial: Trial) -> None:
        """An adapter that was never opened can be closed, twice, and then opened.

        If this fails, look for a `close` that assumes a connection.
        """
        adapter = trial.connect()
        await adapter.close()
        await adapter.close()
        await adapter.open()

        assert await wrong_answers(trial, trial.adapter, adapter, "closed first") == []

    @clause("LIF-1")
    async def test_opening_and_closing_at_once_is_no_error(self, trial: Trial) -> None:
        """Concurrent calls of `open`, or of `close`, all succeed.

        Afterwards the adapter is open, or closed, as requested.

        If this fails, look for two connections of which the adapter remembers only one, or for a
        `close` that breaks a concurrent one.
        """
        adapter = trial.adapter
        for _ in range(3):
            await trial.race([adapter.close] * 3)
            with pytest.raises(StoreError) as caught:
                await adapter.ping()
            assert caught.value.code == ErrorCode.STORE_CLOSED
            await trial.race([adapter.open] * 3)
            assert await adapter.ping() >= 0

    @clause("LIF-6")
    async def test_a_client_that_was_passed_in_stays_open(self, trial: Trial) -> None:
        """After `close` of the adapter, a client that the caller passed in still works.

        If this fails, look for a `close` that ends any connection. The adapter must close only
        clients that it opened.
        """
        trial.require_shared("there is no client that could be passed in")
        lent = self.lent_client()
        if lent is None:
            raise NotExercised(
                "lent_client(): an adapter around a client of yours, in the class of your tests"
            )
        if not isinstance(lent, LentClient):
            lent = await lent
        try:
            await lent.adapter.open()
            assert await lent.adapter.ping() >= 0
            assert await lent.still_works() is True
            await lent.adapter.close()
            assert await lent.still_works() is True
            await lent.adapter.open()
            assert await lent.adapter.ping() >= 0
            await lent.adapter.close()
            assert await lent.still_works() is True
        finally:
            await lent.close_client()

    @clause("LIF-7", KeyValue)
    async def test_two_clients_see_each_others_writes_at_once(self, trial: Trial) -> None:
        """Two clients see each other's writes at once.

        Each client reads a key that the other has written, replaced or removed, repeatedly and in
        both directions.

        If this fails, look for a cache in the client, for a write that isn't committed when the
        call returns, or for a harness whose `connect` makes adapters with different data. In the
        last case, make the data once and connect both adapters to it.
        """
        one, other, key = trial.adapter, await trial.other(), trial.key()
        for turn in range(10):
            await one.set(key, b"from one %d" % turn)
            assert await other.get(key) == b"from one %d" % turn
            await other.set(key, b"from the other %d" % turn)
            assert await one.get(key) == b"from the other %d" % turn
            assert await other.delete([key]) == 1
            assert await one.get(key) is None

    @clause("LIF-8")
    async def test_every_operation_works_on_a_reopened_adapter(self, trial: Trial) -> None:
        """After `close` and `open`, every operation works on the earlier data.

        If this fails, look for something that `close` ends permanently: a pool, a flag, a thread.
        """
        await trial.adapter.close()
        await trial.adapter.open()
        assert await wrong_answers(trial, trial.adapter, trial.adapter, "once") == []
        for operation in operations_of(trial):
            await operation.prepare(trial.adapter, names_for(trial, operation, "twice"))
        await trial.adapter.close()
        await trial.adapter.open()

        assert await wrong_answers(trial, None, trial.adapter, "twice") == []

    @clause("LIF-8", KeyValue)
    async def test_ttls_survive_a_close(self, trial: Trial) -> None:
        """TTLs survive `close` and `open`.

        A key without a TTL still has none, and a key with a TTL expires at its original deadline.

        If this fails, look for deadlines that are kept in the client.
        """
        key, mortal, time = trial.key(), trial.key("mortal"), trial.time
        await trial.adapter.set(key, b"stays")
        await trial.adapter.set(mortal, b"goes", ttl=2 * time.ttl)
        await trial.adapter.close()
        await time.passes(time.ttl / 2)
        await trial.adapter.open()

        assert await trial.adapter.mget([key, mortal]) == [b"stays", b"goes"]
        await trial.adapter.close()
        await time.expires(1.5 * time.ttl)
        await trial.adapter.open()
        assert await trial.adapter.mget([key, mortal]) == [b"stays", None]

    @clause("LIF-8")
    async def test_unopened_adapter_works_or_raises_not_connected(self, trial: Trial) -> None:
        """Operations of a never opened adapter either work or raise `STORE_NOT_CONNECTED`.

        Afterwards the adapter can be opened.

        If this fails, look for an `AttributeError`, or for the driver's own "no connection" error.
        """
        for operation in operations_of(trial):
            fresh, names = trial.connect(), names_for(trial, operation)
            await operation.prepare(trial.adapter, names)
            answer = await answer_or_code(operation.ask, fresh, names)
            assert answer is ErrorCode.STORE_NOT_CONNECTED or operation.is_right(answer), (
                f"{operation.title}: {answer!r}"
            )
            await fresh.open()
            await fresh.close()

    @clause("LIF-9")
    async def test_capability_that_is_not_inherited_has_no_methods(self, trial: Trial) -> None:
        """An adapter has no method of a capability that it doesn't inherit.

        If this fails, inherit the capability and fulfil its clauses, or remove the method. The
        store and its users check capabilities with `isinstance`.
        """
        adapter = trial.adapter
        for capability in CAPABILITIES:
            if isinstance(adapter, capability):
                continue
            present = [name for name in _methods(capability) if hasattr(adapter, name)]
            assert present == [], (
                f"{type(adapter).__name__} doesn't inherit {capability.__name__} "
                "and has its methods"
            )

    @clause("LIF-9")
    async def test_inherited_capability_is_fully_implemented(self, trial: Trial) -> None:
        """No method of an inherited capability is left unimplemented.

        If this fails, implement the method, or don't inherit the capability.
        """
        if not trial.capabilities:
            raise Lacks("the adapter inherits no capability")
        unimplemented: list[str] = []
        for operation in operations_of(trial):
            names = names_for(trial, operation)
            try:
                await operation.prepare(trial.adapter, names)
                answer = await operation.ask(trial.adapter, names)
                if isinstance(answer, Subscription):
                    await answer.cancel()
            except NotImplementedError:
                unimplemented.append(operation.title)
            except StoreError as error:
                if error.code is ErrorCode.STORE_CAPABILITY_UNSUPPORTED:
                    unimplemented.append(operation.title)
        assert unimplemented == []

    @clause("LIF-9")
    async def test_the_name_is_one_lower_case_word(self, trial: Trial) -> None:
        """`name` is one lower-case word that errors and telemetry show for the backend.

        If this fails, set `name` on the class, for example to "redis".
        """
        name = trial.adapter.name
        assert isinstance(name, str)
        assert name
        assert name == name.lower()
        assert name.split() == [name]

    @clause("LIF-10")
    async def test_ping_says_how_long_it_took(self, trial: Trial) -> None:
        """`ping` returns the seconds that it took, 0 or more, each time and on each client.

        If this fails, check that you return the elapsed time, and not the reply of the backend.
        """
        for adapter in (trial.adapter, trial.adapter, await trial.other()):
            seconds = await adapter.ping()
            assert isinstance(seconds, float)
            assert 0 <= seconds < 60

    @clause("LIF-11")
    async def test_operations_in_another_loop_work_or_raise(self, trial: Trial) -> None:
        """Operations in another thread's event loop work or raise `STORE_CONFIGURATION_INVALID`.

        None of them hangs.

        If this fails, store the loop in `open`, and compare it with the running loop wherever you
        check that the adapter is open.
        """
        adapter = trial.adapter
        asked = [
            (operation, names_for(trial, operation, "elsewhere"))
            for operation in operations_of(trial)
        ]
        for operation, names in asked:
            await operation.prepare(adapter, names)

        async def ask_elsewhere() -> list[str]:
            wrong: list[str] = []
            for operation, names in asked:
                try:
                    async with asyncio.timeout(_LONG_ENOUGH):
                        answer = await answer_or_code(operation.ask, adapter, names)
                except TimeoutError:
                    answer = "no answer"
                if answer is not ErrorCode.STORE_CONFIGURATION_INVALID and not operation.is_right(
                    answer
                ):
                    wrong.append(f"{operation.title}: {answer!r}")
            return wrong

        assert await asyncio.to_thread(asyncio.run, ask_elsewhere()) == []
        assert await wrong_answers(trial, adapter, adapter, "at home") == []

    @clause("LIF-21", KeyValue)
    async def test_an_adapter_keeps_its_place_in_another_directory(self, trial: Trial) -> None:
        """An adapter keeps its data when the working directory changes.

        It is opened, and reopened, in another working directory than the one it was made in. It
        still has the same data as other adapters.

        If this fails, look for a relative path that is stored as it is. Make it absolute when the
        adapter is made.
        """
        key, adapter = trial.key(), trial.connect()
        await trial.adapter.set(key, b"0")
        with tempfile.TemporaryDirectory() as directory:
            for turn in range(2):
                with contextlib.chdir(directory):
                    await adapter.open()
                    assert await adapter.get(key) == b"%d" % turn
                    await adapter.set(key, b"%d" % (turn + 1))
                    await adapter.close()
                assert await trial.adapter.get(key) == b"%d" % (turn + 1)
            assert os.listdir(directory) == []  # noqa: PTH208 - only the names are compared

    @clause("LIF-8")
    async def test_is_open_says_whether_it_is(self, trial: Trial) -> None:
        """`is_open` is False before `open` and after `close`.

        In between it is True, or always False if the adapter doesn't implement it.

        If this fails, set it where the adapter opens and closes: the store doesn't open an adapter
        that reports being open.
        """
        adapter = trial.connect()
        assert adapter.is_open is False
        said: list[bool] = []
        for _ in range(2):
            await adapter.open()
            said.append(adapter.is_open)
            await adapter.open()
            said.append(adapter.is_open)
            await adapter.close()
            assert adapter.is_open is False, "after close"
        assert said in ([True] * 4, [False] * 4)


def _methods(capability: type) -> list[str]:
    return [
        name
        for name, member in vars(capability).items()
        if getattr(member, "__isabstractmethod__", False)
    ]
