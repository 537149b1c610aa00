r"""Redis's globs, for backends that match in Python. One matcher for channels (PUB-7) and keys
(SCN-2), because the server has one.

Rule: `*` is any run, `?` one byte, `[ab]` a choice, `[^a]` none of it, `[a-c]` a range in either
    direction, `\\` takes the next character
literally, everywhere. `[!a]` is `!` or `a`. Python's `fnmatch` differs in three of these: don't use
it.
Rule: the server compares bytes, not characters: `?` matches half of an `é`. Plain text and `*`
    don't show it.
"""

from __future__ import annotations

import re
from typing import Final

from igniter_store.contract.names import name_to_bytes

_SPECIAL: Final = re.compile(r"([*?\[\\])")
_ANY: Final = ""  # stands for `*` between the other tokens, each of which matches exactly one byte


def escape(text: str) -> str:
    """`text` as a pattern that matches `text` alone."""
    return _SPECIAL.sub(r"\\\1", text)


class Pattern:
    """A glob, read once and matched often, in time proportional to the subject and the pattern
    however many stars there are.
    """

    __slots__ = ("_match", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._match = re.compile(_regex(_tokens(_as_bytes(text))), re.DOTALL).fullmatch

    def matches(self, subject: str) -> bool:
        """True when the whole of `subject` is matched."""
        return self._match(_as_bytes(subject)) is not None


def _as_bytes(text: str) -> str:
    # A `str` with one character for each byte of the name.
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
    # From behind the `[` to its `]`, or to the end of the pattern, which closes a choice as well.
    # Follows the server's reading order: an escape first, then the end, then a range, so `[a-]` is
    # the range from `a` to `]`, still open.
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
    # The server's `char` has a sign, on x86: the bytes beyond ASCII come before it, so `[a-é]` runs
    # from the first byte of `é` up to the last of all, and goes on from the first of all to `a`.
    low, high = sorted((begin, end), key=lambda byte: (byte.isascii(), byte))
    return (
        f"{re.escape(low)}-{re.escape(high)}"
        if low <= high
        else f"{low}-\xff\x00-{re.escape(high)}"
    )


def _regex(tokens: list[str]) -> str:
    # Between two stars the first place that fits is as good as any, so each run is an atomic group:
    # no backtracking over stars, hence no pattern that takes exponential time.
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
