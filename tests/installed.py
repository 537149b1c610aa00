"""Run by `nox -s packaging` with the installed wheels, far from the sources."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from pathlib import Path

import igniter_store
from igniter_store import ErrorCode, Store, StoreError


async def _use(url: str) -> None:
    async with Store.from_url(url, service="installed") as store:
        await store.kv.set("greeting", {"hello": "world"}, ttl=60)
        if await store.kv.get("greeting") != {"hello": "world"}:
            sys.exit("the stored value was not returned")


def _use_only_core() -> None:
    try:
        Store.from_url("memory://", service="installed")
    except StoreError as error:
        if (
            error.code != ErrorCode.STORE_BACKEND_UNKNOWN
            or "igniter-store[memory]" not in error.message
        ):
            sys.exit(f"the error message does not name the extra: {error}")
    else:
        sys.exit("a backend was found that is not installed")
    print("core without extras names the missing extra")  # noqa: T201 - the session prints this line


def main() -> None:
    """Exit with a message if a user of the wheels would find something broken.

    With `alone`, only core is installed.
    """
    if "site-packages" not in str(igniter_store.__file__):
        sys.exit(f"not the installed package: {igniter_store.__file__}")
    needed = [
        line
        for line in importlib.metadata.requires("igniter-store") or []
        if "extra ==" not in line
    ]
    if [line.split(">")[0] for line in needed] != ["msgspec"]:
        sys.exit(f"core must need only msgspec, not {needed}")
    if sys.argv[1:] == ["alone"]:
        if Path(sys.executable).with_name("igniter-store").exists():
            sys.exit("core installs a command; it belongs to igniter-store-cli")
        _use_only_core()
        return
    for distribution in (
        "igniter-store",
        "igniter-store-cli",
        "igniter-store-memory",
        "igniter-store-sqlite",
    ):
        files = [str(file) for file in importlib.metadata.files(distribution) or []]
        if not any(name.endswith("py.typed") for name in files) or not any(
            "licenses/LICENSE" in name for name in files
        ):
            sys.exit(f"{distribution} lacks py.typed or its licence")
    for url in ("memory://", "sqlite://"):
        asyncio.run(_use(url))
    print("the installed wheels work")  # noqa: T201 - the session prints this line


if __name__ == "__main__":
    main()
