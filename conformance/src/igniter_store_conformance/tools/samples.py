"""Names, payloads and numbers that reveal subtle bugs.

These are bugs in ordering, boundaries, prefixes, case, globs, encoding and truncation.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "a",
    "A",
    "ab",
    "b",
    "a ",
    " a",
    "a\n",
    "a\x00",
    "a\x00b",
    "a*",
    "a?",
    "[a]",
    "[^b]",
    "\\a",
    "a\\*",
    "a:b",
    "a::b",
    "a:b:",
    "a/../b",
    "a%2ab",
    "a'b",
    'a"; --',
    "1",
    "01",
    "1.0",
    "null",
    "\u00e9",  # one code point
    "e\u0301",  # looks the same, but is two code points
    "\u00df",  # folds to "ss"
    "ss",
    "\u05e9\u05dc",  # right-to-left text
    "\U0001f469\u200d\U0001f4bb",  # two emoji joined into one
)
"""Distinct names, some of which would become equal if a backend changed them.

The changes are case folding, trimming, normalizing, globbing and truncating.
"""

LONGEST_NAME: Final = 1_024
"""Bytes of the longest name that every backend accepts."""

PAYLOADS: Final = (
    b"",
    b"\x00",
    b"0",
    b" ",
    b" padded\t\r\n",
    b"trailing nul\x00\x00",
    b"null",
    b"\xff\xfe\x00 no text",
    b"\xe2\x28\xa1",
    bytes(range(256)),
    bytes(reversed(range(256))) * 3,
    b"\r\n$-1\r\n*1\r\n",  # markers of a protocol
    b"'); DROP TABLE store; --",
)
"""Payloads that some backends don't return unchanged.

These backends decode, trim, stop at NUL, or confuse an empty value with a missing one.
"""

NOT_INTEGERS: Final = (
    b"abc",
    b"1.0",
    b"1e3",
    b" 1",
    b"1 ",
    b"1\n",
    b"\n1",
    b"1\x00",
    b"01",
    b"-01",
    b"+1",
    b"-0",
    b"-",
    b"--1",
    b"\xff",
    b"",
    b"0x10",
    b"1_000",
    "\u0661".encode(),  # a digit in Unicode, but not for Redis
    b"9223372036854775808",
    b"-9223372036854775809",
    b"99999999999999999999999",
)
"""Values that Redis refuses to increment; Python's `int` accepts half of them."""

INTEGERS: Final = (
    b"0",
    b"7",
    b"-7",
    b"10",
    b"9007199254740993",
    b"9223372036854775806",
    b"-9223372036854775807",
)
"""Values that Redis increments; the fifth is 2**53 + 1, which a float can't represent."""

GLOBS: Final = (
    # pattern, names that it matches, names that it doesn't
    ("*", ("", "a", "abc", "a:b", "a\nb", "[x]"), ()),
    ("", ("",), ("a",)),
    ("a", ("a",), ("", "b", "aa", "A")),
    ("a*", ("a", "ab", "a:b:c", "a\n"), ("", "ba", "Ab")),
    ("*a", ("a", "ba", "aa"), ("ab", "")),
    ("a*b*c", ("abc", "axxbyyc", "abbc"), ("ab", "acb", "abcd")),
    ("**", ("", "ab"), ()),
    ("a?", ("ab", "a?", "a:"), ("a", "abc")),
    ("??", ("ab", "[]"), ("a", "abc")),
    ("h[ae]llo", ("hallo", "hello"), ("hillo", "haello", "h[ae]llo")),
    ("h[a-c]llo", ("hallo", "hbllo", "hcllo"), ("hdllo", "h-llo")),
    ("h[c-a]llo", ("hallo", "hbllo", "hcllo"), ("hdllo",)),
    ("h[^e]llo", ("hallo", "h^llo"), ("hello", "hllo")),
    ("h[!e]llo", ("hello", "h!llo"), ("hallo",)),
    ("a\\*b", ("a*b",), ("ab", "axb", "a\\*b")),
    ("a\\?", ("a?",), ("ab",)),
    ("\\[a]", ("[a]",), ("a",)),
    ("[*]", ("*",), ("a", "")),
    ("[\\]]", ("]",), ("\\", "a")),
    ("a.c", ("a.c",), ("abc",)),
    ("a+", ("a+",), ("aa",)),
    ("(a|b)", ("(a|b)",), ("a",)),
    ("user:*:name", ("user:1:name", "user::name", "user:1:2:name"), ("user:1", "user:1:names")),
    ("\u00e9*", ("\u00e9", "\u00e9t\u00e9"), ("e\u0301",)),
)
"""Globs of Redis, checked with Redis 6.2 and Valkey 9.1.

Python's `fnmatch` fails at the negations and the escapes, and LIKE in SQL at most of them.
"""
