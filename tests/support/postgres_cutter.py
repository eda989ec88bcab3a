"""A way to PostgreSQL that cuts connections in the middle of a COMMIT."""

import asyncio
import contextlib
import enum
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Cut(enum.Enum):
    """When a connection is cut: nobody on the other side knows which it was."""

    BEFORE_COMMIT = enum.auto()
    AFTER_COMMIT = enum.auto()


class Cutter:
    """Passes on what client and server say to each other, but for some commits.

    Attributes:
        due: how the next commits end, from the last to the first; none: they go through.
        url: a database's, by this way.
    """

    def __init__(self, url: str, folder: str) -> None:
        database, _, self._server_folder = url.partition("?host=")
        self.url = f"{database}?host={folder}"
        self.due: list[Cut] = []
        self.folder = folder

    async def passes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client."""
        server = await asyncio.open_unix_connection(f"{self._server_folder}/{_SOCKET}")
        back = asyncio.create_task(_copy(server[0], writer))
        try:
            while data := await reader.read(1 << 16):
                if data.endswith(_COMMIT) and self.due:
                    if self.due.pop() is Cut.AFTER_COMMIT:
                        back.cancel()
                        # One may read at a time; the server's word stays here.
                        await asyncio.wait((back,))
                        server[1].write(data)
                        await server[0].read(1)
                    return
                server[1].write(data)
        finally:
            back.cancel()
            server[1].close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)


@contextlib.asynccontextmanager
async def cutting(url: str) -> AsyncIterator[Cutter]:
    """Serve a way to a database."""
    with tempfile.TemporaryDirectory(prefix="cut-") as folder:
        cutter = Cutter(url, folder)
        server = await asyncio.start_unix_server(cutter.passes, Path(folder) / _SOCKET)
        async with server:
            yield cutter
            server.close()
