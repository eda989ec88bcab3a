"""The admin API's report of what failed: by fault, cause and upstream, and by version of the client."""

from aiohttp import web

from proxy.admin.context import CONTEXT, json
from proxy.admin.failed import by_cause, by_client
from proxy.admin.paging import refuse_unknown
from proxy.admin.usage import scope_of
from proxy.store import views

_MOST = 200


async def errors(request: web.Request) -> web.Response:
    """Serve `GET /admin/v1/errors`."""
    query = request.query
    refuse_unknown(query, "since", "until", "key", "upstream")
    scope = scope_of(query)
    found = await request.app[CONTEXT].ask(lambda engine: views.failures(engine, scope))
    return json(
        {
            "type": "errors",
            "requests": sum(each.requests for each in found),
            "data": by_cause(found)[:_MOST],
            "clients": by_client(found)[:_MOST],
        }
    )
