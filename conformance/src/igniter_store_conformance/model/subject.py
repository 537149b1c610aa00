"""An adapter in the model's terms.

The model calls it with short names and the reference's ids, and gets replies in the reference's
terms.

Rule: values that a backend chooses are translated. Its ids become the reference's ids, and a token
    becomes True.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, Final, cast

from igniter_store.contract import Adapter, Entry, GroupInfo, PendingEntry, StoreError, StreamEntry
from igniter_store.contract.stream_ids import parse, spell

from igniter_store_conformance.engine.watchdog import Hangs
from igniter_store_conformance.model.reference import Id, is_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

UNKNOWN: Final[Id] = (7, 7)
"""An id that no stream ever gave out."""

# Seconds that a run may really take: replies in seconds agree if they differ by less
_CLOSE: Final = 40.0
_OF_MANY_KEYS: Final = {"delete", "mget", "mset"}


class Subject:
    """One open adapter, with the reference's names for its ids.

    Args:
        trial: the trial that supplies the keys.
        adapter: the adapter to call, if it isn't the trial's first client.
        numbered: True if the reference makes ids of its own; False if it uses the backend's.
    """

    def __init__(
        self, trial: Trial, adapter: FullAdapter | None = None, *, numbered: bool = True
    ) -> None:
        self.trial: Final = trial
        self.adapter: FullAdapter = trial.adapter if adapter is None else adapter
        self._numbered = numbered
        self._real: dict[Id, str] = {}
        self._numbers: dict[str, dict[str, Id]] = {}
        self._tokens: dict[str, int] = {}

    def through(self, adapter: FullAdapter) -> Subject:
        """Return another client of the same data, which knows the same ids and tokens."""
        other = copy.copy(self)
        other.adapter = adapter
        return other

    async def ask(
        self,
        name: str,
        arguments: Sequence[Any],
        options: Mapping[str, Any],
        *,
        new_id: Id | None = None,
    ) -> Any:
        """Return the adapter's reply, or the code of the error that it raised.

        An id in the reply of `xadd` is mapped to `new_id` from now on.
        """
        self.trial.watch.beat()
        limit = asyncio.timeout(self.trial.watch.for_one_call)
        try:
            async with limit:
                answer = await getattr(self.adapter, name)(
                    *self.own_arguments(name, arguments),
                    **self.own_options(name, arguments, options),
                )
        except StoreError as error:
            self._check(name, error)
            return error.code
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Hangs(
                f"{name}{tuple(arguments)!r} was not answered: something waits for what never comes"
            ) from error
        if name == "xadd":
            return self.learned(arguments[0], answer, new_id)
        if name == "acquire":
            return None if answer is None else self._grown(arguments[0], answer)
        return self._with_model_ids(
            arguments[0] if arguments and isinstance(arguments[0], str) else "", answer
        )

    def _check(self, name: str, error: StoreError) -> None:
        """Check what every error has to have: the backend's name, and no key."""
        adapter: Any = self.adapter
        if not isinstance(adapter, Adapter):
            return  # an error of another process arrives as its code
        # An adapter that wraps another one passes on the name of that one.
        assert error.backend, f"{name}: the error doesn't name the backend"
        cause: BaseException | None = error
        while cause is not None:
            assert self.trial.prefix not in f"{cause} {cause!r}", (
                f"{name}: the error, or its cause, contains a key (LIF-22)"
            )
            cause = cause.__cause__ or cause.__context__

    def own_arguments(self, name: str, arguments: Sequence[Any]) -> list[Any]:
        """The arguments with complete keys and real ids."""
        if name in _OF_MANY_KEYS:
            return [[self._own_key(part) for part in arguments[0]]]
        return [self.trial.key(arguments[0]), *(self._own(argument) for argument in arguments[1:])]

    def own_options(
        self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The options with real ids, and with the token key, which only the backend needs."""
        own = {option: self._own(value) for option, value in options.items()}
        return (
            own | {"token_key": self.trial.token_key(self.trial.key(arguments[0]))}
            if name == "acquire"
            else own
        )

    def forget(self, stream: str) -> None:
        """Forget the ids of a lost stream: the next stream of its name starts anew."""
        self._numbers.pop(stream, None)

    def _own_key(self, part: str | Entry) -> str | Entry:
        return (
            Entry(self.trial.key(part.key), part.value, part.ttl)
            if isinstance(part, Entry)
            else self.trial.key(part)
        )

    def _own(self, argument: Any) -> Any:
        if is_id(argument):
            return self._real.get(argument) or spell(argument)
        if isinstance(argument, list):
            # arguments are anything
            return [self._own(part) for part in argument]  # pyright: ignore[reportUnknownVariableType]
        return argument

    def learned(self, stream: str, real: Any, new_id: Id | None) -> Id:
        """Map an id that `xadd` returned to `new_id`, and return what the model calls it."""
        number = parse(real) if isinstance(real, str) else None
        assert number is not None, f"xadd returned {real!r}, which isn't an id"
        if not self._numbered or new_id is None:
            return number
        known = self._numbers.setdefault(stream, {})
        newest = parse(next(reversed(known))) if known else None
        assert newest is None or number > newest, (
            f"xadd returned {real!r}, and the stream had later ids"
        )
        known[real] = new_id
        self._real[new_id] = real
        return new_id

    def _grown(self, claim: str, token: Any) -> bool:
        assert type(token) is int, f"acquire returned {token!r}, which isn't a token"
        if self._numbered:
            assert token > self._tokens.get(claim, 0), (
                "acquire returned a token that is not greater than the one before"
            )
            self._tokens[claim] = token
        return True

    def _with_model_ids(self, stream: str, answer: Any) -> Any:
        match answer:
            case list():
                # answers are anything
                return [self._with_model_ids(stream, part) for part in answer]  # pyright: ignore[reportUnknownVariableType]
            case StreamEntry():
                return (self._id(stream, answer.id), dict(answer.fields))
            case PendingEntry():
                return (
                    self._id(stream, answer.id),
                    answer.consumer,
                    float(answer.idle),
                    answer.deliveries,
                )
            case GroupInfo():
                return (answer.name, answer.pending, self._id(stream, answer.last_delivered_id))
            case _:
                return answer

    def _id(self, stream: str, real: str) -> Id:
        number = parse(real)
        assert number is not None, f"{real!r} isn't an id"
        return self._numbers.get(stream, {}).get(real, number)


def agree(expected: Any, answer: Any) -> bool:
    """Return True if the two are equal; seconds may differ by the duration of a run."""
    if type(expected) is not type(answer):
        return False
    if isinstance(expected, (list, tuple)):
        ours, theirs = cast("Sequence[Any]", expected), cast("Sequence[Any]", answer)
        return len(ours) == len(theirs) and all(
            agree(one, other) for one, other in zip(ours, theirs, strict=True)
        )
    if isinstance(expected, float):
        return bool(expected == answer or abs(expected - answer) < _CLOSE)
    return bool(expected == answer)
