"""Every page as people see it: in a real browser, light and dark, wide and narrow, over a busy demo."""

import contextlib
import dataclasses
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it has none
from playwright.sync_api import Browser, BrowserContext, Page, Response

from proxy.admin.page import live, overview
from proxy.admin.page.pages import PAGES
from tests.admin.conftest import WRITER
from tests.view.browsing import Demo, Visit, chromium, demo, pages_of, signed_in

SHOTS = Path(os.environ.get("ANYROUTER_SHOTS", "build/view"))
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
HOSTILE = "<img src=x onerror=alert(1)>"
PATHS = [page.path for page in PAGES]
_MOST_POLLS = 60
_CARDS = """[...document.querySelectorAll("table.cards")].flatMap((table) => {
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent)
    return [...table.tBodies[0].rows].filter((row) => row.cells.length === heads.length).map((row) =>
        [...row.cells].map((cell, at) =>
            [heads[at], at ? cell.dataset.of : heads[at], cell.getBoundingClientRect().right]))
})"""
_THREE_IDS = """() => {
  const cell = document.querySelector('td.line[data-of="ids of some"]');
  const ids = [1, 2, 3].map(n => `<a class="id" href="#${n}">req_01a2199bc08b14fd57f3f2f8d7b${n}</a><br>`);
  cell.innerHTML = ids.join('');
}"""
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


@pytest.fixture(scope="module", params=PATHS)
def opened(
    request: pytest.FixtureRequest, signed: BrowserContext, at: Demo, urls: dict[str, str]
) -> Iterator[Visit]:
    """Each page in turn, loaded once for all that is asked of it."""
    page = signed.new_page()
    visit = Visit(page, at.page)
    response = page.goto(urls[request.param])
    assert response is not None
    assert response.status == 200
    yield visit
    page.close()


def look_at(visit: Visit, name: str, *, is_all_open: bool = False) -> None:
    """Take a screenshot, and hold the page to the rules of accessibility."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SHOTS / f"{name}.png")
    if is_all_open:
        visit.page.evaluate(_OPEN)
    found = Axe().run(visit.page, options={"runOnly": WCAG, "resultTypes": ["violations"]})
    if is_all_open:
        visit.page.evaluate(_OPEN.replace("true", "false"))
    assert found.violations_count == 0, found.generate_report()
    assert visit.complaints == []


def wear(visit: Visit, look: Look) -> None:
    """Show a page in a look."""
    visit.page.emulate_media(color_scheme=look.scheme)
    visit.page.set_viewport_size({"width": look.width, "height": 800})


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_page_is_accessible_and_loads_nothing_from_elsewhere(
    opened: Visit, request: pytest.FixtureRequest, look: Look
) -> None:
    wear(opened, look)
    name = name_of(request.node.callspec.params["opened"])
    # What folds out looks as the rest does, and is much: once is enough.
    look_at(opened, f"{name}-{look}", is_all_open=look is LOOKS[0])


def test_ids_below_each_other_are_links_that_a_finger_can_tell_apart(
    signed: BrowserContext, at: Demo, urls: dict[str, str]
) -> None:
    """However many requests of one cause there are: as a demo has two at times, three are put there."""
    visit = Visit(signed.new_page(), at.page)
    visit.page.goto(urls["/errors"])
    visit.page.evaluate(_THREE_IDS)
    assert visit.page.locator("td.line a.id").count() >= 3
    look_at(visit, "errors-three-ids")
    visit.page.close()


def test_no_page_scrolls_sideways_at_320_pixels(opened: Visit) -> None:
    page = opened.page
    page.set_viewport_size({"width": 320, "height": 640})
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    page.evaluate(_OPEN)
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert max(widths) <= 320


def test_a_row_that_is_a_card_is_on_a_narrow_screen_whole_and_names_what_it_has(
    opened: Visit,
) -> None:
    opened.page.set_viewport_size({"width": 320, "height": 640})
    for row in opened.page.evaluate(_CARDS):
        for head, name, right in row:
            assert name == head
            assert right <= 320


def test_a_page_has_the_same_tables_without_scripts(opened: Visit) -> None:
    page = opened.page
    sent = page.request.get(page.url).text()
    page.reload()
    shown = page.locator("main caption, main thead th").all_text_contents()
    heads = re.findall(
        r"<(?:caption|th scope=\"col\")[^>]*>(.*?)</(?:caption|th)>", sent, re.DOTALL
    )
    assert len(heads) == len(shown)


def ask_again(page: Page, poll_s: float) -> None:
    """Let the time of a page pass until it has been made anew, which is not at each poll."""
    for _ in range(_MOST_POLLS):
        with page.expect_response(_is_poll) as polled:
            page.clock.fast_forward(int(poll_s * 1000) + 1)
        if polled.value.status == 200:
            page.wait_for_timeout(100)  # the answer has come, and is put in place
            return
        page.wait_for_timeout(500)  # of the demo's own play: another process, without an event
    raise AssertionError("no poll has brought anything new")


def _is_poll(response: Response) -> bool:
    return response.request.resource_type == "fetch"


def polled(signed: BrowserContext, url: str) -> Page:
    page = signed.new_page()
    page.clock.install()
    page.goto(url)
    return page


def test_focus_and_what_was_typed_are_kept_while_live_asks_again(
    signed: BrowserContext, urls: dict[str, str]
) -> None:
    page = polled(signed, urls["/live"])
    field = page.get_by_label("upstream")
    field.fill("acct")
    for _ in range(3):
        ask_again(page, live.PAGE.poll_s or 0)
    assert field.evaluate("(each) => each === document.activeElement")
    assert field.input_value() == "acct"
    page.close()


def test_details_that_are_open_stay_open_while_a_page_asks_again(
    signed: BrowserContext, urls: dict[str, str]
) -> None:
    page = polled(signed, urls["/"])
    page.locator("details summary").first.click()
    ask_again(page, overview.PAGE.poll_s or 0)
    assert page.locator("details").first.evaluate("(each) => each.open")
    page.close()


def test_the_page_of_a_key_holder_in_each_look(browser: Browser, at: Demo) -> None:
    ask(at, {"x-anyrouter-tag": "repo=shop/web"}, "claude-sonnet-4-6")
    context = signed_in(browser, dataclasses.replace(at, credential=at.key))
    visit = Visit(context.new_page(), at.page)
    visit.page.goto(at.page + "me")
    visit.page.get_by_role("heading", name="demo").wait_for()
    for look in LOOKS:
        wear(visit, look)
        look_at(visit, f"me-{look}")
    context.close()


def ask(at: Demo, headers: dict[str, str], model: str) -> None:
    """Send a request as a client does."""
    always = {
        "x-api-key": at.key,
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": model, "max_tokens": 9, "messages": messages}).encode()
    asked = urllib.request.Request(f"{at.url}/v1/messages", body, always | headers)
    urllib.request.urlopen(asked).close()


def test_markup_that_clients_send_is_shown_as_text(
    signed: BrowserContext, at: Demo, urls: dict[str, str]
) -> None:
    headers = {
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
        # The sandbox has no model of such a name.
        with contextlib.suppress(urllib.error.HTTPError):
            ask(at, headers, model)
    page = signed.new_page()
    visit = Visit(page, at.page)
    page.wait_for_timeout(
        1_500
    )  # models are made once a second, and rows are stored behind the answer
    session = f"{at.page}sessions/{urllib.parse.quote(HOSTILE, safe='')}"
    requests = {*re.findall(r'href="/(requests/[^"#?]+)', signed.request.get(session).text())}
    theirs = [session, *(at.page + each for each in requests)]
    theirs += [f"{at.page}spend?by={by}" for by in ("session,tag", "client,agent_type")]
    assert len(requests) == 2
    for url in (*urls.values(), *theirs):
        page.goto(url)
        assert page.locator('img[src="x"]').count() == 0
        assert "<img src=x" not in page.content()
        if url in theirs:
            assert HOSTILE in page.locator("main").inner_text(), url
    page.close()
    assert visit.complaints == []


@pytest.mark.parametrize("state", ["empty", "gone"])
def test_pages_of_a_store_that_is_empty_or_gone(
    browser: Browser, sqlite_made: Path, tmp_path: Path, state: str
) -> None:
    file = sqlite_made
    if state == "gone":
        (tmp_path / "none").write_text("no folder")
        file = tmp_path / "none" / "store.db"
    with pages_of(f"sqlite:///{file}", WRITER) as own:
        context = signed_in(browser, own)
        for path in (path for path in PATHS if "{" not in path and path != "/me"):
            visit = Visit(context.new_page(), own.page)
            # The browser itself tells of the status of such a page; no worker is there to be asked.
            if state == "gone" or path in ("/live", "/upstreams"):
                visit.expected = "503"
            visit.page.goto(own.page + path[1:])
            for look in LOOKS if path == "/" else LOOKS[:1]:
                wear(visit, look)
                look_at(visit, f"{state}-{name_of(path)}-{look}")
            visit.page.close()
        context.close()
