"""URLs follow the same rules for all schemes: refusals, messages and parsing."""

# no clause: the contract doesn't cover the options of a URL.

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial
from typing import Any

import pydantic
import pytest
from igniter_store import ConfigurationError, ErrorCode, Store
from igniter_store.adapter_tools.urls import EXAMPLES
from igniter_store.backends import adapter_class, adapter_from_url

SECRET = "hush-hush"  # noqa: S105 - not a real password
SERVERS = [scheme for scheme in EXAMPLES if scheme not in {"memory", "sqlite", "unix"}]
CLUSTERS = [scheme for scheme in SERVERS if scheme.endswith("+cluster")]
SENTINELS = [scheme for scheme in SERVERS if scheme.endswith("+sentinel")]
SINGLE = [scheme for scheme in SERVERS if "+" not in scheme]


def url_of(scheme: str, host: str = "host:6379", query: str = "", login: str = "") -> str:
    """Build a URL of this scheme; it is valid if the parts are."""
    place = {"memory": "", "sqlite": "/state.db", "unix": "/run/socket"}.get(scheme)
    if place is None:
        place = f"{login}{host}{'/service' if scheme in SENTINELS else ''}"
    return f"{scheme}://{place}{'?' if query else ''}{query}"


@cache
def class_of(scheme: str) -> Any:
    return adapter_class(scheme)


def refusal(url: Any, **options: Any) -> str:
    """Return the message with which the adapter's class refuses a URL.

    For an unknown scheme it is the message of the store.
    """
    scheme = str(url).partition("://")[0].strip("\ufeff\t ").lower() if "://" in str(url) else ""
    make = (
        class_of(scheme).from_url if scheme in EXAMPLES else partial(Store.from_url, service="test")
    )
    with pytest.raises(ConfigurationError) as caught:
        make(url, **options)
    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    for text in (str(caught.value), repr(caught.value), str(caught.value.to_dict())):
        assert "hush" not in text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.message


def the_same(messages: dict[str, str]) -> str:
    """Return the only message, which may contain its scheme's example and its backend."""
    plain = {
        message.replace(EXAMPLES[scheme], "EXAMPLE").replace(
            f"The {class_of(scheme).name} backend", "The NAME backend"
        )
        for scheme, message in messages.items()
    }
    assert len(plain) == 1, plain
    return plain.pop()


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_store_and_adapter_raise_same_message(scheme: str) -> None:
    for url in (f"{url_of(scheme)} ", url_of(scheme, query="tiemout=1"), f"{url_of(scheme)}#hush"):
        with pytest.raises(ConfigurationError) as caught:
            Store.from_url(url, service="test")
        assert caught.value.message == refusal(url)


def test_example_of_every_scheme_is_accepted() -> None:
    for scheme, example in EXAMPLES.items():
        assert adapter_from_url(example).name == class_of(scheme).name


@pytest.mark.parametrize(
    "form",
    [
        "{} ",
        " {}",
        "{}\n",
        "\t{}",
        "{}\r\n",
        "{}\u00a0",
        "\ufeff{}",
        "{}\x00",
        "{}\x7f",
        "{}\u200b",
    ],
)
def test_blanks_and_control_characters_are_refused(form: str) -> None:
    assert "space or a control character" in the_same(
        {scheme: refusal(form.format(url_of(scheme))) for scheme in EXAMPLES}
    )


@pytest.mark.parametrize("scheme", [*SENTINELS, *CLUSTERS, "valkey"])
@pytest.mark.parametrize("hosts", ["a:1, b:2", "a:1 ,b:2", "a:1,\tb:2", "a:1, "])
def test_blank_in_a_list_is_refused(scheme: str, hosts: str) -> None:
    assert "percent-encode it" in refusal(url_of(scheme, hosts))


@pytest.mark.parametrize("host", ["", ":6379", ",a:1", "a:1,", "a:1,,b:2", "a:1,:2"])
def test_empty_host_is_refused(host: str) -> None:
    assert "doesn't name a host" in the_same(
        {scheme: refusal(url_of(scheme, host)) for scheme in SERVERS}
    )


@pytest.mark.parametrize(
    "port",
    ["0", "00000", "65536", "99999", "-1", "", "port", "6379a", "\u0661", "1.5", "+1", "0x1"],
)
def test_port_out_of_range_is_refused(port: str) -> None:
    assert "from 1 to 65535" in the_same(
        {scheme: refusal(url_of(scheme, f"a:{port}")) for scheme in SERVERS}
    )


@pytest.mark.parametrize(
    "host",
    [
        "::1",
        "::1:6379",
        "[::1",
        "[::1]6379",
        "[localhost]",
        "[]",
        "a%20b",
        "a%0Ab",
        "a..b",
        "a b".replace(" ", "%09"),
        "-a",
        "x" * 64,
        "a%00",
    ],
)
def test_invalid_host_is_refused(host: str) -> None:
    assert "in brackets, as in [::1]:6379" in the_same(
        {scheme: refusal(url_of(scheme, host)) for scheme in SERVERS}
    )


@pytest.mark.parametrize(
    "login",
    [
        f"me:12/{SECRET}@",
        f"me:12?{SECRET}@",
        f"me:12?hush=1{SECRET}@",
        f"me:12#{SECRET}@",
        f"{SECRET}/1@",
        "me:%FFhush@",
    ],
)
def test_password_that_is_not_encoded_is_never_shown(login: str) -> None:
    for scheme in SERVERS:
        refusal(url_of(scheme, login=login))


def test_fragment_is_refused_with_its_encoding() -> None:
    assert "%23" in the_same({scheme: refusal(url_of(scheme) + "#0") for scheme in EXAMPLES})


@pytest.mark.parametrize(
    "path", ["zero", "-1", "1/2", "\u0661", "2147483648", "0x1", "1%0A", "9" * 500]
)
def test_invalid_database_is_refused(path: str) -> None:
    schemes = [*SINGLE, *CLUSTERS, *SENTINELS]
    messages = {scheme: refusal(f"{url_of(scheme)}/{path}") for scheme in schemes}
    assert "from 0 to 2147483647" in the_same(messages)


@pytest.mark.parametrize(
    "value", ["0", "-1", "soon", "", "1e9", "inf", "nan", "1_0", "1000000", "%201", "0x1", "True"]
)
@pytest.mark.parametrize(
    "option", ["timeout", "connect_timeout", "socket_timeout", "socket_connect_timeout"]
)
def test_invalid_seconds_are_refused(option: str, value: str) -> None:
    message = the_same(
        {scheme: refusal(url_of(scheme, query=f"{option}={value}")) for scheme in EXAMPLES}
    )
    assert (
        message == f"{option} must be a number of seconds above 0 and below 1000000. "
        "Correct or remove it."
    )


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "", "10001", "9" * 5_000])
def test_invalid_connection_count_is_refused(value: str) -> None:
    message = the_same(
        {scheme: refusal(url_of(scheme, query=f"connections={value}")) for scheme in EXAMPLES}
    )
    assert message.startswith("connections must be a whole number from 1 to 10000.")


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": True},
        {"timeout": "5"},
        {"connect_timeout": float("nan")},
        {"connections": 1.0},
        {"connections": "2"},
    ],
)
def test_wrong_argument_is_refused_like_the_option(options: dict[str, Any]) -> None:
    [name] = options
    assert the_same({scheme: refusal(url_of(scheme), **options) for scheme in EXAMPLES}).startswith(
        f"{name} must be "
    )


@pytest.mark.parametrize("scheme", EXAMPLES)
@pytest.mark.parametrize("written", [str.upper, str.title, str.swapcase])
def test_scheme_is_accepted_in_any_case(scheme: str, written: Any) -> None:
    rest = url_of(scheme).partition("://")[2]

    assert adapter_from_url(f"{written(scheme)}://{rest}").name == class_of(scheme).name
    assert class_of(scheme).from_url(f"{written(scheme)}://{rest}").name == class_of(scheme).name


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_every_scheme_accepts_the_common_options(scheme: str) -> None:
    options: dict[str, Any] = {
        "timeout": 2,
        "connect_timeout": timedelta(seconds=1),
        "connections": 4,
    }
    made = [
        adapter_from_url(url_of(scheme, query="timeout=2.5&connect_timeout=1&connections=4")),
        adapter_from_url(url_of(scheme, query="socket_timeout=.5&socket_connect_timeout=1")),
        adapter_from_url(url_of(scheme, query="&")),
        adapter_from_url(url_of(scheme), **options),
        adapter_from_url(url_of(scheme, query="timeout=2"), timeout=3),
    ]

    assert {adapter.name for adapter in made} == {class_of(scheme).name}, (
        "another backend serves the scheme with these options"
    )


@pytest.mark.parametrize(
    ("query", "name", "hint"),
    [
        ("tiemout=3", "tiemout", "Did you mean timeout?"),
        ("Timeout=3", "Timeout", "Did you mean timeout?"),
        ("conections=3", "conections", "Did you mean connections?"),
        ("conect_timeout=3", "conect_timeout", "Did you mean connect_timeout?"),
        ("connect-timeout=3", "connect-timeout", "Did you mean connect_timeout?"),
    ],
)
def test_unknown_option_is_named_with_the_closest(query: str, name: str, hint: str) -> None:
    message = the_same({scheme: refusal(url_of(scheme, query=query)) for scheme in EXAMPLES})
    assert f"{name!r}" in message
    assert message.endswith(hint)


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_unknown_option_without_a_close_one_lists_all(scheme: str) -> None:
    message = refusal(url_of(scheme, query="zzz=1"))

    assert "'zzz'" in message
    assert "timeout, connect_timeout, connections" in message
    assert "'zzz'" in refusal(url_of(scheme), zzz=1)


@pytest.mark.parametrize(
    "query",
    [
        SECRET,
        "hush",
        "hush=",
        "aHVzaA==",
        f"{SECRET}%20=1",
        f"hush=1@{SECRET}",
        f"me:{SECRET}@host=1",
        f"{'hush' * 20}=1",
    ],
)
def test_malformed_option_is_never_shown(query: str) -> None:
    assert "isn't an option" in the_same(
        {scheme: refusal(url_of(scheme, query=query)) for scheme in EXAMPLES}
    )


@pytest.mark.parametrize(
    "query", ["timeout=1&timeout=2", "timeout=1&socket_timeout=1", "socket_timeout=1&timeout=1"]
)
def test_option_that_is_given_twice_is_refused(query: str) -> None:
    assert "timeout is given twice" in the_same(
        {scheme: refusal(url_of(scheme, query=query)) for scheme in EXAMPLES}
    )


@pytest.mark.parametrize(
    ("option", "cure"),
    [
        ("max_connections", "Use connections"),
        ("health_check_interval", "by itself"),
        ("retry_on_timeout", "by itself"),
        ("decode_responses", "serializer"),
        ("encoding", "serializer"),
        ("protocol", "adapter chooses"),
        ("socket_read_size", "adapter chooses"),
        ("ssl", "rediss://"),
        ("host", "before the query"),
    ],
)
def test_option_of_other_client_names_replacement(option: str, cure: str) -> None:
    message = the_same(
        {scheme: refusal(url_of(scheme, query=f"{option}=1")) for scheme in EXAMPLES}
    )
    assert option in message
    assert cure in message


@pytest.mark.parametrize(
    "scheme",
    [scheme for scheme in SERVERS if not scheme.startswith(("rediss", "valkeys", "dragonflys"))],
)
@pytest.mark.parametrize("option", ["ssl_ca_certs", "tls_ca_certs"])
@pytest.mark.parametrize("file", ["/no/such/file", __file__])
def test_option_of_tls_without_tls_is_refused(scheme: str, option: str, file: str) -> None:
    message = refusal(url_of(scheme, query=f"{option}={file}"))

    assert option in message
    assert "applies only to TLS. Use a URL that begins with " in message


@pytest.mark.parametrize("query", ["db=1", "db=0"])
def test_database_that_is_given_twice_is_refused(query: str) -> None:
    for scheme in SERVERS:
        assert "given twice" in refusal(f"{url_of(scheme)}/0?{query}")


@pytest.mark.parametrize("scheme", CLUSTERS)
@pytest.mark.parametrize("end", ["/1", "?db=1"])
def test_cluster_accepts_only_database_0(scheme: str, end: str) -> None:
    assert "only database 0" in refusal(url_of(scheme) + end)


@pytest.mark.parametrize("scheme", [scheme for scheme in SINGLE if scheme.startswith("redis")])
def test_several_hosts_of_one_server_are_refused(scheme: str) -> None:
    assert "names one server" in refusal(url_of(scheme, "a:1,b:2"))


@pytest.mark.parametrize("scheme", SENTINELS)
@pytest.mark.parametrize("end", ["", "/", "//"])
def test_sentinel_without_a_service_is_refused(scheme: str, end: str) -> None:
    assert "doesn't name the service" in refusal(f"{scheme}://host:26379{end}")


@pytest.mark.parametrize(
    "url",
    ["unix://", "unix:///", "unix://run/socket", "unix://me:hush-hush@run/socket", "unix:///a%00b"],
)
def test_socket_without_an_absolute_path_is_refused(url: str) -> None:
    assert "path of the socket" in refusal(url)


@pytest.mark.parametrize(
    "url",
    ["redis", "localhost:6379", f"me:{SECRET}@localhost", "", "redis:/localhost", "/run/socket"],
)
def test_url_without_a_scheme_is_refused(url: str) -> None:
    assert "doesn't contain '://' after its scheme" in refusal(url)


@pytest.mark.parametrize(
    "url",
    [5, b"redis://localhost", pydantic.RedisDsn(f"redis://me:{SECRET}@localhost:6379/0")],
)
def test_url_object_is_refused_with_its_type(url: Any) -> None:
    message = refusal(url) if not isinstance(url, pydantic.RedisDsn) else refusal_of_an_object(url)
    assert type(url).__name__ in message
    assert "Convert it with str(), or decode it." in message


def refusal_of_an_object(url: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url, service="test")
    assert SECRET not in f"{caught.value!r}"
    return caught.value.message


def test_refused_scheme_error_names_the_accepted_ones() -> None:
    for scheme in EXAMPLES:
        with pytest.raises(ConfigurationError) as caught:
            class_of(scheme).from_url(f"http://me:{SECRET}@localhost")
        assert "doesn't begin with " in caught.value.message
        assert SECRET not in caught.value.message


def test_memory_has_neither_user_nor_port_nor_path() -> None:
    for place in (f"me:{SECRET}@name", "name:1", "name/path", "[::1]"):
        assert "Remove the user" in refusal(f"memory://{place}")
