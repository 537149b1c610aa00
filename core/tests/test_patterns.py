"""Globs as Redis and Valkey match them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igniter_store.contract import Pattern, escape

# Results of SCAN MATCH on Redis 6.2.14 and Valkey 9.1.2: a pattern, the names that match, and the
# names that don't.
SEEN: list[tuple[str, list[str], list[str]]] = [
    ("", [], ["a"]),
    ("a", ["a"], ["ab", "A"]),
    ("?", ["a", "\n"], ["é"]),
    ("??", ["é", "ab"], []),
    ("é", ["é"], ["e\u0301"]),
    ("[é]", [], ["é"]),
    ("[é][é]", ["é"], []),
    ("?*", ["é", "a"], []),
    ("[!e]", ["!", "e"], ["a"]),
    ("[^e]", ["a", "^"], ["e"]),
    ("[e-a]", ["a", "c", "e"], ["-", "f"]),
    ("[a-c]", ["a", "b", "c"], ["d", "-"]),
    ("\\*", ["*"], ["\\*", "a"]),
    ("[*]", ["*"], ["a"]),
    ("[?]", ["?"], ["a"]),
    ("[ab", ["a", "b"], ["c", "["]),
    ("[", [], ["["]),
    ("a[", [], ["a", "a["]),
    ("a[^", ["ab", "a^"], ["a"]),
    ("[^", ["a", "^"], []),
    ("[]", [], ["]", "[]", "a"]),
    ("[]a]", [], ["]", "a]", "a", "]a]"]),
    ("[^]", ["a", "]", "^"], []),
    ("[^]a]", ["ba]"], ["a", "b"]),
    ("[a-]", ["a", "]"], ["-", "\\", "b"]),
    ("[a-]]", ["a", "]", "^"], ["a]"]),
    ("[-a]", ["-", "a"], ["b"]),
    ("[a\\-c]", ["a", "-", "c"], ["b"]),
    ("[\\]]", ["]"], ["\\"]),
    ("[\\^a]", ["^", "a"], ["b"]),
    ("[^^]", ["a"], ["^"]),
    ("[a^]", ["a", "^"], ["b"]),
    ("[\\a-c]", ["a", "c", "-"], ["\\", "b"]),
    ("[a-\\c]", ["a", "\\", "^"], ["b", "c]"]),
    ("[a-\\]", ["a", "]", "\\", "^"], []),
    ("\\", ["\\"], ["a"]),
    ("a\\", ["a\\"], ["a"]),
    ("\\\\", ["\\"], ["\\\\"]),
    ("\\a", ["a"], ["\\a"]),
    ("\\[a]", ["[a]"], ["a"]),
    ("[[]", ["["], []),
    ("[[a]]", ["[]", "a]"], ["a"]),
    ("*", ["a", "a\nb", "é"], []),
    ("**", ["a"], []),
    ("a*", ["a", "ab"], ["ba"]),
    ("*a", ["a", "ba"], ["ab"]),
    ("a*b*c", ["abc", "axbxc"], ["acb", "abcb"]),
    ("*aab*", ["aaab"], ["ab"]),
    ("a\nb", ["a\nb"], []),
    ("a?b", ["a\nb"], ["ab"]),
    ("a.b", ["a.b"], ["axb"]),
    ("a|b", ["a|b"], ["a"]),
    ("(a)", ["(a)"], ["a"]),
    ("a+", ["a+"], ["aa"]),
    ("^a$", ["^a$"], ["a"]),
    ("{a,b}", ["{a,b}"], ["a"]),
    ("[a-é]", ["a", "A", "\n"], ["b", "é"]),
    ("[a-é][é]", ["é"], []),
    ("[a&&b]", ["&", "a", "b"], []),
    ("[a||b]", ["|"], []),
    ("[a--b]", ["a", "-", "b"], ["b]"]),
    ("[--a]", ["-", "a", "0", "A"], []),
    ("[z-a]", ["m"], []),
    ("[a-a]", ["a"], ["b"]),
    ("[A-z]", ["_", "[", "a"], []),
    ("[0-9-]", ["-", "5"], ["a"]),
    ("[0-9-a]", ["-", "5", "a", "9"], []),
]
# The alphabet has few plain characters, so that the special characters of a glob occur together.
TEXTS = st.text(alphabet="ab-^!*?[]\\\n\u00e9", max_size=8)


@pytest.mark.clause("PUB-7", "SCN-2")
@pytest.mark.parametrize(
    ("pattern", "matching", "others"), SEEN, ids=[repr(pattern) for pattern, _, _ in SEEN]
)
def test_pattern_matches_same_names_as_servers(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    matched = [subject for subject in matching + others if Pattern(pattern).matches(subject)]

    assert matched == matching


@pytest.mark.clause("PUB-7")
@pytest.mark.parametrize(
    ("character", "size"), [("a", 1), ("\u00e9", 2), ("\u20ac", 3), ("\U0001f600", 4)]
)
def test_a_question_mark_is_one_byte(character: str, size: int) -> None:
    matching = [count for count in range(6) if Pattern("?" * count).matches(character)]

    assert matching == [size]


@pytest.mark.clause("PUB-7")
def test_forms_of_one_character_are_different_names() -> None:
    assert not Pattern("\u00e9").matches("e\u0301")
    assert not Pattern("e\u0301*").matches("\u00e9")


@pytest.mark.clause("PUB-7")
@pytest.mark.parametrize(
    "pattern",
    [
        "*" * 5_000,
        "a*" * 500,
        "*a" * 500 + "b",
        "*?" * 400 + "*b",
        "*[ab]" * 400 + "c*",
        "*aab" * 50,
    ],
)
def test_many_stars_take_no_exponential_time(pattern: str) -> None:
    # A matcher that tries every position for every star would run almost forever here.
    subject = "a" * 5_000

    assert Pattern(pattern).matches(subject) is (pattern in {"*" * 5_000, "a*" * 500})


@pytest.mark.clause("SCN-2")
@given(name=TEXTS, other=TEXTS)
def test_escaped_name_matches_only_itself(name: str, other: str) -> None:
    assert Pattern(escape(name)).matches(name)
    assert Pattern(escape(name)).matches(other) is (name == other)


@pytest.mark.clause("SCN-2")
@given(name=TEXTS, end=TEXTS, other=TEXTS)
def test_escaped_prefix_with_star_matches_by_prefix(name: str, end: str, other: str) -> None:
    under = Pattern(escape(name) + "*")

    assert under.matches(name + end)
    assert under.matches(other) is other.startswith(name)


@given(pattern=TEXTS, subject=TEXTS)
def test_any_text_is_a_pattern(pattern: str, subject: str) -> None:
    assert Pattern(pattern).text == pattern
    assert Pattern(pattern).matches(subject) in {True, False}


@given(parts=st.lists(TEXTS, max_size=4), between=st.lists(TEXTS, min_size=5, max_size=5))
def test_stars_between_literals_match_any_text_between_them(
    parts: list[str], between: list[str]
) -> None:
    pattern = "*".join(escape(part) for part in parts)
    subject = "".join(
        part + (between[place] if place < len(parts) - 1 else "")
        for place, part in enumerate(parts)
    )

    assert Pattern(pattern).matches(subject)
