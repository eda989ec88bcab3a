"""What has come of a body, taken at once: aiohttp's way takes nine calls for what is one `popleft`.

This rests on aiohttp's internals: tests/unit/test_aiohttp_facts.py compares the two.
"""

from aiohttp import StreamReader


def take_whole(content: StreamReader) -> bytes | None:
    """Return a body of which all has come and nothing was read; None: it is to be read the long way.

    The long way is also that of a body for which reading was paused: there to read is what lets it go on.
    """
    if type(content) is not StreamReader or not content._eof or content._exception is not None:  # noqa: SLF001 - as `read_nowait` does
        return None
    if content._protocol._reading_paused or content._cursor:  # noqa: SLF001 - as above
        return None
    parts = content._buffer  # noqa: SLF001 - as above
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    parts.clear()
    content._size = 0  # noqa: SLF001 - as above
    return body


def take_piece(content: StreamReader) -> bytes:
    """Return what `read_nowait` would, and leave what it would, of a piece that came alone by five calls less.

    Raises:
        Exception: what broke the body off.
    """
    pieces = content._buffer  # noqa: SLF001 - as `read_nowait` does
    if len(pieces) != 1 or content._buffer_offset or content._exception is not None:  # noqa: SLF001 - as above
        return content.read_nowait()
    if content._protocol._reading_paused:  # noqa: SLF001 - as above
        return content.read_nowait()
    piece = pieces.popleft()
    content._size = 0  # noqa: SLF001 - as above
    content._cursor += len(piece)  # noqa: SLF001 - as above
    ends = content._http_chunk_splits  # noqa: SLF001 - as above
    while ends and ends[0] < content._cursor:  # noqa: SLF001 - as above
        ends.popleft()
    return piece
