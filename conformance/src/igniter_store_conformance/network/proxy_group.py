"""Several proxies that fail together: the network between an adapter and a set of servers.

Rule: a fault affects all of them. An armed cut happens once, at the proxy where it is due first.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from igniter_store_conformance.network.cuts import AtMarker

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from typing import Any

    from igniter_store_conformance.network.cuts import Cut, CutMoment, Direction
    from igniter_store_conformance.network.proxy import Proxy


class ProxyGroup:
    """Proxies with one set of faults; it satisfies `harness.Network`.

    Each method does what `Proxy`'s does, on all of them.

    Args:
        proxies: the running proxies; their creator closes them.
    """

    def __init__(self, proxies: Sequence[Proxy]) -> None:
        self._proxies = tuple(proxies)

    @property
    def cuts(self) -> int:
        """The number of connections that `cut_at` has cut."""
        return sum(proxy.cuts for proxy in self._proxies)

    async def cut(self) -> None:
        """See `Proxy.cut`."""
        await _all(proxy.cut() for proxy in self._proxies)

    async def cut_at(self, marker: bytes, when: CutMoment = "before") -> None:
        """See `Proxy.cut_at`."""
        once = _Once(AtMarker(marker, when))
        await _all(proxy.arm(once) for proxy in self._proxies)

    async def delay(self, seconds: float) -> None:
        """See `Proxy.delay`."""
        await _all(proxy.delay(seconds) for proxy in self._proxies)

    async def black_hole(self) -> None:
        """See `Proxy.black_hole`."""
        await _all(proxy.black_hole() for proxy in self._proxies)

    async def half_open(self) -> None:
        """See `Proxy.half_open`."""
        await _all(proxy.half_open() for proxy in self._proxies)

    async def heal(self) -> None:
        """See `Proxy.heal`."""
        await _all(proxy.heal() for proxy in self._proxies)


class _Once:
    """A cut for several proxies, each in its own thread; only the first one performs it."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._lock = threading.Lock()
        self._is_done = False

    def allowed(self, connection: object, direction: Direction, chunk: bytes) -> int | None:
        """See `Cut`."""
        with self._lock:
            if self._is_done:
                return None
            allowed = self._cut.allowed(connection, direction, chunk)
            self._is_done = allowed is not None
            return allowed


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*work)
