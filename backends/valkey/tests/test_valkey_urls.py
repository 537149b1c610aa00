"""URLs, options and configurations that are rejected before the client connects.

No message contains a password.
"""

# no clause: the contract doesn't cover the options of a URL.

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import glide
import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_valkey import ValkeyAdapter
from igniter_store_valkey.urls import configuration_of

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hush-hush"  # noqa: S105 - not the password of any server
PEM = b"-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "url",
    [
        "valkey://localhost:port/0",
        "valkey://localhost:123456",
        "valkey://localhost/zero",
        "valkey://",
        f"valkey://me:{PASSWORD}@localhost,/0",
        f"valkey://me:1234?{PASSWORD}@localhost",
        "valkey://me:1234?hush=1@localhost",
        "valkey://me:1234?hush-hush",
        f"valkey://me:1234/{PASSWORD}@localhost",
        "redis://localhost",
        "valkey",
    ],
)
def test_invalid_url_is_refused_before_connecting(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        ValkeyAdapter.from_url(url)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": True},
        {"connect_timeout": "soon"},
        {"tiemout": 3},
        {"sharded_pubsub": "yes"},
        {"read_from": "nearby"},
        {"client_az": "a", "read_from": "az_affinity", "tiemout": 1},
        {"cache_kb": "much"},
        {"cache_ttl": 0, "cache_kb": 1},
        {"compression": "zip"},
        {"tls_ca_certs": "/no/such/file"},
        {"otel_sample": -1},
        {"otel_sample": 101},
        {"timeout": 1e6},
        {"cache_kb": 0},
        {"cache_kb": 10**20},
        {"cache_ttl": 1e300, "cache_kb": 1},
        {"compression_level": 9999, "compression": "zstd"},
        {"compression_level": 13, "compression": "lz4"},
        {"compression_level": -(10**13), "compression": "lz4"},
        {"compression_from": 10**20, "compression": "zstd"},
        {"iam_refresh": 0},
        {"iam_refresh": 10**6},
        {"client_name": "a b"},
        {"client_name": "a\u00e4"},
        {"tls_insecure": True},
        {"tls_ca_certs": __file__},
        {"tls_ca_certs": "\0"},
        {"tls_ca_certs": os.devnull},
    ],
)
def test_an_option_with_a_mistake_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        ValkeyAdapter.from_url("valkey://localhost", **options)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert any(option in caught.value.message for option in options)


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("valkey://localhost?read_from=az_affinity", "client_az"),
        ("valkey://localhost?iam_cluster=c", "iam_region"),
        (
            f"valkey://me:{PASSWORD}@localhost?iam_cluster=c&iam_region=r&iam_service=memorydb",
            "without a password",
        ),
        ("valkey+cluster://localhost/3", "database"),
        ("valkey://localhost?read_from=nearest", "prefer_replica"),
        ("valkey://localhost?timeout=fast", "seconds"),
        ("valkey://localhost?compression=zstd&compression_level=high", "from -131072 to 22"),
        ("valkey://localhost?compression=lz4&compression_level=22", "from -128 to 12"),
        ("valkey://localhost?cache_kb=-1", "from 1"),
        ("valkey://localhost/99999999999999", "isn't a number from 0 to 2147483647"),
        ("valkey://localhost?client_name=a%20b", "without spaces"),
        ("valkey://localhost?tls_insecure=true", "valkeys://"),
        (f"valkeys://localhost?tls_ca_certs={os.__file__}", "in PEM form"),
        ("valkey://localhost?tls_insecure=maybe", "true or false"),
        (
            "valkey://localhost?compression=zstd&compression_from=1",
            "compression_from must be a whole number from 6",
        ),
    ],
)
def test_invalid_option_error_names_the_cure(url: str, cure: str) -> None:
    with pytest.raises(StoreError) as caught:
        ValkeyAdapter.from_url(url)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert cure in caught.value.message


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(PEM)

    with pytest.raises(StoreError) as caught:
        ValkeyAdapter.from_url(f"valkeys://localhost?tls_cert={certificate}")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "tls_key" in caught.value.message


def test_url_options_reach_the_glide_configuration(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_bytes(PEM)

    configuration, own = configuration_of(
        "valkeys://me%40here:p%2Fw@one:7000,[::1]/3?read_from=az_affinity&client_az=eu-1a&client_name=api&cache_kb=64&cache_ttl=5"
        f"&compression=lz4&tls_ca_certs={certificates}&timeout=0.5&sharded_pubsub=true",
        {"client_name": "other"},
    )

    assert own == {"timeout": 0.5, "sharded_pubsub": True}
    assert isinstance(configuration, glide.GlideClientConfiguration)
    assert [(address.host, address.port) for address in configuration.addresses] == [
        ("one", 7000),
        ("::1", 6379),
    ]
    assert (configuration.use_tls, configuration.database_id, configuration.client_name) == (
        True,
        3,
        "other",
    )
    assert configuration.credentials is not None
    assert (configuration.credentials.username, configuration.credentials.password) == (
        "me@here",
        "p/w",
    )
    assert (configuration.read_from, configuration.client_az) == (
        glide.ReadFrom.AZ_AFFINITY,
        "eu-1a",
    )
    assert configuration.client_side_cache is not None
    assert (
        configuration.client_side_cache.max_cache_kb,
        configuration.client_side_cache.entry_ttl_ms,
    ) == (64, 5000)
    assert configuration.client_side_cache.server_assisted is True
    assert configuration.compression is not None
    assert configuration.compression.backend is glide.CompressionBackend.LZ4
    assert configuration.advanced_config is not None
    assert configuration.advanced_config.tls_config is not None
    assert configuration.advanced_config.tls_config.root_pem_cacerts == PEM


def test_cache_ttl_is_at_least_one_millisecond() -> None:
    """A TTL of 0 would mean that cached values never expire."""
    configuration, _ = configuration_of("valkey://localhost?cache_kb=1&cache_ttl=0.0001", {})

    assert configuration.client_side_cache is not None
    assert configuration.client_side_cache.entry_ttl_ms == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"database_id": 10**20}, "out of range"),
        ({"credentials": glide.ServerCredentials(f"{PASSWORD}\ud800")}, "isn't text"),
        (
            {"compression": glide.CompressionConfiguration(enabled=True, compression_level=9999)},
            "__cause__",
        ),
        (
            {
                "advanced_config": glide.AdvancedGlideClientConfiguration(
                    tls_config=glide.TlsAdvancedConfiguration(use_insecure_tls=True)
                )
            },
            "__cause__",
        ),
    ],
)
async def test_configuration_that_glide_rejects_is_refused(
    settings: dict[str, Any], words: str
) -> None:
    configuration = glide.GlideClientConfiguration([glide.NodeAddress("localhost", 1)], **settings)
    adapter = ValkeyAdapter(configuration)

    with pytest.raises(StoreError) as caught:
        await adapter.open()
    await adapter.close()

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert words in caught.value.message
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__!r}"


def test_url_options_enable_iam() -> None:
    configuration, _ = configuration_of(
        "valkeys+cluster://me@host?iam_cluster=c&iam_region=eu-west-1&iam_service=elasticache", {}
    )

    assert isinstance(configuration, glide.GlideClusterClientConfiguration)
    credentials = configuration.credentials
    assert credentials is not None
    assert credentials.username == "me"
    assert credentials.iam_config is not None
    assert (credentials.iam_config.cluster_name, credentials.iam_config.region) == (
        "c",
        "eu-west-1",
    )
    assert credentials.iam_config.service is glide.ServiceType.ELASTICACHE


@pytest.mark.parametrize(
    "client",
    [
        "valkey://localhost",
        glide.GlideClient,
        None,
        MagicMock(spec=glide.GlideClient),
        MagicMock(spec=glide.GlideClientConfiguration),
    ],
)
def test_client_of_wrong_type_is_refused(client: Any) -> None:
    with pytest.raises(StoreError) as caught:
        ValkeyAdapter(client=client)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "from_url" in caught.value.message
