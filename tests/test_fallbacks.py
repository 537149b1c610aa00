"""Without valkey-glide, the Redis backend serves the URLs of the Valkey backend."""

# no clause: the contract doesn't cover the choice of a backend for a URL.

from __future__ import annotations

import subprocess
import sys

import pytest
from igniter_store_conformance import servers

WITHOUT_GLIDE = """
import asyncio, sys

sys.modules["glide"] = None  # an import raises ModuleNotFoundError, as if it weren't installed

from igniter_store import Store

async def main():
    async with Store.from_url(sys.argv[1], service="fallbacks") as store:
        await store.kv.set("key", "value")
        print(store.adapter.name, await store.kv.get("key"))

asyncio.run(main())
"""


def run_without_glide(url: str) -> tuple[str, str]:
    """Write and read a key of this URL in a new process; return what it prints and logs."""
    done = subprocess.run(  # noqa: S603 - a command of this repository
        [sys.executable, "-c", WITHOUT_GLIDE, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("scheme", ["valkey", "dragonfly", "VALKEY"])
def test_redis_backend_serves_valkey_urls_without_glide(scheme: str) -> None:
    address = servers.or_skip("valkey").url.partition("://")[2]

    printed, logged = run_without_glide(f"{scheme}://{address}")

    assert printed == "redis value\n"
    assert "the redis backend serves it" in logged


def test_redis_backend_serves_valkey_clusters_without_glide() -> None:
    with servers.start_cluster("valkey") as cluster:
        hosts = ",".join(f"{node.address.host}:{node.address.port}" for node in cluster.nodes)

        printed, _ = run_without_glide(f"valkey+cluster://{hosts}")

    assert printed == "redis value\n"
