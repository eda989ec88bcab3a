"""Which proxy the environment's variables name for an upstream."""

import pytest
from yarl import URL

from proxy.upstreams.proxies import ProxyUnusableError, proxy_for

HTTPS = URL("https://api.example.com")
HTTP = URL("http://api.example.com:8000")


def found(url: URL, **environ: str) -> str | None:
    proxy = proxy_for(url, environ)
    return None if proxy is None else str(proxy.url)


@pytest.mark.parametrize(
    ("url", "environ", "due"),
    [
        pytest.param(HTTPS, {"HTTPS_PROXY": "http://p:1"}, "http://p:1", id="https"),
        pytest.param(HTTPS, {"https_proxy": "http://p:1"}, "http://p:1", id="https, lower"),
        pytest.param(HTTP, {"HTTP_PROXY": "http://p:1"}, "http://p:1", id="http"),
        pytest.param(HTTP, {"http_proxy": "http://p:1"}, "http://p:1", id="http, lower"),
        pytest.param(HTTPS, {"HTTP_PROXY": "http://p:1"}, None, id="not of the scheme"),
        pytest.param(HTTP, {"HTTPS_PROXY": "http://p:1"}, None, id="not of the other scheme"),
        pytest.param(HTTPS, {"ALL_PROXY": "http://p:1"}, "http://p:1", id="all"),
        pytest.param(HTTP, {"all_proxy": "http://p:1"}, "http://p:1", id="all, lower"),
        pytest.param(
            HTTPS,
            {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p:1"},
            "http://p:1",
            id="own first",
        ),
        pytest.param(
            HTTPS,
            {"https_proxy": "http://l:1", "HTTPS_PROXY": "http://u:1"},
            "http://l:1",
            id="lower first",
        ),
        pytest.param(HTTPS, {"https_proxy": "", "HTTPS_PROXY": "http://u:1"}, None, id="emptied"),
        pytest.param(
            HTTPS, {"HTTPS_PROXY": "", "ALL_PROXY": "http://a:1"}, None, id="empty is none"
        ),
        pytest.param(HTTPS, {"HTTPS_PROXY": "p:3128"}, "http://p:3128", id="without a scheme"),
        pytest.param(
            HTTPS, {"HTTPS_PROXY": " http://p:1/ \n"}, "http://p:1", id="spaces and a path"
        ),
        pytest.param(HTTPS, {"HTTPS_PROXY": "http://p"}, "http://p", id="its default port"),
        pytest.param(HTTPS, {"HTTPS_PROXY": "https://p"}, "https://p", id="by TLS"),
        pytest.param(HTTPS, {"HTTPS_PROXY": "http://[::1]:1"}, "http://[::1]:1", id="an address"),
        pytest.param(HTTPS, {}, None, id="nothing set"),
    ],
)
def test_a_proxy_is_found_as_other_tools_find_it(
    url: URL, environ: dict[str, str], due: str | None
) -> None:
    assert found(url, **environ) == due


@pytest.mark.parametrize(
    ("host", "no_proxy", "excepted"),
    [
        ("api.example.com", "*", True),
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("API.Example.COM", "example.COM", True),
        ("example.com", ".example.com", True),
        ("api.example.com.", "example.com", True),
        ("api.example.com", "a.test, ,example.com ", True),
        ("api.example.com", "api.example.com:443", True),
        ("api.example.com", "api.example.com:80", False),
        ("api.example.com", "ple.com", False),
        ("api.example.com", "www.example.com", False),
        ("api.example.com", "", False),
        ("api.example.com", ".,:,*.", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("10.1.2.3", "2.3", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "[fd00::1]:443", True),
        ("[fd00::1]", "fd00::2", False),
    ],
)
def test_no_proxy_names_what_is_reached_without_one(
    host: str, no_proxy: str, *, excepted: bool
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        environ = {"HTTPS_PROXY": "http://p:1", variable: no_proxy}
        assert (proxy_for(URL(f"https://{host}"), environ) is None) == excepted


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "LOCALHOST.", "a.localhost"]
)
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    assert found(URL(f"http://{host}:9000"), ALL_PROXY="http://p:1") is None


@pytest.mark.parametrize(
    ("pair", "sent"),
    [
        ("user:password", "Basic dXNlcjpwYXNzd29yZA=="),
        ("user", "Basic dXNlcjo="),
        ("DOMAIN%5Cuser:p%40ss%3A%2F", "Basic RE9NQUlOXHVzZXI6cEBzczov"),
        ("%C3%A9:x", "Basic w6k6eA=="),
    ],
)
def test_credentials_of_the_url_are_sent_and_never_shown(pair: str, sent: str) -> None:
    proxy = proxy_for(HTTPS, {"HTTPS_PROXY": f"http://{pair}@p:1"})
    assert proxy is not None
    assert proxy.authorization == sent
    assert str(proxy.url) == "http://p:1"
    assert sent not in repr(proxy)


@pytest.mark.parametrize(
    "value",
    [
        "socks5://u:secret@p:1",
        "socks5h://p",
        "http://",
        "http://u:secret@",
        "http://p:secret",
        "ftp://p",
    ],
)
def test_what_is_no_http_proxy_is_refused_by_its_variable_without_its_text(value: str) -> None:
    with pytest.raises(ProxyUnusableError, match=r"^all_proxy names no HTTP proxy: ") as raised:
        proxy_for(HTTPS, {"all_proxy": value})
    assert "secret" not in str(raised.value)


def test_a_proxy_that_cannot_be_used_is_no_matter_where_none_is_needed() -> None:
    assert found(HTTPS, ALL_PROXY="socks5://p:1", NO_PROXY="example.com") is None
    assert found(URL("http://127.0.0.1"), ALL_PROXY="socks5://p:1") is None
