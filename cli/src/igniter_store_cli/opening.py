"""Opens a store from the options of a command.

Rule: Options take precedence over the environment, and the environment over the defaults.
Rule: The user gets a hint if the backend lives in this process, because its values are lost when
    the command ends.
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
_PATHS: Final = "/\\:"  # characters that a path may contain and that needn't be escaped in a URL


def chosen_url(options: Namespace) -> str:
    """Return the backend's URL from the options or the environment.

    Both accept a URL, or the path of a database file, which is converted to a URL.
    """
    chosen: str = options.url or os.environ.get(URL_VARIABLE) or "memory://"
    return f"sqlite:///{quote(chosen, safe=_PATHS)}" if _is_path(chosen) else chosen


def place_of(options: Namespace) -> str:
    """Return the service and, if given, the scopes that a command uses, for its messages."""
    scopes = ", ".join(f"{key}={identifier}" for key, identifier in options.scope)
    return f"service {_service(options)!r}" + (f", scope {scopes}" if scopes else "")


def _service(options: Namespace) -> str:
    return options.service or os.environ.get(SERVICE_VARIABLE) or "default"


def _is_path(text: str) -> bool:
    # A URL without its scheme contains a colon or an @, and maybe a password. It must not become a
    # file name.
    return (
        "://" not in text
        and "@" not in text
        and (Path(text).suffix in _SUFFIXES or Path(text).is_file())
    )


@asynccontextmanager
async def opened_store(options: Namespace, output: Output) -> AsyncGenerator[Store[str]]:
    """Open the store and the scopes that the options describe, until the block ends."""
    store = Store.from_url(chosen_url(options), service=_service(options))
    scoped = store
    for key, identifier in options.scope:
        scoped = scoped.scope(key, identifier)
    if store.adapter.in_process:
        output.note(
            f"hint: the {store.adapter.name} backend exists only while this command runs, so it "
            "starts empty and keeps nothing. "
            f"Pass --url, or set {URL_VARIABLE}, to use a lasting backend."
        )
    async with store:
        yield scoped
