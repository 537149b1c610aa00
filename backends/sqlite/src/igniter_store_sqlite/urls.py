"""From a URL to an engine: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` in memory.

Rule: a path is made absolute at once: where the file is doesn't change with the process's folder (LIF-21).
Rule: what stands in a URL's query may be a secret that was pasted into the wrong place, so a message never shows it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from igniter_store.contract.urls import parsed
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from igniter_store_sqlite.errors import NAME, misconfigured

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_MEMORY: Final = ":memory:"
_HOME: Final = re.compile(r"~($|[^/\\]*[/\\])")


def parts_of(url: str) -> tuple[str | None, str]:
    """The absolute path of the file, `None` in memory, and the query.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: it is no such URL.
    """
    parts = parsed(url, ("sqlite",), NAME)
    place = parts.place
    if place and not place.startswith("/"):
        raise misconfigured(
            "A SQLite URL is sqlite:///relative/path.db or sqlite:////absolute/path.db, with three or four slashes, or sqlite:// in memory."
        )
    try:
        path = unquote(place[1:], errors="strict")
        path.encode()
    except UnicodeError:
        raise misconfigured("The path of the database isn't UTF-8. Write each byte of its UTF-8 as %XX, or rename the file.") from None
    if "\0" in path:
        raise misconfigured("The path of the database has a NUL character in it.")
    if place == "/":  # perhaps a variable that was empty: it must not become a database that is gone with the process
        raise misconfigured("The path of the database is missing. In memory it is sqlite://, with two slashes.")
    if path.endswith("/"):
        raise misconfigured("The path of the database is a folder; a file is needed, such as sqlite:///state.db.")
    if path[:5].lower() == "file:":
        raise misconfigured(
            "A SQLite URL takes a path, and no file: URI. Write sqlite:///state.db, sqlite:// for a database in memory, and "
            "sqlite:///./file:state.db for a file of such a name; a file that can only be read needs no mode."
        )
    if _HOME.match(path):
        raise misconfigured(
            "A SQLite URL doesn't expand ~. Write the whole path, sqlite:////home/me/state.db, or sqlite:///./~/state.db for a folder of "
            "that name."
        )
    if path in {"", _MEMORY}:
        return None, parts.query
    try:
        path = os.path.abspath(path)  # noqa: PTH100 - a Path would drop a folder's slashes
    except OSError:
        raise misconfigured("The path of the database is relative, and the working directory is gone. Write an absolute path.") from None
    return path, parts.query


def engine_for(path: str | None) -> AsyncEngine:
    """An engine for a file, or for a database in memory."""
    pool = StaticPool if path is None else NullPool
    return create_async_engine(URL.create("sqlite+aiosqlite", database=path or _MEMORY), poolclass=pool)


def frozen_engine_for(path: str) -> AsyncEngine:
    """An engine for a file that nothing writes: SQLite then needs no other files beside it, and looks at no lock."""
    url = URL.create("sqlite+aiosqlite", database=f"file:{quote(path)}", query={"immutable": "1", "uri": "true"})
    return create_async_engine(url, poolclass=NullPool)
