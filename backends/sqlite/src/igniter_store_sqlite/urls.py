"""From a URL to an engine: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` in memory.

Rule: what stands in a URL's query may be a secret that was pasted into the wrong place, so a message never shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from igniter_store.contract.urls import parsed
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from igniter_store_sqlite.errors import NAME, misconfigured

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_MEMORY: Final = ":memory:"


def parts_of(url: str) -> tuple[str | None, str]:
    """The path of the file, `None` in memory, and the query.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`: it is no such URL.
    """
    parts = parsed(url, ("sqlite",), NAME)
    place = parts.place
    if place and not place.startswith("/"):
        raise misconfigured(
            "A SQLite URL is sqlite:///relative/path.db or sqlite:////absolute/path.db, with three or four slashes, or sqlite:// in memory."
        )
    path = unquote(place[1:])
    if "\0" in path:
        raise misconfigured("The path of the database has a NUL character in it.")
    if place == "/":  # perhaps a variable that was empty: it must not become a database that is gone with the process
        raise misconfigured("The path of the database is missing. In memory it is sqlite://, with two slashes.")
    if path.endswith("/"):
        raise misconfigured("The path of the database is a folder; a file is needed, such as sqlite:///state.db.")
    return None if path in {"", _MEMORY} else path, parts.query


def engine_for(path: str | None) -> AsyncEngine:
    """An engine for a file, or for a database in memory."""
    pool = StaticPool if path is None else NullPool
    return create_async_engine(URL.create("sqlite+aiosqlite", database=path or _MEMORY), poolclass=pool)
