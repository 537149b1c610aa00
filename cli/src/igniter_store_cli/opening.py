"""From the options of a command to an open store.

Rule: an option wins over the environment, the environment over the default.
Rule: who uses a backend that dies with the process is told so: a value that is set there is gone
    when the command ends.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from igniter_store.store import Store

from igniter_store_cli.command import SERVICE_VARIABLE, URL_VARIABLE

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncGenerator

    from igniter_store_cli.output import Output

_SUFFIXES: Final = {".db", ".sqlite", ".sqlite3"}
_PATHS: Final = "/\\:"  # what a path may have, and needn't be spelled out in a URL


def chosen_url(options: Namespace) -> str:
    """The backend that the user, or the environment, asks for: a URL, or the path of a database
    file.
    """
    chosen: str = options.url or os.environ.get(URL_VARIABLE) or "memory://"
    return f"sqlite:///{quote(chosen, safe=_PATHS)}" if _is_path(chosen) else chosen


def place_of(options: Namespace) -> str:
    """Where a command looks, for its messages: the service and, if it is in one, the scope."""
    scopes = ", ".join(f"{key}={identifier}" for key, identifier in options.scope)
    return f"service {_service(options)!r}" + (f", scope {scopes}" if scopes else "")


def _service(options: Namespace) -> str:
    return options.service or os.environ.get(SERVICE_VARIABLE) or "default"


def _is_path(text: str) -> bool:
    # A URL that lost its scheme has a colon or an @, and maybe a password: it must not become the
    # name of a file.
    return (
        "://" not in text
        and "@" not in text
        and (Path(text).suffix in _SUFFIXES or Path(text).is_file())
    )


@asynccontextmanager
async def opened_store(options: Namespace, output: Output) -> AsyncGenerator[Store[str]]:
    """The store that the options describe, in its scopes, open until the block ends."""
    store = Store.from_url(chosen_url(options), service=_service(options))
    scoped = store
    for key, identifier in options.scope:
        scoped = scoped.scope(key, identifier)
    if store.adapter.in_process:
        output.note(
            f"hint: the {store.adapter.name} backend lives and dies with this command, so it begins empty and nothing stays. "
            f"Give --url, or set {URL_VARIABLE}, to use one that lasts."
        )
    async with store:
        yield scoped
