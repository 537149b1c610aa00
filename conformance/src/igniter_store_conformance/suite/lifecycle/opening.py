"""Life cycle: clauses LIF-1, LIF-6 to LIF-11 and LIF-21.

Closing is in `closing`, cancelling in `cancellation`, servers that aren't there are in `outages`.
Every operation is put into every state of an adapter's life, from one list (`operations`): open,
opened again, closing, closed, never opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import CAPABILITIES, ErrorCode, KeyValue, StoreError, Subscription

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import LentClient, Suite
from igniter_store_conformance.spec.states import Lacks, NotExercised
from igniter_store_conformance.tools.operations import (
    _LONG_ENOUGH,
    answer_or_code,
    names_for,
    operations_of,
    wrong_answers,
)

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class LifecycleClauses(Suite):
    """Opening, closing, and what an adapter is in between."""

    @clause("LIF-1")
    async def test_opening_and_closing_may_be_repeated(self, trial: Trial) -> None:
        """`open` while open and `close` while closed do nothing, in any order, and in the end the
        adapter works.

        If this fails, look for a second connection that replaces the first, or a second close of
        what is gone.
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
        """An adapter that was never opened can be closed, twice, and opened after that.

        If this fails, look for a close that takes a connection for granted.
        """
        adapter = trial.connect()
        await adapter.close()
        await adapter.close()
        await adapter.open()

        assert await wrong_answers(trial, trial.adapter, adapter, "closed first") == []

    @clause("LIF-1")
    async def test_opening_and_closing_at_once_is_no_error(self, trial: Trial) -> None:
        """Several tasks that open, or close, at the same time end well, and the adapter is what
        they said.

        If this fails, look for two connections of which only one is remembered, or a close that
        trips over another.
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
        """After `close` of the adapter, the client that its user had made still works.

        If this fails, look for a close that ends whatever connection there is: who opened it closes
        it.
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
        """What one has written, replaced or removed, the other reads, in both directions, again and
        again.

        If this fails, look for a cache in the client, for a write that is not committed when the
        call returns, or for a harness whose `connect` makes adapters of different data: then make
        the data once and connect both to it.
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
    async def test_every_operation_works_on_an_adapter_that_was_opened_again(
        self, trial: Trial
    ) -> None:
        """After `close` and `open` every operation gives its answer, from the data that was there
        before.

        If this fails, look for something that `close` ends for good: a pool, a flag, a thread.
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
        """Closed and opened again, a key without TTL has none, and one with a TTL ends when it was
        going to.

        If this fails, look for deadlines that live in the client.
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
    async def test_before_it_is_opened_an_adapter_opens_or_says_that_it_is_not(
        self, trial: Trial
    ) -> None:
        """Each operation of an adapter that was never opened gives its answer or raises
        `STORE_NOT_CONNECTED`; then it can be opened.

        If this fails, look for an `AttributeError` or the driver's own words for "no connection".
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
    async def test_a_capability_that_is_not_inherited_has_no_methods(self, trial: Trial) -> None:
        """What the classes say is what there is: no method of a capability that the adapter doesn't
        inherit.

        If this fails, inherit the capability and keep its clauses, or take the method away: a store
        asks `isinstance`, and so do users.
        """
        adapter = trial.adapter
        for capability in CAPABILITIES:
            if isinstance(adapter, capability):
                continue
            present = [name for name in _methods(capability) if hasattr(adapter, name)]
            assert present == [], (
                f"{type(adapter).__name__} doesn't inherit {capability.__name__} and has its methods"
            )

    @clause("LIF-9")
    async def test_a_capability_that_is_inherited_does_what_it_says(self, trial: Trial) -> None:
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
        """`name` is what errors and telemetry show of the backend: one word, lower case.

        If this fails, give the class a `name`, such as "redis".
        """
        name = trial.adapter.name
        assert isinstance(name, str)
        assert name
        assert name == name.lower()
        assert name.split() == [name]

    @clause("LIF-10")
    async def test_ping_says_how_long_it_took(self, trial: Trial) -> None:
        """`ping` answers with seconds, 0 or more, as often as it is asked, and on each client.

        If this fails, look at what your backend answers to a ping: the answer is the time that it
        took, not its words.
        """
        for adapter in (trial.adapter, trial.adapter, await trial.other()):
            seconds = await adapter.ping()
            assert isinstance(seconds, float)
            assert 0 <= seconds < 60

    @clause("LIF-11")
    async def test_in_another_event_loop_it_works_or_says_so(self, trial: Trial) -> None:
        """Each operation that is asked in the loop of another thread gives its answer or
        `STORE_CONFIGURATION_INVALID`, and none hangs.

        If this fails, remember the loop in `open`, and compare it with the running one wherever you
        compare that you are open.
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
        """An adapter that is opened, and opened again, in another working directory than it was
        made in has the data of the others.

        If this fails, look for a relative path that is kept as it is: make it absolute where the
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
            assert os.listdir(directory) == []  # noqa: PTH208 - names are what is looked at

    @clause("LIF-8")
    async def test_is_open_says_whether_it_is(self, trial: Trial) -> None:
        """`is_open` is False before `open` and after `close`; in between it is True, or False
        always where the adapter doesn't keep it.

        If this fails, set it where the adapter opens and closes: a store leaves an adapter alone
        that says that it is open.
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
