"""`store.dev`: looking at the keys that are there, for tools and debugging.

Semantics are clauses SCN-1 to SCN-6 of the contract. A scan sees this store and scope only,
whatever characters its identifiers hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.arguments import invalid, plain_text, whole_number
from igniter_store.contract import START, ErrorCode, ScanPage, escape, store_error
from igniter_store.keys import NAMESPACES, OWN_NAMESPACES, checked_key
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCAN: Final = Operation("dev.scan", ErrorCode.STORE_SCAN_FAILED)


class DevNamespace(Namespace):
    r"""Scans, by Redis's globs: `*` any run, `?` one byte, `[ab]` a choice, `[^a]` none of it, `\\`
    takes what follows literally.
    """

    word = "dev"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._root: Final = surroundings.prefix

    async def scan(
        self, pattern: str, *, cursor: str = START, count: int = 100, namespace: str = "kv"
    ) -> ScanPage:
        """One page of the keys that match. Redis SCAN; SCN-1 to SCN-4.

        Args:
            pattern: over keys as `kv.get` takes them.
            cursor: "0" to begin, then what the page before gave; "0" again says that this was the
                last.
            count: how many keys the backend looks at; a hint. Empty pages with a live cursor
                happen.
            namespace: "kv", "counter", "claim", "streams", or another namespace of keys.

        Returns:
            A page with `.keys`, without duplicates within the page, and `.cursor`. A key that other
            software wrote may not be UTF-8: its bytes are lone surrogates then, as with Python's
            `errors="surrogateescape"`, and every operation takes it so; SCN-8.

        Raises:
            InvalidArgument: `STORE_SCAN_PATTERN_REQUIRED` without a pattern;
                `STORE_ARGUMENT_INVALID` for another argument.
            BackendFailed: `STORE_SCAN_FAILED` for a cursor that no scan gave.
        """
        with self._attempt(SCAN):
            wanted = checked_key(pattern, "pattern", ErrorCode.STORE_SCAN_PATTERN_REQUIRED)
            prefix = self._root + _namespace(namespace) + ":"
            page = await self._through.scan.scan(
                escape(prefix) + wanted,
                cursor=_cursor(cursor),
                count=whole_number(count, "count", least=1),
            )
            return ScanPage(
                page.cursor, [key.removeprefix(prefix) for key in dict.fromkeys(page.keys)]
            )

    async def iterate(
        self, pattern: str, *, count: int = 100, namespace: str = "kv"
    ) -> AsyncIterator[str]:
        """Every key that matches, page after page; holds one page at a time, so a key may come
        twice when others change meanwhile.

        Arguments and errors as `scan`.
        """
        cursor = START
        while True:
            page = await self.scan(pattern, cursor=cursor, count=count, namespace=namespace)
            for key in page.keys:
                yield key
            cursor = page.cursor
            if cursor == START:
                return


def _namespace(namespace: Any) -> str:
    words = (*NAMESPACES, *OWN_NAMESPACES)
    word = plain_text(namespace)
    if word not in words:
        raise invalid(f"`namespace` must be one of {', '.join(words)}.")
    return word


def _cursor(cursor: Any) -> str:
    text = plain_text(cursor)
    if not text or not text.isascii() or not text.isprintable():
        raise store_error(
            ErrorCode.STORE_SCAN_FAILED,
            ('The cursor is invalid. Begin with "0", then pass the cursor of the previous page.'),
        )
    return text
