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


@pytest.mark.parametrize("scheme", ["valkey", "dragonfly", "VALKEY"])
def test_redis_backend_serves_valkey_urls_without_glide(scheme: str) -> None:
    address = servers.or_skip("valkey").url.partition("://")[2]

    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", WITHOUT_GLIDE, f"{scheme}://{address}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "redis value\n"), done.stderr
    assert "the redis backend serves it" in done.stderr


def test_redis_backend_serves_valkey_clusters_without_glide() -> None:
    with servers.start_cluster("valkey") as cluster:
        hosts = ",".join(f"{node.address.host}:{node.address.port}" for node in cluster.nodes)

        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", WITHOUT_GLIDE, f"valkey+cluster://{hosts}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stdout) == (0, "redis value\n"), done.stderr
