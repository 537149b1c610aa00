"""Names, payloads and numbers that tell right from nearly right: order, boundary, prefix, case,
glob, encoding and truncation bugs show.
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
    "e\u0301",  # the same to look at, in two
    "\u00df",  # folds to "ss"
    "ss",
    "\u05e9\u05dc",  # written from the right
    "\U0001f469\u200d\U0001f4bb",  # two emoji joined to one
)
"""All different, though folding, trimming, normalizing, globbing or cutting would make some of them
one.
"""

LONGEST_NAME: Final = 1_024
"""Bytes of the longest name that every backend takes."""

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
    b"\r\n$-1\r\n*1\r\n",  # a protocol's own marks
    b"'); DROP TABLE store; --",
)
"""Bytes that a backend which decodes, trims, stops at NUL or mistakes empty for missing does not
give back.
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
    "\u0661".encode(),  # a digit, but not to Redis
    b"9223372036854775808",
    b"-9223372036854775809",
    b"99999999999999999999999",
)
"""What Redis refuses to increment; Python's `int` takes half of them."""

INTEGERS: Final = (
    b"0",
    b"7",
    b"-7",
    b"10",
    b"9007199254740993",
    b"9223372036854775806",
    b"-9223372036854775807",
)
"""What Redis increments; the fifth is 2**53 + 1, which a float can't hold."""

GLOBS: Final = (
    # pattern, what it matches, what it doesn't
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
"""Redis's globs, run on Redis 6.2 and Valkey 9.1.

Python's `fnmatch` fails at the negations and the escapes, SQL's LIKE at most.
"""
