"""Cross-origin requests of browsers, for the origins that the configuration names (WHATWG Fetch, "CORS protocol")."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from proxy.errors import OriginForbidden
from proxy.gateway import GATEWAY

_MAX_AGE_S = 600
_MAX_QUOTED_CHARS = 200
# What SDKs read. `*` covers what the API adds; it counts only where no credentials mode is in play, as here.
_EXPOSED = "request-id, retry-after, x-should-retry, anthropic-organization-id, *"


def allow_origins(app: web.Application) -> Middleware:
    """Let pages of the configuration's origins read the application's responses.

    Args:
        app: a gateway's, not started yet.

    Returns:
        The middleware that answers preflights, for which browsers send no key.
    """

    def allows(origin: str | None) -> bool:
        allowed = app[GATEWAY].snapshot.config.cors.origins
        return origin is not None and ("*" in allowed or origin in allowed)

    async def expose(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not allows(origin):
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        response.headers.add(hdrs.VARY, "Origin")

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if request.method != hdrs.METH_OPTIONS or asked is None:
            return await handler(request)
        origin = request.headers.get(hdrs.ORIGIN)
        if not allows(origin):
            shown = (origin or "none")[:_MAX_QUOTED_CHARS]
            raise OriginForbidden(f"origin {shown} is not allowed here: see cors.origins")
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST",
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_MAX_AGE_S),
        }
        if (names := request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)) is not None:
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = names
        return web.Response(status=204, headers=headers)

    app.on_response_prepare.append(expose)
    return answer_preflight
