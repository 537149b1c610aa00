"""Choosing an adapter by URL."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any, cast

import pytest
from igniter_store import ConfigurationError, ErrorCode, Store
from igniter_store.backends import FALLBACKS, GROUP, adapter_class, adapter_from_url, installed
from igniter_store.contract import Adapter, Scan


class Mine(Scan):
    """A third-party adapter."""

    name = "mine"

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.url = url
        self.options = options

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Mine:
        return cls(url, options)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> float:
        return 0.0

    async def scan(self, pattern: str, *, cursor: str = "0", count: int = 100) -> Any: ...

    async def delete_prefix(self, prefix: str) -> int:
        return 0


class Unfit(Mine):
    """An adapter without a from_url of its own."""

    name = "unfit"
    from_url = Adapter.from_url  # type: ignore[assignment]  # the contract's, which always raises


def install(
    monkeypatch: pytest.MonkeyPatch, fallbacks: dict[str, Any] | None = None, **adapters: Any
) -> None:
    """Install an adapter or an exception of its import for each scheme; a list has several."""
    groups = {GROUP: adapters, FALLBACKS: fallbacks or {}}

    def candidates(group: str, scheme: str) -> list[Any]:
        found = groups[group][scheme]
        return cast("list[Any]", found) if isinstance(found, list) else [found]

    class Point(EntryPoint):
        def load(self) -> Any:
            found = candidates(self.group, self.name)[int(self.attr)]
            if isinstance(found, BaseException):
                raise found
            return found

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [
            Point(scheme, f"a.module:{number}", group)
            for scheme in groups[group]
            if name in {None, scheme}
            for number, _ in enumerate(candidates(group, scheme))
        ]

    monkeypatch.setattr("igniter_store.backends.entry_points", entry_points)
    warned: set[str] = set()
    monkeypatch.setattr("igniter_store.backends._warned", warned)


EXTRAS = {
    "memory": "memory",
    "sqlite": "sqlite",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+sentinel": "redis",
    "redis+cluster": "redis",
    "valkey": "valkey",
    "valkeys": "valkey",
    "valkey+cluster": "valkey",
    "dragonfly": "valkey",
}


@pytest.mark.parametrize("scheme", EXTRAS)
def test_uninstalled_backend_error_names_extra(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)

    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(f"{scheme}://localhost", service="test")

    assert caught.value.code == ErrorCode.STORE_BACKEND_UNKNOWN
    assert f"pip install 'igniter-store[{EXTRAS[scheme]}]'" in caught.value.message
    assert caught.value.details == {"scheme": scheme, "extra": EXTRAS[scheme]}


def test_unknown_scheme_error_lists_known_schemes() -> None:
    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("redsi://localhost")

    assert caught.value.code == ErrorCode.STORE_BACKEND_UNKNOWN
    assert "'redsi'" in caught.value.message
    assert "Did you mean redis://?" in caught.value.message
    assert all(f"{scheme}://" in caught.value.message for scheme in EXTRAS)


def test_unknown_scheme_error_lists_only_installed_backends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)

    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("memori://")

    assert "Did you mean memory://? No backend is installed." in caught.value.message
    assert "install igniter-store[memory], igniter-store[sqlite]" in caught.value.message


def test_missing_url_error_names_its_setting() -> None:
    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url(None)

    assert "Check the setting or the environment variable" in caught.value.message


@pytest.mark.parametrize("scheme", ["MEMORY", "Memory"])
def test_a_schemes_case_does_not_matter(scheme: str) -> None:
    assert adapter_class(scheme.lower()).name == "memory"
    assert adapter_from_url(f"{scheme}://").name == "memory"


def test_third_party_adapter_is_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, mine=Mine)

    adapter = Store.from_url("mine://host/path?a=1", service="test", timeout=5).adapter

    assert isinstance(adapter, Mine)
    assert (adapter.url, adapter.options) == ("mine://host/path?a=1", {"timeout": 5})


@pytest.mark.parametrize("found", [5, "text", object, ImportError("no module named x")], ids=repr)
def test_invalid_entry_point_raises_configuration_error(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, broken=found)

    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("broken://localhost")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_adapter_without_url_support_suggests_with_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, unfit=Unfit)

    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("unfit://localhost")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "with_adapter()" in caught.value.message


def test_installed_lists_adapters_with_capabilities() -> None:
    [memory] = [backend for backend in installed() if backend.scheme == "memory"]

    assert (memory.name, memory.adapter) == ("memory", "igniter_store_memory.adapter.MemoryAdapter")
    assert memory.distribution.startswith("igniter-store-memory ")
    assert memory.capabilities == ("KeyValue", "Counters", "Claims", "PubSub", "Streams", "Scan")


def test_installed_omits_adapters_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, zebra=Mine, broken=ImportError("x"), mine=Mine)

    assert [
        (backend.scheme, backend.distribution, backend.capabilities) for backend in installed()
    ] == [
        ("mine", "?", ("Scan",)),
        ("zebra", "?", ("Scan",)),
    ]


def test_named_memory_url_creates_separate_adapters() -> None:
    one = adapter_from_url("memory://shared-by-name")

    assert adapter_from_url("memory://shared-by-name") is not one


NO_GLIDE = ModuleNotFoundError("valkey-glide isn't installed.", name="glide")


@pytest.mark.parametrize("adapters", [{}, {"valkey": NO_GLIDE}], ids=["missing", "without client"])
def test_fallback_serves_scheme_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, adapters: dict[str, Any]
) -> None:
    install(monkeypatch, {"valkey": Mine}, **adapters)

    created = [adapter_from_url("VALKEY://me:secret@one:7000/3", option=1) for _ in range(2)]

    assert [adapter.url for adapter in created if isinstance(adapter, Mine)] == [
        "valkey://me:secret@one:7000/3"
    ] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "valkey://" in caplog.text
    assert "the mine backend serves it" in caplog.text
    assert "secret" not in caplog.text


def test_usable_backend_goes_before_the_fallback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, {"valkey": Unfit}, valkey=Mine)

    assert isinstance(adapter_from_url("valkey://one"), Mine)
    assert caplog.records == []


@pytest.mark.parametrize("failure", [ImportError("a broken library"), ZeroDivisionError("text")])
def test_broken_backend_is_an_error_despite_a_fallback(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    install(monkeypatch, {"valkey": Mine}, valkey=failure)

    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("valkey://one")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert caught.value.__cause__ is failure


def test_missing_client_library_is_named_without_a_fallback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, valkey=NO_GLIDE)

    with pytest.raises(ConfigurationError) as caught:
        adapter_from_url("valkey://me:secret@one")

    assert "importing it failed: valkey-glide isn't installed." in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "failure", [NO_GLIDE, ZeroDivisionError("text"), SystemExit("text"), 5], ids=repr
)
def test_second_backend_serves_scheme_when_first_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Any
) -> None:
    install(monkeypatch, two=[failure, Mine])

    assert adapter_class("two") is Mine
    with pytest.raises(ConfigurationError, match=r"Installed are two://\. "):
        adapter_class("twoo")
    assert "the mine backend serves it" in caplog.text


def test_second_fallback_serves_scheme_when_first_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = ModuleNotFoundError("No module named 'other'")
    install(monkeypatch, {"valkey": [failing, 5, Mine]}, valkey=NO_GLIDE)

    assert adapter_class("valkey") is Mine
    assert "valkey-glide isn't installed." in caplog.text


@pytest.mark.parametrize("fallback", [ModuleNotFoundError("No module named 'other'"), 5], ids=repr)
def test_backends_own_error_is_raised_when_fallbacks_fail(
    monkeypatch: pytest.MonkeyPatch, fallback: Any
) -> None:
    install(monkeypatch, {"valkey": fallback}, valkey=[NO_GLIDE, ModuleNotFoundError("second")])

    with pytest.raises(ConfigurationError) as caught:
        adapter_class("valkey")

    assert caught.value.__cause__ is NO_GLIDE


@pytest.mark.parametrize(
    ("fallback", "cause"),
    [
        (ModuleNotFoundError("No module named 'other'"), "The fallback for valkey:// is installed"),
        (5, f"in the group {FALLBACKS} isn't an Adapter class"),
    ],
    ids=["not imported", "not an adapter"],
)
def test_failing_fallback_is_cause_of_unknown_scheme(
    monkeypatch: pytest.MonkeyPatch, fallback: Any, cause: str
) -> None:
    install(monkeypatch, {"valkey": fallback})

    with pytest.raises(ConfigurationError) as caught:
        adapter_class("valkey")

    assert caught.value.code == ErrorCode.STORE_BACKEND_UNKNOWN
    assert "pip install 'igniter-store[valkey]'" in caught.value.message
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert cause in caught.value.__cause__.message


def test_import_that_exits_is_a_failing_import(monkeypatch: pytest.MonkeyPatch) -> None:
    leaving = SystemExit("a secret")
    install(monkeypatch, leaving=leaving, mine=Mine)

    with pytest.raises(ConfigurationError) as caught:
        adapter_class("leaving")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert caught.value.__cause__ is leaving
    assert "importing it failed (SystemExit)" in caught.value.message
    assert "secret" not in caught.value.message
    assert [backend.scheme for backend in installed()] == ["mine"]
