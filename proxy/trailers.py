"""Trailers of requests: aiohttp's parser takes the last one for a header of the next request on the connection.

Nobody is told whether there were any. So behind a request in chunks, which alone can have them, the connection closes:
else a relay that shares one between its clients would give the second what the first has sent.
"""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler


@web.middleware
async def close_behind_chunks(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Close behind a request in chunks. For an application that any server may run; ours sees to it itself."""
    response = await handler(request)
    if hdrs.TRANSFER_ENCODING in request.headers:
        response.force_close()
    return response
