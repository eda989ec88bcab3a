"""Every page as people see it: in a real browser, light and dark, wide and narrow, over a busy demo."""

import contextlib
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it has none
from playwright.sync_api import Browser, BrowserContext

from proxy.admin.page.pages import PAGES
from tests.view.browsing import Demo, Visit, chromium, demo, signed_in

SHOTS = Path(os.environ.get("ANYROUTER_SHOTS", "build/view"))
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
HOSTILE = "<img src=x onerror=alert(1)>"
PATHS = [page.path for page in PAGES]
FAST_POLL_S = 3.0
_OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true })"


class Look(NamedTuple):
    scheme: Literal["light", "dark"]
    width: int

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}"


LOOKS = (Look("light", 1280), Look("light", 390), Look("dark", 1280), Look("dark", 390))


@pytest.fixture(scope="module")
def at() -> Iterator[Demo]:
    with demo() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def signed(browser: Browser, at: Demo) -> Iterator[BrowserContext]:
    context = signed_in(browser, at)
    yield context
    context.close()


@pytest.fixture(scope="module")
def urls(signed: BrowserContext, at: Demo) -> dict[str, str]:
    """The URL of each page; of one with an id in its path, the first that another page links to."""
    found = {path: at.page + path[1:] for path in PATHS if "{" not in path}
    hrefs: list[str] = []
    for url in found.values():
        hrefs += re.findall(r'href="(/[^"#?]+)', signed.request.get(url).text())
    for path in (path for path in PATHS if "{" in path):
        form = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        href = next(filter(form.fullmatch, hrefs), None)
        if href is None:
            # Its only links are on pages that have an id themselves.
            texts = [signed.request.get(url).text() for url in found.values()]
            inner = re.findall(r'href="(/[^"#?]+)', "".join(texts))
            href = next(filter(form.fullmatch, inner), None)
        assert href is not None, f"no page links to {path}"
        found[path] = at.page + href[1:]
        hrefs += re.findall(r'href="(/[^"#?]+)', signed.request.get(found[path]).text())
    return found


def name_of(path: str) -> str:
    return re.sub(r"\W+", "-", path).strip("-") or "overview"


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible_and_loads_nothing_from_elsewhere(
    signed: BrowserContext, at: Demo, urls: dict[str, str], path: str, look: Look
) -> None:
    page = signed.new_page()
    visit = Visit(page, at.page)
    page.emulate_media(color_scheme=look.scheme)
    page.set_viewport_size({"width": look.width, "height": 800})
    response = page.goto(urls[path])
    assert response is not None
    assert response.status == 200
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name_of(path)}-{look}.png")
    assert visit.complaints == []
    if look is LOOKS[0]:  # what folds out looks as the rest does, and is much
        page.evaluate(_OPEN)
    options = {"runOnly": WCAG, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options)
    page.close()
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("path", PATHS)
def test_no_page_scrolls_sideways_at_320_pixels(
    signed: BrowserContext, urls: dict[str, str], path: str
) -> None:
    page = signed.new_page()
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(urls[path])
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    page.evaluate(_OPEN)
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.close()
    assert max(widths) <= 320


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_the_same_tables_without_scripts(
    signed: BrowserContext, urls: dict[str, str], path: str
) -> None:
    page = signed.new_page()
    page.goto(urls[path])
    shown = page.locator("main caption, main thead th").all_text_contents()
    page.close()
    sent = signed.request.get(urls[path]).text()
    heads = re.findall(
        r"<(?:caption|th scope=\"col\")[^>]*>(.*?)</(?:caption|th)>", sent, re.DOTALL
    )
    assert len(heads) == len(shown)


def test_focus_is_kept_while_a_page_asks_again(
    signed: BrowserContext, urls: dict[str, str]
) -> None:
    polled = [page.path for page in PAGES if page.poll_s is not None and page.poll_s < FAST_POLL_S]
    for path in polled:
        page = signed.new_page()
        page.goto(urls[path])
        link = page.locator("main a").first
        link.focus()
        for _ in range(3):
            with page.expect_response(lambda response: response.request.resource_type == "fetch"):
                pass
        page.wait_for_timeout(100)
        assert link.evaluate("(each) => each === document.activeElement")
        page.close()


def test_markup_that_clients_send_is_shown_as_text(
    signed: BrowserContext, at: Demo, urls: dict[str, str]
) -> None:
    headers = {
        "x-api-key": at.key,
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        "user-agent": HOSTILE,
        "x-anyrouter-tag": HOSTILE,
        "x-claude-code-session-id": HOSTILE,
        "x-claude-code-agent-id": HOSTILE,
        "x-claude-code-agent-type": HOSTILE,
        "x-claude-code-prompt-id": HOSTILE,
        # So that it is the dearest of all, and stands at the top.
        "x-sandbox": 'usage={"input_tokens": 90000000}',
    }
    for model in ("claude-opus-5-5", f"anthropic/{HOSTILE}"):
        messages = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": model, "max_tokens": 9, "messages": messages}).encode()
        asked = urllib.request.Request(f"{at.url}/v1/messages", body, headers)
        # The sandbox has no model of such a name.
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked).close()
    page = signed.new_page()
    visit = Visit(page, at.page)
    page.wait_for_timeout(
        1_500
    )  # models are made once a second, and rows are stored behind the answer
    for url in urls.values():
        page.goto(url)
        assert page.locator('img[src="x"]').count() == 0
        assert "<img src=x" not in page.content()
    page.close()
    assert visit.complaints == []
