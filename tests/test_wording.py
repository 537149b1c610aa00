"""`checks/wording.py`, which `nox -s lint` runs, finds the words that prose here avoids."""

# no clause: the contract doesn't cover the wording.

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

CHECK: dict[str, Any] = runpy.run_path(str(Path(__file__).parent.parent / "checks" / "wording.py"))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", '"""One line.\n\nNobody waits.\n"""\n', [(3, "nobody")]),
        ("a.py", "wait()  # until somebody comes\n", [(1, "somebody")]),
        ("a.py", 'raise ValueError(f"{key} is no key of this store")\n', [(1, "is no")]),
        ("a.py", 'key = "nobody"  # `told` is code\ntold = alone\n', []),
        ("a.md", "It is told.\n```\nnobody\n```\nIt alone\n", [(1, "told"), (5, "alone")]),
        ("a.md", "There is no other way, and it is no longer slow.\n", []),
    ],
)
def test_banned_words_are_found_in_prose(
    tmp_path: Path, name: str, text: str, found: list[tuple[int, str]]
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")

    assert list(CHECK["banned_words"](file)) == found
