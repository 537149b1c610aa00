"""The mutators: what can be subtly wrong with an argument, a result, or a method."""

from __future__ import annotations

import math
import struct
import unicodedata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Any], Any]


def _cut(length: int) -> Change:
    return lambda value: value[:length]


NAMES: Final[dict[str, Change]] = {
    "folds case": str.casefold,
    "lower-cases": str.lower,
    "normalizes to NFC": lambda name: unicodedata.normalize("NFC", name),
    "normalizes to NFKC": lambda name: unicodedata.normalize("NFKC", name),
    "strips blanks": str.strip,
    "strips trailing blanks": lambda name: name.rstrip(" "),
    "strips line ends": lambda name: name.rstrip("\r\n"),
    "cuts at NUL": lambda name: name.split("\0", 1)[0],
    "encodes as ASCII": lambda name: name.encode("ascii", "replace").decode(),
    "encodes as Latin-1": lambda name: name.encode("latin-1", "replace").decode("latin-1"),
    "leaves out the astral planes": lambda name: "".join(
        each if ord(each) < 0x10000 else "?" for each in name
    ),
    "replaces double colons": lambda name: name.replace("::", ":"),
    "strips slashes": lambda name: name.rstrip("/"),
    **{f"cuts at {length}": _cut(length) for length in (64, 128, 200, 255, 256, 512, 1_000, 1_023)},
}

BYTES: Final[dict[str, Change]] = {
    **{
        f"cuts at {length}": _cut(length)
        for length in (64, 255, 256, 1_000, 1_024, 4_096, 65_535, 65_536, 250_000)
    },
    "strips blanks": lambda value: bytes(value).strip(),
    "strips trailing NUL": lambda value: bytes(value).rstrip(b"\0"),
    "cuts at NUL": lambda value: bytes(value).split(b"\0", 1)[0],
    "decodes as UTF-8": lambda value: bytes(value).decode("utf-8", "replace").encode(),
    "lower-cases": lambda value: bytes(value).lower(),
    "replaces line ends": lambda value: bytes(value).replace(b"\r\n", b"\n"),
    "reads as a number": lambda value: (
        b"%d" % int(value) if bytes(value).isdigit() and len(value) < 20 else value
    ),
}

RESULTS: Final[dict[str, Change]] = {
    "gives a bytearray": lambda value: bytearray(value),  # noqa: PLW0108 - pyright: of what type?
    "gives a memoryview": lambda value: memoryview(value),  # noqa: PLW0108 - the same
    "gives a str": lambda value: value.decode("latin-1"),
}


def _float32(seconds: float) -> float:
    return float(struct.unpack("f", struct.pack("f", seconds))[0])


TTLS: Final[dict[str, Change]] = {
    "rounds up to seconds": lambda ttl: math.ceil(ttl),  # noqa: PLW0108 - as the others
    "rounds to seconds": lambda ttl: math.floor(ttl + 0.5) or 1.0,
    "rounds down to seconds": lambda ttl: math.floor(ttl) or ttl,
    "rounds down to milliseconds": lambda ttl: math.floor(ttl * 1_000) / 1_000 or 0.001,
    "rounds down to hundredths": lambda ttl: math.floor(ttl * 100) / 100 or 0.01,
    "rounds up to tenths": lambda ttl: math.ceil(ttl * 10) / 10,
    "clamps to 2^31 ms": lambda ttl: min(ttl, (2**31 - 1) / 1_000),
    "wraps at 2^31 ms": lambda ttl: (ttl * 1_000 % 2**31) / 1_000,
    "wraps at 2^32 ms": lambda ttl: (ttl * 1_000 % 2**32) / 1_000,
    "clamps to 2^31 s": lambda ttl: min(ttl, 2.0**31 - 1),
    "clamps to 30 days": lambda ttl: min(ttl, 30 * 86_400.0),
    "clamps to a year": lambda ttl: min(ttl, 365 * 86_400.0),
    "keeps a float32": _float32,
    "takes milliseconds": lambda ttl: ttl / 1_000,
    "adds a second": lambda ttl: ttl + 1,
    "takes a tenth of a second off": lambda ttl: max(ttl - 0.1, 0.0001),
}

IDLE_TIMES: Final[dict[str, Change]] = {
    name: change for name, change in TTLS.items() if name != "takes milliseconds"
}

DELTAS: Final[dict[str, Change]] = {
    "wraps at 32 bits": lambda delta: (delta + 2**31) % 2**32 - 2**31,
    "keeps a float64": lambda delta: int(float(delta)),
    "takes the absolute": abs,
    "ignores it": lambda _: 1,
    "makes 0 a 1": lambda delta: delta or 1,
}

LISTS: Final[dict[str, Change]] = {
    **{
        f"drops after {number}": _cut(number)
        for number in (1, 10, 100, 255, 256, 999, 1_000, 5_000)
    },
    "drops the last": lambda listed: list(listed)[:-1] if len(listed) > 1 else listed,
    "drops duplicates": lambda listed: list({repr(each): each for each in listed}.values()),
    "reverses chunks of 100": lambda listed: [
        each for at in range(0, len(listed), 100) for each in list(listed)[at : at + 100][::-1]
    ],
    "swaps chunks of 500": lambda listed: (
        [*list(listed)[500:1000], *list(listed)[:500], *list(listed)[1000:]]
        if len(listed) > 500
        else listed
    ),
    "reverses": lambda listed: list(listed)[::-1],
}

COUNTS: Final[dict[str, Change]] = {
    "one more": lambda count: count + 1,
    "one less": lambda count: count - 1 or count,
    "at most 100": lambda count: min(count, 100),
    "at most 255": lambda count: min(count, 255),
    "at most 1,000": lambda count: min(count, 1_000),
    "at least 10": lambda count: max(count, 10),
}
