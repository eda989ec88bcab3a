"""Keys of what is kept with a request or a response.

Before aiohttp 3.14 both take any key, and only applications have typed ones.
"""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING or hasattr(web, "RequestKey"):
    from aiohttp.web import RequestKey, ResponseKey
else:
    from aiohttp.web import AppKey as RequestKey
    from aiohttp.web import AppKey as ResponseKey

__all__ = ["RequestKey", "ResponseKey"]
