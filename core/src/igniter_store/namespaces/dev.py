"""`store.dev`: list existing keys, for tools and debugging.

Rule: semantics are the clauses SCN of the contract.
Rule: a scan returns only keys of this store and scope, whatever characters its identifiers contain.
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
    r"""Scans by Redis glob patterns.

    `*` matches any run of characters, `?` one byte, `[ab]` either character, `[^a]` any other
    character. `\\` escapes the next character.
    """

    word = "dev"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._root: Final = surroundings.prefix

    async def scan(
        self, pattern: str, *, cursor: str = START, count: int = 100, namespace: str = "kv"
    ) -> ScanPage:
        """Return one page of matching keys. Redis SCAN; SCN-1 to SCN-4.

        Args:
            pattern: a glob over keys as `kv.get` accepts them.
            cursor: "0" for the first page, then the cursor of the previous page. A returned cursor
                of "0" marks the last page.
            count: how many keys the backend examines; a hint. A page can be empty although its
                cursor isn't "0".
            namespace: "kv", "counter", "claim", "streams", or another namespace of keys.

        Returns:
            A page with `.keys`, without duplicates within the page, and `.cursor`. A key written by
            other software may not be UTF-8. Its invalid bytes are then lone surrogates, as with
            Python's `errors="surrogateescape"`, and every operation accepts the key in this form;
            SCN-8.

        Raises:
            InvalidArgument: `STORE_SCAN_PATTERN_REQUIRED` without a pattern;
                `STORE_ARGUMENT_INVALID` for any other invalid argument.
            BackendFailed: `STORE_SCAN_FAILED` for a cursor that no scan returned.
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
        """Iterate over all matching keys, page by page.

        Only one page is held in memory, so a key may be returned twice if keys change during the
        iteration.

        Arguments and errors as in `scan`.
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
