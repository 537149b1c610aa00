"""Payloads of events never appear in an error, in telemetry or in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, EventGroup, Events, StoreError, event

from .secret_values import SECRET, UNDECODABLE, Colour, logged, shown

if TYPE_CHECKING:
    from .secret_values import Witness


@pytest.mark.parametrize("how", ["validate_subscribe", "bound"])
@pytest.mark.parametrize("kind", UNDECODABLE)
async def test_a_payload_that_subscribers_refuse_is_never_shown(
    kind: str, how: str, watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    payload, wanted = UNDECODABLE[kind]
    declared: Any = type("Declared", (EventGroup,), {"created": event(wanted)}, namespace="user")
    store = watched.add_events(declared, validate_publish=False, validate_subscribe=True).build()
    got: list[Any] = []
    if how == "bound":
        await store.events.bind(declared).created.subscribe(got.append)
    else:
        await store.events.subscribe("user:created", got.append)

    await store.events.publish("user:created", payload)
    await witness.next("igniter.store.events.handle.error")

    assert got == []
    assert "An event for 'user:created' wasn't handled" in logged(logs)
    assert SECRET not in logged(logs) + repr(witness.emitted)


class Talkative:
    """A schema that quotes its input."""

    def validate(self, value: Any) -> Any:
        raise ValueError(f"{value!r} is wrong")


async def test_custom_schema_error_text_is_never_shown(
    watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    store = watched.add_events(Events.create("user").event("created", Talkative()).build()).build()

    with pytest.raises(StoreError) as caught:
        await store.events.publish("user:created", SECRET)

    assert caught.value.code == ErrorCode.STORE_SCHEMA_VALIDATION_FAILED
    assert SECRET not in shown(caught.value) + logged(logs) + repr(witness.emitted)


async def test_log_of_invalid_payload_never_shows_it(
    watched: Any, witness: Witness, logs: pytest.LogCaptureFixture
) -> None:
    """With `throw_on_validation_error=False`, publishing only logs the mismatch."""
    events = Events.create("user").event("created", Colour).build()
    store = watched.add_events(events, throw_on_validation_error=False).build()

    await store.events.publish("user:created", SECRET)

    assert "does not fit" in logged(logs)
    assert SECRET not in logged(logs) + repr(witness.emitted)
