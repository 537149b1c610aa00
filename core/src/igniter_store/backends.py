"""Creates adapters from URLs, through the entry points of the installed backends.

Rule: A URL's user, password and query never appear in a message.
Rule: A backend may register itself as the fallback for the schemes of another one. It serves them
    when the other isn't installed, or lacks its client library.
Rule: An entry point that can't be loaded doesn't end the search: the next one may serve the scheme.
    That is logged once a scheme, with the cause.
"""

from __future__ import annotations

import logging
import re
import sys
from difflib import get_close_matches
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Final

from msgspec import Struct

from igniter_store.adapter_tools.urls import checked_text
from igniter_store.contract import CAPABILITIES, Adapter, ErrorCode, StoreError, store_error

GROUP: Final = "igniter_store.adapters"
"""The entry-point group. The name is the URL scheme; the object is an `Adapter` class."""

FALLBACKS: Final = "igniter_store.fallbacks"
"""The entry-point group of fallbacks, which has the same form."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")

# The extra that installs each scheme. Third-party adapters are found only by their entry points.
_EXTRAS: Final = {
    "memory": "memory",
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+sentinel": "redis",
    "rediss+sentinel": "redis",
    "redis+cluster": "redis",
    "rediss+cluster": "redis",
    "valkey": "valkey",
    "valkeys": "valkey",
    "valkey+cluster": "valkey",
    "valkeys+cluster": "valkey",
    "dragonfly": "valkey",
    "dragonflys": "valkey",
}

_OTHER_USED: Final = "The backend for %s:// can't be used, so the %s backend serves it. Cause: %s"
_LOGGER: Final = logging.getLogger("igniter_store")
_warned: set[str] = set()


class Backend(Struct, frozen=True):
    """An installed adapter and its capabilities."""

    scheme: str
    name: str
    adapter: str
    distribution: str
    capabilities: tuple[str, ...]


def adapter_class(scheme: str) -> type[Adapter]:
    """Return the adapter class for URLs of `scheme`.

    Raises:
        ConfigurationError: `STORE_BACKEND_UNKNOWN`, with the extra to install;
            `STORE_CONFIGURATION_INVALID` if a package registered an object that can't be loaded or
            isn't an adapter; `STORE_ENVIRONMENT_REQUIRED` on platforms where Python has no sockets.
    """
    backends = entry_points(group=GROUP, name=scheme)
    failures: list[StoreError] = []
    found = _first_loaded(backends, failures)
    cause = failures[0].message if failures else ""
    if found is None and all(isinstance(each.__cause__, ModuleNotFoundError) for each in failures):
        cause = cause or "It isn't installed."
        found = _first_loaded(entry_points(group=FALLBACKS, name=scheme), failures)
    if found is None:
        if backends:
            raise failures[0]
        raise _unknown(scheme) from (failures[0] if failures else None)
    if cause and scheme not in _warned:
        _warned.add(scheme)
        _LOGGER.warning(_OTHER_USED, scheme, found.name, cause)
    return _usable(found)


def _first_loaded(points: EntryPoints, failures: list[StoreError]) -> type[Adapter] | None:
    """Return the first adapter class that can be loaded, and collect the errors of the others."""
    for point in points:
        try:
            return _load(point)
        except StoreError as error:
            failures.append(error)
    return None


def _usable(found: type[Adapter]) -> type[Adapter]:
    if not found.in_process and sys.platform in {"emscripten", "wasi"}:
        raise store_error(
            ErrorCode.STORE_ENVIRONMENT_REQUIRED,
            f"The backend {found.name!r} needs sockets and threads, which Python on "
            f"{sys.platform} doesn't have. Use memory://.",
        )
    return found


def adapter_from_url(url: Any, **options: Any) -> Adapter:
    """Create an adapter for `url`, without opening it.

    `options` are passed to the adapter's `from_url`. Raises the errors of `adapter_class`, and the
    adapter's own.
    """
    scheme, found, rest = checked_text(url).partition("://")
    if not found:
        message = (
            "The URL doesn't contain '://' after its scheme. Write it as memory://, "
            "sqlite:///state.db or redis://localhost:6379/0."
        )
        raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message)
    scheme = scheme.lower()
    adapter = adapter_class(scheme)
    try:
        return adapter.from_url(f"{scheme}://{rest}", **options)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a third-party adapter may raise anything
        message = (
            f"The backend {adapter.name!r} can't use this URL or its options "
            f"({type(error).__name__})."
        )
    # Raised outside the `except` block, so that the driver's exception isn't its context: drivers
    # often quote the URL.
    raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message)


def installed() -> list[Backend]:
    """List every installed scheme, by name, without backends that can't be loaded."""
    backends: list[Backend] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found = _load(point)
        except StoreError:
            continue
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "?"
        capabilities = tuple(
            capability.__name__ for capability in CAPABILITIES if issubclass(found, capability)
        )
        backends.append(
            Backend(
                point.name,
                found.name,
                f"{found.__module__}.{found.__qualname__}",
                distribution,
                capabilities,
            )
        )
    return backends


def _load(point: EntryPoint) -> type[Adapter]:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        # The text of an ImportError names modules and what to install; other texts may be anything.
        reason = (
            f": {error}"
            if isinstance(error, ImportError)
            else f" ({type(error).__name__}). See the cause."
        )
        kind = "fallback" if point.group == FALLBACKS else "backend"
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            f"The {kind} for {point.name}:// is installed, but importing it failed{reason}",
        ) from error
    if not isinstance(found, type) or not issubclass(found, Adapter):
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            f"The entry point for {point.name}:// in the group {point.group} isn't an Adapter "
            "class.",
        )
    return found


def _unknown(scheme: str) -> StoreError:
    extra = _EXTRAS.get(scheme)
    present = sorted({point.name for point in entry_points(group=GROUP)})
    close = get_close_matches(scheme, [*present, *_EXTRAS], 1)
    guess = f"Did you mean {close[0]}://? " if close else ""
    known = (
        f"Installed are {', '.join(f'{name}://' for name in present)}."
        if present
        else "No backend is installed."
    )
    extras = ", ".join(f"igniter-store[{name}]" for name in dict.fromkeys(_EXTRAS.values()))
    cure = (
        f"Install it: pip install 'igniter-store[{extra}]'."
        if extra
        else f"{guess}{known} To add a backend, install {extras} or a third-party package."
    )
    # If the scheme was forgotten, the text before "://" may contain a user and a password.
    shown = repr(scheme) if _SCHEME.fullmatch(scheme) else "such"
    return store_error(
        ErrorCode.STORE_BACKEND_UNKNOWN,
        f"No installed backend serves {shown} URLs. {cure}",
        details={"scheme": scheme if _SCHEME.fullmatch(scheme) else None, "extra": extra},
    )
