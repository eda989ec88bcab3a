"""Who may read `GET /metrics`, and what that credential opens."""

import importlib.util

import pytest

from proxy import Admin
from proxy.admin.serve import is_for_this_machine
from tests.admin.conftest import READER
from tests.admin.scraping import METRICS_KEY, scraped
from tests.support.gateways import KEY


@pytest.mark.parametrize(
    ("is_open", "key", "status"),
    [
        (True, None, 200),
        (True, METRICS_KEY, 200),
        (True, "ara-wrong", 401),
        (False, None, 401),
        (False, METRICS_KEY, 200),
        (False, READER, 200),
        (False, KEY, 401),
    ],
)
async def test_without_a_credential_it_is_read_on_loopback_only(
    is_open: bool,  # noqa: FBT001 - a column of the table
    key: str | None,
    status: int,
) -> None:
    async with scraped(is_open=is_open) as scrape:
        assert (await scrape.get(key=key))[0] == status


@pytest.mark.parametrize("path", ["/admin/v1/keys", "/admin/v1/usage", "/"])
async def test_a_credential_for_metrics_opens_nothing_else(path: str) -> None:
    async with scraped() as scrape:
        status, _, text = await scrape.get(path, METRICS_KEY)
    assert status in (401, 403)
    assert status == 401 or "admin key prometheus may read /metrics only" in text


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "prometheus_client" else find(name, *rest),
    )
    async with scraped() as scrape:
        status, _, text = await scrape.get()
    assert status == 503
    assert text.count("\n") == 1
    assert "needs the extra `view`" in text


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("view.example.com", False),
    ],
)
def test_only_a_loopback_listener_without_a_proxy_in_front_is_for_this_machine(
    host: str,
    is_one: bool,  # noqa: FBT001 - as above
) -> None:
    assert is_for_this_machine(Admin(host=host)) == is_one
    assert not is_for_this_machine(Admin(host=host, behind_https=True))
    assert not is_for_this_machine(Admin(host=host, hosts=("view.example.com",)))


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Host",
        "X-Real-IP",
        "Via",
    ],
)
async def test_what_a_proxy_passes_on_needs_a_credential(header: str) -> None:
    async with scraped(is_open=True) as scrape:
        assert (await scrape.get(**{header: "for"}))[0] == 401
        assert (await scrape.get(key=METRICS_KEY, **{header: "for"}))[0] == 200
