"""The Valkey backend on Dragonfly, if it is available, and on fakeredis in Dragonfly mode.

The fake isn't a real Dragonfly, so it has a name of its own.
"""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import fakeredis
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from igniter_store.redis_commands.claims import CommandClaims
from igniter_store.redis_commands.counters import CommandCounters
from igniter_store.redis_commands.keyvalue import CommandKeyValue
from igniter_store.redis_commands.scan import CommandScan
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_valkey import ValkeyAdapter
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from igniter_store.contract import Affinity


_HANGS_UP: Final = (
    "fakeredis ends a connection by TCP in the middle of an answer, or sends a reply that isn't "
    "RESP 3"
)
_NO_MODULE: Final = "the workers of the kit can't import this module"


class RefusingPolitely(TCPFakeRequestHandler):
    """Keeps the connection open after a refusal, as every server does.

    fakeredis's own handler ends the connection; everything else is fakeredis's.
    """

    def setup(self) -> None:
        super().setup()
        client: Any = self.current_client
        read = client.read_response

        def answer() -> Any:
            try:
                return read()
            except ResponseError as refusal:
                return refusal

        client.read_response = answer


@cache
def fake_port() -> int:
    """Return the port of a fake that answers for the lifetime of the process."""
    untyped: Any = fakeredis
    fake: Any = untyped.TcpFakeServer(("127.0.0.1", 0), server_type="dragonfly")
    fake.RequestHandlerClass = RefusingPolitely
    threading.Thread(target=fake.serve_forever, daemon=True).start()
    port: int = fake.server_address[1]
    return port


class TestValkeyBackendOnDragonfly(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        server = servers.or_skip("dragonfly", proxied=True)
        harness = redis_harness(server, timeout=2.0)
        url = server.url.replace("redis://", "dragonfly://")
        harness.connect = harness.connect_other = partial(
            ValkeyAdapter.from_url, url, timeout=2.0, connect_timeout=2.0
        )
        return harness


class KeysOnly(CommandKeyValue, CommandCounters, CommandClaims, CommandScan):
    """The Valkey backend without messages and streams.

    fakeredis doesn't support RESP 3 for these.
    """

    name = "valkey"

    def __init__(self, url: str) -> None:
        self._whole = ValkeyAdapter.from_url(url, timeout=5.0, connect_timeout=5.0)
        self._adopt()

    @property
    # A property, because the other adapter replaces its client in a forked child by itself.
    def _commands(self) -> Any:  # type: ignore[override]
        return self._whole._commands  # noqa: SLF001 - both adapters share it

    def _adopt(self) -> None:
        self.is_open = self._whole.is_open

    @property
    def affinity(self) -> Affinity | None:
        return self._whole.affinity

    def abandon(self) -> None:
        self._whole.abandon()
        self._adopt()

    async def open(self) -> None:
        await self._whole.open()
        self._adopt()

    async def close(self) -> None:
        await self._whole.close()
        self._adopt()

    async def ping(self) -> float:
        return await self._whole.ping()


class TestValkeyBackendOnFakeredisAsDragonfly(AdapterSuite):
    contract = "1"
    known_failing: ClassVar[Mapping[str, str]] = {
        "test_operations_that_meet_a_close_end": _HANGS_UP,
        "test_every_byte_comes_back": _HANGS_UP,
        "test_large_values_come_back": _HANGS_UP,
        "test_increment_refuses_non_integer_values": _HANGS_UP,
        "test_increments_of_several_processes_are_all_counted": _NO_MODULE,
        "test_one_of_several_processes_wins_each_claim": _NO_MODULE,
        "test_leases_of_several_processes_have_distinct_tokens": _NO_MODULE,
        "test_forked_workers_keep_acknowledged_writes": _NO_MODULE,
        "test_forking_process_goes_on": _NO_MODULE,
    }

    def harness(self) -> Harness:
        return Harness(
            connect=partial(KeysOnly, f"dragonfly://127.0.0.1:{fake_port()}?node_discovery=static")
        )
