r"""Redis's glob patterns, for backends that match in Python.

Channels (PUB-7) and keys (SCN-2) use the same matcher, because the server has only one.

Rule: `*` matches any run of bytes, `?` matches one byte, `[ab]` matches either, `[^a]` matches any
    byte except `a`, `[a-c]` matches a range in either direction, and `\\` makes the next character
    literal, everywhere. `[!a]` matches `!` or `a`. Python's `fnmatch` differs in three of these
    rules: don't use it.
Rule: the server compares bytes, not characters: `?` matches half of an `é`. With plain text and `*`
    there is no difference.
"""

from __future__ import annotations

import re
from typing import Final

from igniter_store.contract.names import name_to_bytes

_SPECIAL: Final = re.compile(r"([*?\[\\])")
_ANY: Final = ""  # represents `*`; every other token matches exactly one byte


def escape(text: str) -> str:
    """Return a pattern that matches only `text`."""
    return _SPECIAL.sub(r"\\\1", text)


class Pattern:
    """A compiled glob.

    The time of a match is linear in the subject and the pattern, regardless of the number of stars.
    """

    __slots__ = ("_match", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self._match = re.compile(_regex(_tokens(_as_bytes(text))), re.DOTALL).fullmatch

    def matches(self, subject: str) -> bool:
        """True if the pattern matches the whole of `subject`."""
        return self._match(_as_bytes(subject)) is not None


def _as_bytes(text: str) -> str:
    # Returns a `str` with one character for each byte of the name.
    return text if text.isascii() else name_to_bytes(text).decode("latin-1")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "*":
            if not tokens or tokens[-1] != _ANY:
                tokens.append(_ANY)
        elif text[at] == "?":
            tokens.append(".")
        elif text[at] == "[":
            token, at = _choice(text, at + 1)
            tokens.append(token)
        else:
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
            tokens.append(re.escape(text[at]))
        at += 1
    return tokens


def _choice(text: str, at: int) -> tuple[str, int]:
    # Parses from the character after `[` to its `]`, or to the end of the pattern, which also ends
    # a choice. The order of the checks is the server's: first an escape, then the end, then a
    # range. So `[a-]` is the range from `a` to `]`, and the choice is still open.
    negated = text[at : at + 1] == "^"
    at += negated
    members: list[str] = []
    while at < len(text) and text[at] != "]":
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
            members.append(re.escape(text[at]))
        elif text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            members.append(_range(text[at], text[at + 2]))
            at += 2
        else:
            members.append(re.escape(text[at]))
        at += 1
    if not members:
        return ("." if negated else "(?!)"), at
    return f"[{'^' * negated}{''.join(members)}]", at


def _range(begin: str, end: str) -> str:
    # On x86 the server's `char` is signed, so bytes beyond ASCII sort before ASCII. `[a-é]`
    # therefore runs from the first byte of `é` to the highest byte, and continues from the lowest
    # byte to `a`.
    low, high = sorted((begin, end), key=lambda byte: (byte.isascii(), byte))
    return (
        f"{re.escape(low)}-{re.escape(high)}"
        if low <= high
        else f"{low}-\xff\x00-{re.escape(high)}"
    )


def _regex(tokens: list[str]) -> str:
    # Between two stars, the first match is as good as any other, so each run is an atomic group.
    # Without backtracking over stars, no pattern takes exponential time.
    runs: list[str] = [""]
    for token in tokens:
        if token == _ANY:
            runs.append("")
        else:
            runs[-1] += token
    if len(runs) == 1:
        return runs[0]
    middle = "".join(f"(?>.*?{run})" for run in runs[1:-1])
    return f"{runs[0]}{middle}.*{runs[-1]}"
