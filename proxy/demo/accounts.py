"""Sandboxes that stand for accounts; one of them can be away for a while."""

from aiohttp import web

from proxy.sandbox import Knobs, serve_sandbox

_HOST = "127.0.0.1"


class Account:
    """A sandbox on a port that it keeps."""

    def __init__(self) -> None:
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{_HOST}:{self._port}"

    async def start(self) -> None:
        """Answer from now on.

        Raises:
            OSError: its port is taken.
        """
        self._runner = await serve_sandbox(_HOST, self._port, Knobs())
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Answer no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
