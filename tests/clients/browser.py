"""The TypeScript SDK in a page that Chromium shows: the script that runs in Node, bundled as pages are.

The page's origin is not the gateway's, so it has a gateway of its own, which lets that origin in.
"""

import http.server
import json
import shutil
import threading
from pathlib import Path
from typing import Self

from tests.clients import installs, programs, scripts, stack
from tests.clients.report import Report
from tests.clients.stack import Stack
from tests.clients.table import BROWSER, Client

_PAGE_S = 150.0
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# It runs as root in CI, where its sandbox cannot; the rest keeps it from talking to anybody else.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
)
_PAGE = """<!doctype html><meta charset="utf-8"><script>
  globalThis.GATEWAY = %s;
  let told = Promise.resolve();
  console.log = (line) => { told = told.then(() => fetch("/lines", { method: "POST", body: line })); };
  addEventListener("error", (event) => console.log(`FAIL the page: ${event.message}`));
  addEventListener("unhandledrejection", (event) => console.log(`FAIL the page: ${event.reason}`));
</script><script type="module" src="/bundle.js"></script>"""


def install(place: Path) -> None:
    """Install the SDK and a bundler, and bundle the script."""
    _chromium()
    installs.npm(BROWSER, installs.ESBUILD)(place)
    bundle = ("--bundle", "--format=esm", "--platform=browser", "--outfile=bundle.js")
    installs.run([place / "node_modules/.bin/esbuild", "sdk.mjs", *bundle], place)


def run(client: Client, place: Path, _: Stack, report: Report) -> None:
    """Show the page, and take in what it tells."""
    with _Site(place / "bundle.js") as site:
        directory, environment = place / "gateway", scripts.clean(place / "home")
        directory.mkdir()
        cors = {"cors": {"origins": [site.origin]}}
        try:
            with stack.running(directory, environment, **cors) as (gateway, end):
                site.page = _PAGE % json.dumps(gateway.environment())
                profile = f"--user-data-dir={place / 'profile'}"
                with programs.serving(
                    [_chromium(), *_FLAGS, profile, site.origin],
                    env=environment,
                    cwd=place,
                    out=place / "chromium.out",
                    err=place / "chromium.err",
                ):
                    # Its end kills whatever Chromium has started.
                    site.over.wait(_PAGE_S)
                report.check(client.title, "its gateway ends when told to", end())
        except RuntimeError as error:
            report.fail(client.title, "a gateway that lets a page's origin in", str(error))
            return
    told = [report.script_line(client.title, line) for line in site.lines]
    if not any(told):
        complaints = (place / "chromium.err").read_text(errors="replace")
        report.fail(client.title, "run to the end", complaints[-600:])


class _Site:
    """Serves the page and its script on a free port, and takes the lines that the page sends back."""

    def __init__(self, bundle: Path) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/bundle.js":
                    self._answer("text/javascript", bundle.read_bytes())
                else:
                    self._answer("text/html", site.page.encode())

            def do_POST(self) -> None:
                line = self.rfile.read(int(self.headers["content-length"])).decode()
                site.lines.append(line)
                self._answer("text/plain", b"")
                if line == "end":
                    site.over.set()

            def _answer(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.page = ""
        self.lines: list[str] = []
        self.over = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _chromium() -> str:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise installs.NotInstalledError("Chromium is missing: install it (Debian: chromium)")
    return found
