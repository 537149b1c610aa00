"""Passwords and URLs never appear in an error or in a log."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store import ConfigurationError, ErrorCode, Store

from .adapters import Remote, install
from .secret_values import SECRET, logged, shown

URLS = [
    f"redsi://user:{SECRET}@localhost",
    f"memory://user:{SECRET}@localhost",
    f"memory://?password={SECRET}",
    f"memory://localhost:{SECRET}",
    f"user:{SECRET}@redis://localhost",
    f"{SECRET}@://localhost",
    f"user:{SECRET}@localhost:6379",
    f"memory://[{SECRET}",
    f"memory://name/{SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_urls_password_is_never_shown(url: str, logs: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url, service="test")

    assert SECRET not in shown(caught.value) + logged(logs)


@pytest.mark.parametrize("raised", [ValueError, RuntimeError])
def test_adapter_error_about_url_is_never_shown(
    raised: type[Exception], monkeypatch: pytest.MonkeyPatch, logs: pytest.LogCaptureFixture
) -> None:
    class Quoting(Remote):
        @classmethod
        def from_url(cls, url: str, **options: Any) -> Any:
            raise raised(f"bad: {url} {options}")

    install(monkeypatch, "quoting", Quoting)

    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(f"quoting://user:{SECRET}@localhost", service="test", password=SECRET)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert SECRET not in shown(caught.value) + logged(logs)
