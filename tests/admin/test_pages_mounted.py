"""The pages below a path of another application, and an admin API without what they need."""

import importlib.util
from typing import Any

import pytest

import proxy
from tests.admin.conftest import WRITER
from tests.admin.test_admin_in_a_host import hosted
from tests.admin.viewing import Browser, viewed


async def test_pages_below_a_path_of_a_host_lead_to_each_other(store_url: str) -> None:
    async with hosted(store=proxy.Store(store_url)) as host:
        browser = Browser(host.url, host.app, host.session)
        typed = await browser("/ops")
        assert (typed.status, typed.headers["location"]) == (303, "/ops/")
        told = await browser("/ops/")
        assert (told.status, told.headers["location"]) == (303, "/ops/sign-in?next=/ops/")
        page = await browser("/ops/sign-in")
        assert 'action="/ops/sign-in"' in page.text
        signed_in = await browser("/ops/sign-in", "POST", data={"key": WRITER})
        assert signed_in.headers["location"] == "/ops/"
        for name, morsel in signed_in.cookies.items():
            browser.cookie = f"{name}={morsel.value}"
        overview = (await browser("/ops/")).text
        links = [each.partition('"')[0] for each in overview.split('href="')[1:]]
        assert all(each.startswith(("/ops/", "#")) for each in links), links
        assert (await browser("/ops/overview.json")).status == 200
        assert (await browser("/ops/nowhere")).status == 404
        assert (await browser("/ops/admin/v1/keys")).status == 401


async def test_without_the_extra_the_api_goes_on_and_the_root_says_what_to_install(
    store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name == "itsdangerous" else there(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    async with viewed(store_url) as browser:
        told = await browser("/")
        assert (told.status, told.headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert "pip install '.[view]'" in told.text
        assert (await browser("/keys")).status == 404
        asked = {"x-api-key": WRITER}
        assert (await browser("/admin/v1/keys", headers=asked)).status == 200
    assert "the pages need the extra `view`" in caplog.text
