"""Describes why a value doesn't fit a type: the kind of error and the place, never the value.

Rule: Text is shown only if it comes from the type or from a fixed list. msgspec, pydantic and most
    other programs quote the value in their messages.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from igniter_store.json_text import ForeignKey, NotJSON, SplitSurrogates, TooDeep

# msgspec's messages, as far as they only name types. Text that follows a matched group may quote
# the value.
_SAFE: Final = re.compile(
    r"Expected `[^`]+`, got `[^`]+`"
    r"|Expected `[^`]+` (?:[<>]=? -?[\d.]+|that's a multiple of [\d.]+|of length "
    r"[<>=]*\s?\d+)(?:, got \d+)?"
    r"|Expected `\w+` matching regex"
    r"|Object missing required field `[^`]+`"
    r"|Object contains unknown field"
    r"|Invalid (?:enum value|value|UUID|base64 encoded string|decimal string|RFC3339 encoded "
    r"(?:datetime|date|time)|ISO8601 duration"
    r"|MessagePack timestamp)"
    r"|(?:Number|Integer value|Timestamp|Duration) (?:is )?out of range"
    r"|JSON is malformed: [a-z0-9 -]+ \(byte \d+\)"
    r"|MessagePack data is malformed: [a-z0-9 -]+ \(byte \d+\)"
    r"|Input data was truncated"
)
_PLACE: Final = re.compile(r" - at `(?:key` in `)?(\$[\w.\[\]]*)`$")


class Unencodable(ValueError):  # noqa: N818 - names a property of the value
    """Raised for values that the built-in serializers refuse.

    The message contains only types and places, and nothing else about the value.

    Attributes:
        cure: what the caller can do, as a sentence.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


NON_FINITE: Final = (
    "JSON has no NaN and no infinity",
    "Store None or a string instead, or use the serializer MSGPACK.",
)
FOREIGN_KEY: Final = (
    "a mapping has a key that isn't a str, and JSON would turn it into one",
    "Make its keys str, or declare a class whose field has such keys.",
)


class Mismatch(ValueError):  # noqa: N818 - named for what it reports
    """Raised for data that doesn't fit a type.

    Attributes:
        kind: what is wrong, in the validating library's term ("missing").
        place: where, without the leading `$` (".items[3].price").
    """

    def __init__(self, kind: str, place: str = "") -> None:
        super().__init__(f"{kind} at ${place}" if place else kind)
        self.kind = kind
        self.place = place


_WORDS: Final[dict[Any, str]] = {
    NotJSON: "it isn't JSON",
    TooDeep: "it is nested too deeply, or holds itself",
    RecursionError: "it is nested too deeply, or holds itself",
    ForeignKey: FOREIGN_KEY[0],
    SplitSurrogates: "a str holds the two halves of one character, and JSON would join them",
    UnicodeDecodeError: "it isn't UTF-8",
    UnicodeEncodeError: "a str holds a lone surrogate, which UTF-8 has no bytes for",
    OverflowError: "a number is too large",
}


def reason(error: BaseException) -> str:
    """Return the kind of `error` and its place, as far as they are known and safe to show."""
    if isinstance(error, Unencodable):
        return str(error)
    text = str(error) if isinstance(error, msgspec.DecodeError) else ""
    outer = _PLACE.search(text)
    place = outer[1] if outer else ""
    # msgspec wraps an exception from a hook in its own error, and chains it.
    inner = error if isinstance(error, Mismatch) else error.__cause__
    if isinstance(inner, Mismatch):
        place = (place or "$") + inner.place if place or inner.place else ""
        return inner.kind + (f" at {place}" if place else "")
    safe, why = _SAFE.match(text), why_unsupported(error)
    words = (
        why[0]
        if why
        else safe[0]
        if safe
        else _WORDS.get(type(error)) or pydantic_kind(error) or type(error).__name__
    )
    return words + (f" at {place}" if place else "")


def pydantic_kind(error: Any) -> str | None:
    """Return the type of the first error in a pydantic `ValidationError`.

    The exception comes from the caller's own code, which may choose any field names.
    """
    if (
        type(error).__name__ != "ValidationError"
        or not hasattr(error, "errors")
        or isinstance(error, msgspec.MsgspecError)
    ):
        return None
    try:
        kind: Any = error.errors(include_url=False, include_context=False, include_input=False)[0][
            "type"
        ]
    except Exception:  # noqa: BLE001 - it only looked like one of pydantic's
        return None
    return kind if isinstance(kind, str) and kind.isidentifier() else None


def unsupported(error: BaseException) -> str:
    """Return the message for a type that values can't be converted to."""
    why = why_unsupported(error)
    if why is None:
        return (
            "`type` isn't a type that values can be converted to. Pass a class that msgspec or "
            "pydantic supports, or omit it."
        )
    return f"`type` can't be read from bytes: {why[0]}. {why[1]}"


def why_unsupported(error: BaseException) -> tuple[str, str] | None:
    """Return why a type can't be read, and the cure, if they are known."""
    text = str(error)
    # In msgspec's message, the sentence about unions comes before the type.
    union = text.partition(" - type ")[0] if isinstance(error, TypeError) else ""
    if union.startswith(("Type unions", "If a type union")):
        return union.replace("Type unions", "a union").replace("If a type", "if a").rstrip("."), (
            "Give each msgspec struct a tag, or install pydantic, which tells dataclasses and "
            "models apart (igniter-store[pydantic])."
        )
    if isinstance(error, TypeError) and "`InitVar`" in text:
        return "a dataclass has an InitVar, which isn't stored", (
            "Make it a field, or give it a default and install pydantic (igniter-store[pydantic])."
        )
    if isinstance(error, NameError):
        return "an annotation names what isn't defined", "Define it in the module of the class."
    return None
