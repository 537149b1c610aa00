"""Finds words that make this repository's prose hard to read; `nox -s lint` runs it.

It reads comments, docstrings and messages of Python files, and the text of Markdown files without
their code blocks. It prints each banned word with its place, and exits with 1 if there is one.

Rule: a string literal of fewer than three words is data, such as a key or a host name, and is
    skipped.
Rule: an exception stands in ALLOWED, with its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent

BANNED: Final = {
    r"nobody": "no caller, no reader, nothing",
    r"somebody": "another client, a caller, a reader",
    r"everybody": "every caller, all readers",
    r"anybody": "any caller, any client",
    r"whoever": "the caller that, the adapter that",
    r"whichever": "any, the one that",
    r"told": "reported, raised, returned, warned",
    r"knock(?:s|ed|ing)?": "probe, connect",
    r"(?<!there )is no(?= )(?! (?:longer|more|less)\b)": "isn't a",
    r"alone": "only, by itself",
}
"""Each banned word, as a regular expression, and what to write instead."""

ALLOWED: Final = {
    ("checks/wording.py", "*"): "it lists the words",
    ("CONTRIBUTING.md", "*"): "it quotes them",
    ("tests/test_wording.py", "*"): "it tests that they are found",
}
"""Pairs of a file and a word (`*` for all) that may stay, each with its reason."""

_WORD: Final = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.IGNORECASE)
_FENCE: Final = re.compile(r"^\s*```")
_CODE: Final = re.compile(r"`[^`]*`")
_TEXT: Final = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
_FEWEST_WORDS: Final = 3


def main() -> int:
    """Check every file that git knows."""
    listed = subprocess.run(
        # found on the PATH
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"{name}:{line}: {word!r}: write {_instead(word)}"
        for name in listed.stdout.split()
        if (ROOT / name).exists()
        for line, word in banned_words(ROOT / name)
        if (name, "*") not in ALLOWED and (name, word) not in ALLOWED
    ]
    if found:
        found.append(f"{len(found)} words to replace; see Wording in CONTRIBUTING.md.")
        print(*found, sep="\n")
    return 1 if found else 0


def banned_words(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the banned word, for each one in a Python or Markdown file."""
    texts = _of_python(file) if file.suffix == ".py" else _of_markdown(file)
    for first_line, text in texts:
        # A line at a time; code between backticks isn't prose.
        for number, line in enumerate(text.split("\n"), first_line):
            for match in _WORD.finditer(_CODE.sub("", line)):
                yield number, match[0].lower()


def _of_python(file: Path) -> Iterator[tuple[int, str]]:
    with file.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type not in _TEXT:
                continue
            if token.type == tokenize.COMMENT or len(token.string.split()) >= _FEWEST_WORDS:
                yield token.start[0], token.string


def _of_markdown(file: Path) -> Iterator[tuple[int, str]]:
    is_code = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield number, line


def _instead(word: str) -> str:
    return next(cure for banned, cure in BANNED.items() if re.match(banned, word + " "))


if __name__ == "__main__":
    sys.exit(main())
