"""A support chat: two agents answer customers, and one agent dies with open questions.

Things to notice: A stream keeps all messages, and a group of consumers distributes them, each to
one consumer. A message stays pending until its consumer acknowledges it; `claim` takes over the
messages of a dead consumer. No message is lost, and the death needs no detection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from igniter_store_cli.demo.concurrency import at_once, meanwhile, until, until_true
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store import Store
    from igniter_store.namespaces.groups import ConsumerGroup

    from igniter_store_cli.demo.orders import Order

STREAM: Final = "chat"
GROUP: Final = "support"
TAKEN: Final = 10  # questions that Kwame reads, if there are enough; he dies after the third
IDLE: Final = 0.15  # seconds after which a pending question counts as abandoned


class Question(Struct, frozen=True):
    """A message from a customer."""

    customer: str
    order: str
    text: str


async def ask(store: Store[str], order: Order) -> str:
    """Write a question about an order, and return its id in the stream."""
    text = (
        f"Hello, this is {order.customer.name}. Where is {order.id}? The page says {order.status}."
    )
    return await store.streams.append(STREAM, Question(order.customer.id, order.id, text))


async def kwame(store: Store[str], answers: Counter[str], in_hand: list[str], wanted: int) -> None:
    """Read some questions, answer the first of them, and never return."""
    group = store.streams.group(GROUP, "kwame")
    taken: list[str] = []
    while len(taken) < wanted:
        taken += [
            message.id
            for message in await group.read(
                STREAM, count=wanted - len(taken), block=1, type=Question
            )
        ]
    done = wanted * 3 // TAKEN
    for id in taken[:done]:
        answers[id] += 1
        await group.ack(STREAM, [id])
    in_hand += taken[done:]
    await asyncio.Event().wait()


async def ines(store: Store[str], answers: Counter[str], taken_over: list[str]) -> None:
    """Answer new questions; if there are none, take over abandoned ones."""
    group = store.streams.group(GROUP, "ines")
    while True:
        messages = await group.read(STREAM, count=20, block=IDLE / 3, type=Question)
        if not messages:
            messages = await group.claim(STREAM, min_idle=IDLE, type=Question)
            taken_over += [message.id for message in messages]
        for message in messages:
            answers[message.id] += 1
        await group.ack(STREAM, [message.id for message in messages])


async def perform(stage: Stage) -> None:
    """Let all customers write, let Kwame die, and check that every question is answered once."""
    store = stage.store
    group = store.streams.group(GROUP, "observer")
    await group.ensure(STREAM)
    answers: Counter[str] = Counter()
    taken_over: list[str] = []
    in_hand: list[str] = []

    async with meanwhile(
        kwame(store, answers, in_hand, min(TAKEN, len(stage.orders.accepted)))
    ) as dying:
        asked = await at_once(ask(store, order) for order in stage.orders.accepted)
        await until(lambda: bool(in_hand) or dying.done())
    # Leaving the block cancelled his task: he died.
    pending = [message.id for message in await group.pending(STREAM) if message.consumer == "kwame"]
    stage.check("pending messages of the dead agent", expected=in_hand, found=pending)
    stage.check("the dead agent had open questions", expected=True, found=len(in_hand) > 0)

    async with meanwhile(ines(store, answers, taken_over)) as living:
        await until(lambda: len(answers) >= len(asked) or living.done())
        await until_true(lambda: has_no_pending(group))
        await asyncio.sleep(IDLE / 2)  # no question may be answered a second time meanwhile
        await stage.show_keys(store, "streams")

    stage.check("messages taken over by the other agent", expected=in_hand, found=taken_over)
    stage.check("questions without an answer", expected=0, found=len(set(asked) - set(answers)))
    stage.check(
        "questions answered twice", expected=0, found=sum(times > 1 for times in answers.values())
    )
    stage.check("questions pending at the end", expected=0, found=len(await group.pending(STREAM)))
    stage.check(
        "questions kept in the stream",
        expected=len(asked),
        found=await store.streams.length(STREAM),
    )
    stage.measured = (
        f"{len(asked)} questions, {len(answers)} answered, {len(taken_over)} taken over from a "
        "dead agent"
    )


async def has_no_pending(group: ConsumerGroup) -> bool:
    """Return True if every delivered message is acknowledged."""
    return not await group.pending(STREAM)


PLAY: Final = Play(
    "chat",
    "A dead consumer's messages are taken over, and every message is handled once.",
    perform,
)
