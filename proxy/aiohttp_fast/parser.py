"""Which HTTP parser aiohttp has: the compiled one, or the pure Python one, which has had request smuggling bugs."""

from aiohttp import http_parser


def has_compiled_parser() -> bool:
    """Return whether aiohttp was built with its C extension."""
    return http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
