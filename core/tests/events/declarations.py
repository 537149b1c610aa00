"""Events that the tests publish, declared in both ways."""

from __future__ import annotations

from typing import Any

import msgspec
import pydantic
from igniter_store import EventGroup, Events, event, group


class Email(msgspec.Struct):
    address: str


class UserCreated(msgspec.Struct):
    id: int
    name: str = "unnamed"


class Order(pydantic.BaseModel):
    id: int


class Positive:
    """A schema that is neither a type nor a model."""

    def validate(self, value: Any) -> Any:
        if value <= 0:
            raise ValueError
        return value * 10


class NotificationEvents(EventGroup):
    email = event(Email)
    password_reset = event(str, name="password-reset")


class AccountEvents(EventGroup):
    notifications = group(NotificationEvents)


class UserEvents(EventGroup, namespace="user"):
    created = event(UserCreated)
    ordered = event(Order)
    notifications = group(NotificationEvents)
    account = group(AccountEvents, name="my-account")


FLUENT = (
    Events.create("user")
    .event("created", UserCreated)
    .event("scored", Positive())
    .group(
        "notifications",
        lambda g: g.event("email", Email).group("urgent", lambda u: u.event("sms", str)),
    )
    .build()
)
