"""What aiohttp refuses, as a failure of the API's."""

from aiohttp import web

from proxy.errors import InvalidRequest, MethodNotAllowed, NotFound, ProxyError

MAX_BODY_BYTES = 1 << 20
MAX_PATH_CHARS = 200


def to_proxy_error(request: web.Request, error: ProxyError | web.HTTPException) -> ProxyError:
    """Return what a request is refused with."""
    match error:
        case ProxyError():
            return error
        case web.HTTPRequestEntityTooLarge():
            return InvalidRequest(f"body: over {MAX_BODY_BYTES} bytes")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(error.method, sorted(error.allowed_methods))
        case web.HTTPNotFound():
            return NotFound(f"no such path: {request.rel_url.raw_path[:MAX_PATH_CHARS]}")
    return InvalidRequest(error.reason)
