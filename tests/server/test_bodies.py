"""Bodies that are compressed, too large, too slow, or announced with Expect."""

import gzip
import io
import os
import resource
import zlib
from time import process_time

import pytest

from fuzz.machine import slowness
from proxy import Limits, Timeouts
from tests.support.client import connected, request
from tests.support.gateways import BODY, HEADERS, Running, config_for, running
from tests.support.raw import RawUpstream
from tests.support.refusals import raw_refusal, refusal

OUTBOUND = BODY.replace(b"anthropic/claude-sonnet-4.6", b"claude-sonnet-4-6")


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


GOOD_ENCODINGS = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "x-gzip": ("x-gzip", gzip.compress(BODY)),
    "gzip in capitals": (" GZIP ", gzip.compress(BODY)),
    "gzip, two members": ("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])),
    "gzip, stored": ("gzip", gzip.compress(BODY, compresslevel=0)),
    "gzip, an empty last member": ("gzip", gzip.compress(BODY) + gzip.compress(b"")),
    "deflate": ("deflate", zlib.compress(BODY)),
    "deflate without its header": ("deflate", raw_deflate(BODY)),
    "identity": ("identity", BODY),
    "identity in capitals": ("IDENTITY", BODY),
    "identity twice": ("identity,identity", BODY),
    "identity and gzip": ("identity, gzip", gzip.compress(BODY)),
    "gzip and identity": ("gzip,identity", gzip.compress(BODY)),
    "nothing": ("", BODY),
    "an empty list": (" , ", BODY),
}


@pytest.mark.parametrize(("encoding", "sent"), GOOD_ENCODINGS.values(), ids=GOOD_ENCODINGS)
async def test_a_compressed_body_arrives_decoded(
    gateway: Running, upstream: RawUpstream, encoding: str, sent: bytes
) -> None:
    async with gateway.post(sent, headers={"content-encoding": encoding}) as response:
        assert response.status == 200
    assert upstream.requests[0].body == OUTBOUND
    assert b"content-encoding" not in upstream.requests[0].head.lower()
    assert gateway.log[0]["bytes_in"] == len(sent)


async def test_a_compressed_body_of_many_slices_arrives_whole(
    gateway: Running, upstream: RawUpstream
) -> None:
    body = BODY.replace(b"say hi", os.urandom(600_000).hex().encode())
    async with gateway.post(gzip.compress(body), headers={"content-encoding": "gzip"}) as response:
        assert response.status == 200
    assert upstream.requests[0].body == body.replace(BODY[11:38], OUTBOUND[11:28])


BROKEN = {
    "truncated": ("gzip", gzip.compress(BODY)[:-1]),
    "only a header": ("gzip", gzip.compress(BODY)[:10]),
    "wrong checksum": ("gzip", gzip.compress(BODY)[:-8] + b"\0" * 8),
    "corrupt": ("gzip", gzip.compress(BODY)[:20] + b"\xff" * 20),
    "not gzip": ("gzip", BODY),
    "rubbish behind it": ("gzip", gzip.compress(BODY) + b"rubbish"),
    "nothing": ("gzip", b""),
    "deflate truncated": ("deflate", zlib.compress(BODY)[:-3]),
    "deflate without header, truncated": ("deflate", raw_deflate(BODY)[:-3]),
    "not deflate": ("deflate", BODY),
}


@pytest.mark.parametrize(("encoding", "sent"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_encoding_is_400_with_the_apis_code(
    gateway: Running, encoding: str, sent: bytes
) -> None:
    async with gateway.post(sent, headers={"content-encoding": encoding}) as response:
        error = await refusal(response, 400, "invalid_request_error")
    assert error["details"] == {"error_code": "request_body_encoding_invalid"}


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "identity, br", "x"])
async def test_an_unknown_encoding_is_415_with_the_apis_code(
    gateway: Running, encoding: str
) -> None:
    async with gateway.post(headers={"content-encoding": encoding}) as response:
        error = await refusal(response, 415, "invalid_request_error")
    assert error["details"] == {"error_code": "request_body_encoding_unsupported"}


async def test_a_decompression_bomb_is_413_at_the_cost_of_the_bound(gateway: Running) -> None:
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    mebibyte = compressor.compress(b" " * (1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    bomb = mebibyte * 900  # 900 MiB in 1 MiB
    assert len(bomb) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = process_time()
    async with gateway.post(bomb, headers={"content-encoding": "deflate"}) as response:
        error = await refusal(response, 413, "request_too_large")
    assert error["details"] == {"error_code": "request_body_too_large_after_decoding"}
    assert (process_time() - started) / slowness() < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10  # KiB


@pytest.mark.parametrize("content", [b"", b" "])
async def test_a_body_of_a_million_members_does_not_hold_the_server(
    gateway: Running, content: bytes
) -> None:
    member = gzip.compress(content, mtime=0)
    started = process_time()
    body = io.BytesIO(member * ((30 << 20) // len(member)))
    async with gateway.session.post(
        gateway.url + "/v1/messages", data=body, headers={**HEADERS, "content-encoding": "gzip"}
    ) as response:
        await refusal(response, 400, "invalid_request_error")
    assert (process_time() - started) / slowness() < 2


async def test_a_body_declared_too_large_is_413_before_a_byte_of_it(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(request(b"content-length: 33554433", length=False, body=b""))
        raw_refusal(await client.answer(), 413, "request_too_large")
    assert gateway.log[0]["bytes_in"] == 0


async def test_a_chunked_body_is_413_as_soon_as_it_is_too_large(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_body_bytes=1000))
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        await client.send(request(b"transfer-encoding: chunked", length=False, body=b""))
        await client.send(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        await client.send(b"1\r\n \r\n")  # and no end
        raw_refusal(await client.answer(), 413, "request_too_large")
    assert gateway.log[0]["cause"] == "request_too_large"


async def test_a_body_of_exactly_the_limit_is_taken(upstream: RawUpstream) -> None:
    config = config_for(upstream.url, limits=Limits(max_body_bytes=len(BODY)))
    async with running(config) as gateway:
        async with gateway.post() as response:
            assert response.status == 200
        async with gateway.post(BODY + b" ") as response:
            await refusal(response, 413, "request_too_large")


@pytest.mark.parametrize("sent", [b"", BODY[:10]], ids=["no byte", "a part"])
async def test_a_body_that_stops_coming_is_408_and_closed(
    upstream: RawUpstream, sent: bytes
) -> None:
    config = config_for(upstream.url, timeouts=Timeouts(request_body_idle_s=0.1))
    async with running(config) as gateway, connected(gateway.host, gateway.port) as client:
        length = b"content-length: %d" % len(BODY)
        await client.send(request(length, length=False, body=sent))
        error = raw_refusal(await client.answer(), 408, "timeout_error")
        assert "0.1 s" in error["message"]
        assert await client.until_closed() == b""
    assert gateway.log[0]["cause"] == "request_body_timeout"
    assert not upstream.requests


async def test_a_client_with_a_good_key_is_told_to_continue(
    gateway: Running, upstream: RawUpstream
) -> None:
    async with connected(gateway.host, gateway.port) as client:
        length = b"content-length: %d" % len(BODY)
        await client.send(request(length, b"Expect: 100-continue", length=False, body=b""))
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(BODY)
        assert (await client.answer()).status == 200
    assert b"expect" not in upstream.requests[0].head.lower()


REFUSED_UNASKED = {
    "a bad key": (b"x-api-key: ar-bad", 401, "authentication_error"),
    "a bad version": (b"anthropic-version: 1", 400, "invalid_request_error"),
    "a bad type": (b"content-type: text/plain", 415, "invalid_request_error"),
    "too large": (b"content-length: 99999999", 413, "request_too_large"),
}


@pytest.mark.parametrize(("line", "status", "kind"), REFUSED_UNASKED.values(), ids=REFUSED_UNASKED)
async def test_who_is_refused_anyway_is_not_told_to_continue(
    gateway: Running, line: bytes, status: int, kind: str
) -> None:
    data = request(b"Expect: 100-continue", b"content-length: 10", length=False, body=b"")
    name = line.split(b":")[0]
    lines = [each for each in data.split(b"\r\n") if not each.startswith(name + b":")]
    lines.insert(1, line)
    async with connected(gateway.host, gateway.port) as client:
        await client.send(b"\r\n".join(lines))
        raw_refusal(await client.answer(), status, kind)


async def test_an_unknown_expectation_is_417(gateway: Running) -> None:
    async with connected(gateway.host, gateway.port) as client:
        await client.send(request(b"Expect: miracles"))
        raw_refusal(await client.answer(), 417, "invalid_request_error")
