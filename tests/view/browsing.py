"""A busy demo, and Debian's Chromium that looks at it, signed in."""

import asyncio
import contextlib
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.admin.viewing import viewed

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_MUCH = 1 << 16
_READY_WITHIN_S = 90.0
_ENDS_WITHIN_S = 15.0
# It runs as root in CI, where its sandbox cannot.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_TELL_VIOLATIONS = """addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


@dataclass(frozen=True)
class Demo:
    """A running demo: the gateway's base URL, its key, the page, and the operator's credential."""

    url: str
    key: str
    page: str
    credential: str


@contextlib.contextmanager
def demo() -> Iterator[Demo]:
    """Run `anyrouter demo --busy`."""
    command = [sys.executable, "-m", "proxy", "demo", "--busy", "--port", "0"]
    with tempfile.TemporaryFile() as out, subprocess.Popen(command, stdout=out) as process:
        said, ends_s = "", time.monotonic() + _READY_WITHIN_S
        while "Scripted sessions" not in said and time.monotonic() < ends_s:
            time.sleep(0.1)  # another process
            said = os.pread(out.fileno(), _MUCH, 0).decode()
        try:
            yield Demo(
                re.findall(r"curl -s (\S+)/v1/messages", said)[0],
                re.findall(r"for this run: +(\S+)", said)[0],
                re.findall(r"what it costs: +(\S+)", said)[0],
                re.findall(r"Sign in there with: +(\S+)", said)[0],
            )
        finally:
            process.terminate()
            process.wait(_ENDS_WITHIN_S)


@contextlib.contextmanager
def pages_of(store_url: str, credential: str) -> Iterator[Demo]:
    """Serve the pages alone, of any store, in a thread: there is neither gateway nor traffic."""
    began: queue.Queue[str] = queue.Queue()
    ends = threading.Event()

    async def serve() -> None:
        async with viewed(store_url) as own:
            began.put(own.url)
            await asyncio.to_thread(ends.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        url = began.get(timeout=_READY_WITHIN_S)
        yield Demo(url="", key="", page=url + "/", credential=credential)
    finally:
        ends.set()
        thread.join(_ENDS_WITHIN_S)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    assert path is not None, "Chromium is missing: install it (Debian: chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A tab, with everything that should not be there: of the console, of other origins, dialogs.

    Lines of the console that have what is `expected` in them are as they should be.
    """

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    expected: str | None = None

    def __post_init__(self) -> None:
        self.page.add_init_script(_TELL_VIOLATIONS)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self._on_request(request.url))
        self.page.on("dialog", lambda dialog: self._on_dialog(dialog.message))

    def _on_console(self, message: ConsoleMessage) -> None:
        if self.expected is None or self.expected not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith(self.origin):
            self.complaints.append(f"elsewhere: {url}")

    def _on_dialog(self, message: str) -> None:
        self.complaints.append(f"dialog: {message}")


def signed_in(browser: Browser, at: Demo) -> BrowserContext:
    """Sign in as the operator, by the form."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(at.page)
    page.get_by_label("Your key").fill(at.credential)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(at.page + "**")
    page.wait_for_selector("nav")
    page.close()
    return context
