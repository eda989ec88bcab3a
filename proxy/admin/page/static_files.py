"""Style sheet and scripts, whose URL has a digest of them: a browser asks once for each version of them."""

import gzip
import hashlib
from importlib import resources

from aiohttp import web

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_SHOWN_DIGITS = 16


def _read() -> dict[str, bytes]:
    folder = resources.files(__package__) / "static"
    return {
        each.name: each.read_bytes()
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(tuple(_TYPES))
    }


_FILES = _read()
_ZIPPED = {name: gzip.compress(content, mtime=0) for name, content in _FILES.items()}
SHEETS = tuple(name for name in _FILES if name.endswith(".css"))
DIGEST = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:_SHOWN_DIGITS]


async def serve(request: web.Request) -> web.Response:
    """Serve `/static/{digest}/{name}`."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise web.HTTPNotFound
    is_zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {"Content-Encoding": "gzip"} if is_zipped else {}
    if request.match_info["digest"] == DIGEST:
        headers["Cache-Control"] = _FOR_EVER
    return web.Response(
        body=(_ZIPPED if is_zipped else _FILES)[name],
        content_type=_TYPES["." + name.rpartition(".")[2]],
        charset="utf-8",
        headers={**headers, "Vary": "Accept-Encoding"},
    )
