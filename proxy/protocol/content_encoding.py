"""What `Content-Encoding` names; gzip and deflate undone, bounded, in steps between which others can run. Pure."""

import zlib
from collections.abc import Iterable, Iterator

from proxy.errors import InvalidRequest, RequestTooLarge

_STEP_BYTES = 1 << 18
_SLICE_BYTES = 1 << 14
# Each costs a decoder of its own; a block-gzipped body of 64 MiB has as many.
_MAX_MEMBERS = 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
DECODED = frozenset({"gzip", "x-gzip", "deflate"})


def encodings(values: Iterable[str]) -> list[str]:
    """Return the encodings that the values of `Content-Encoding` name, in their order, in lower case.

    `identity` is none (RFC 9110 section 8.4.1), and neither is an empty place in the list.
    """
    names = (name.strip().lower() for value in values for name in value.split(","))
    return [name for name in names if name not in ("", "identity")]


def decode_steps(body: bytes, encoding: str, max_bytes: int) -> Iterator[bytes]:
    """Undo gzip or deflate, a step at a time.

    Args:
        body: the whole of it, encoded.
        encoding: one of `DECODED`.
        max_bytes: bound of what comes out.

    Yields:
        The decoded bytes, up to 256 KiB at a time, perhaps none: a pause in which others may run.

    Raises:
        RequestTooLarge: more than `max_bytes` come out.
        InvalidRequest: the body is not what the encoding names.
    """
    size = 0
    # Some senders of "deflate" leave the zlib header out (RFC 9110 section 8.4.1.2).
    headless = encoding == "deflate" and body != b"" and body[0] & 0x0F != zlib.DEFLATED
    wbits = -zlib.MAX_WBITS if headless else _GZIP_OR_ZLIB
    decoder = zlib.decompressobj(wbits)
    members = 1
    # In slices: a decoder copies what it has not consumed, which on a whole body of many members is quadratic.
    for start in range(0, len(body), _SLICE_BYTES):
        rest = body[start : start + _SLICE_BYTES]
        last = start + _SLICE_BYTES >= len(body)
        while rest or (last and not decoder.eof):
            if decoder.eof:
                # gzip may hold several members, one after the other (RFC 1952 section 2.2).
                members += 1
                decoder = zlib.decompressobj(wbits)
            try:
                step = decoder.decompress(rest, _STEP_BYTES)
            except zlib.error:
                raise _broken() from None
            if members > _MAX_MEMBERS or not (rest or step or decoder.eof):
                raise _broken()
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            size += len(step)
            if size > max_bytes:
                raise RequestTooLarge(
                    f"the decoded body is over {max_bytes} bytes",
                    error_code="request_body_too_large_after_decoding",
                )
            yield step
        yield b""
    if not decoder.eof:
        raise _broken()


def _broken() -> InvalidRequest:
    return InvalidRequest(
        "content-encoding: the body is not what it names",
        error_code="request_body_encoding_invalid",
    )
