"""Creates an engine from a URL.

A URL is `sqlite:///relative.db`, `sqlite:////absolute.db`, or `sqlite://` for a database in memory.

Rule: a path is made absolute at once, so the file stays the same if the process changes its
    working directory (LIF-21).
Rule: the query of a URL may contain a secret pasted into the wrong place, so a message never shows
    it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from igniter_store.adapter_tools.urls import parsed
from msgspec import Struct
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from igniter_store_sqlite.errors import ERRORS, NAME

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_MEMORY: Final = ":memory:"
_HOME: Final = re.compile(r"~($|[^/\\]*[/\\])")


class OwnEngine(Struct, frozen=True):
    """The engine of an adapter that owns it.

    Attributes:
        engine: the engine, which the adapter disposes of.
        connect_timeout: seconds that opening may take; `None` for the adapter's `timeout`.
    """

    engine: AsyncEngine
    connect_timeout: float | None


def parts_of(url: str) -> tuple[str | None, str]:
    """Return the absolute path of the file, `None` in memory, and the query.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: the URL is invalid.
    """
    parts = parsed(url, ("sqlite",), NAME)
    place = parts.place
    if place and not place.startswith("/"):
        raise ERRORS.misconfigured(
            "A SQLite URL is sqlite:///relative/path.db (three slashes), "
            "sqlite:////absolute/path.db (four slashes), or sqlite:// (in memory)."
        )
    try:
        path = unquote(place[1:], errors="strict")
        path.encode()
    except UnicodeError:
        raise ERRORS.misconfigured(
            "The path of the database isn't UTF-8. Write each byte of its UTF-8 as %XX, or rename "
            "the file."
        ) from None
    if "\0" in path:
        raise ERRORS.misconfigured("The path of the database contains a NUL character. Remove it.")
    # The path may be a variable that was empty. That must not select a database in memory, which is
    # lost with the process.
    if place == "/":
        raise ERRORS.misconfigured(
            "The path of the database is missing. For a database in memory, write sqlite:// (two "
            "slashes)."
        )
    if path.endswith("/"):
        raise ERRORS.misconfigured(
            "The path of the database is a folder. Write the path of a file, such as "
            "sqlite:///state.db."
        )
    if path[:5].lower() == "file:":
        raise ERRORS.misconfigured(
            "A SQLite URL takes a path, not a file: URI. Write sqlite:///state.db, or sqlite:// "
            "for a database in memory, or sqlite:///./file:state.db for a file with that name; a "
            "read-only file doesn't need a mode."
        )
    if _HOME.match(path):
        raise ERRORS.misconfigured(
            "A SQLite URL doesn't expand ~. Write the whole path, such as "
            "sqlite:////home/me/state.db, or sqlite:///./~/state.db for a folder with that name."
        )
    if path in {"", _MEMORY}:
        return None, parts.query
    try:
        path = os.path.abspath(path)  # noqa: PTH100 - a Path would drop a folder's slashes
    except OSError:
        raise ERRORS.misconfigured(
            "The path of the database is relative, but the working directory doesn't exist any "
            "more. Write an absolute path."
        ) from None
    return path, parts.query


def engine_for(path: str | None) -> AsyncEngine:
    """Create an engine for a file, or for a database in memory."""
    pool = StaticPool if path is None else NullPool
    return create_async_engine(
        URL.create("sqlite+aiosqlite", database=path or _MEMORY), poolclass=pool
    )


def frozen_engine_for(path: str) -> AsyncEngine:
    """Create an engine for a file that no process writes ("immutable").

    SQLite then needs no other files beside it, and ignores locks.
    """
    url = URL.create(
        "sqlite+aiosqlite", database=f"file:{quote(path)}", query={"immutable": "1", "uri": "true"}
    )
    return create_async_engine(url, poolclass=NullPool)
