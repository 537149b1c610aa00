"""The in-memory backend keeps the clauses of streams, publish and subscribe, and scans."""

from __future__ import annotations

import secrets

from igniter_store.contract import ManualClock
from igniter_store_conformance import Harness
from igniter_store_conformance.blocking import BlockingReadClauses
from igniter_store_conformance.claiming import ClaimingClauses
from igniter_store_conformance.groups import GroupClauses
from igniter_store_conformance.pubsub import PubSubClauses
from igniter_store_conformance.scan import ScanClauses
from igniter_store_conformance.streams import StreamClauses
from igniter_store_memory import MemoryAdapter


class TestMemoryStreaming(StreamClauses, GroupClauses, BlockingReadClauses, ClaimingClauses, PubSubClauses, ScanClauses):
    def harness(self) -> Harness:
        clock, name = ManualClock(), f"memory://{secrets.token_hex(8)}"
        return Harness(connect=lambda: MemoryAdapter.from_url(name, clock=clock), advance=clock.advance)
