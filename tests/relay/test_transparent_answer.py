"""What the upstream answers reaches the client as it came: status, headers, bytes, the model apart."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.relay.answered import ECHOED, answered
from tests.support.client import ask, request
from tests.support.gateways import MODEL, STREAM_BODY
from tests.support.raw import EVENTS, MESSAGE, SSE_HEAD, STREAM, UpstreamSide, answer, chunk
from tests.support.scripts import gateway_before, says


async def test_a_message_keeps_every_byte_but_the_model() -> None:
    odd = b' {\r\n"id" :\t"msg_1",  "model":"claude-sonnet-4-6" , "n":1.50e0,"s":"\\u00e9\\/"}\n'
    reply = await answered(answer(odd))
    assert reply.body == odd.replace(b"claude-sonnet-4-6", MODEL.encode())
    assert reply.whole


async def test_a_model_nested_in_a_message_is_not_the_message_s_model() -> None:
    name = b'"claude-sonnet-4-6"'
    odd = b'{"content":[{"model":%b}],"model":%b,"usage":{"model":"c"}}'
    reply = await answered(answer(odd % (name, name)))
    assert reply.body == odd % (name, b'"%s"' % MODEL.encode())


@pytest.mark.parametrize(
    "message",
    [
        b'{"model":"claude-opus-5-5","usage":{"output_tokens":1}}',
        b'{"model":null,"usage":{}}',
        b'{"model":["claude-sonnet-4-6"]}',
    ],
)
async def test_a_message_of_another_model_than_the_one_sent_says_who_answered(
    message: bytes,
) -> None:
    assert (await answered(answer(message))).body == message


async def test_a_message_with_half_a_surrogate_pair_names_the_model_asked_for_all_the_same() -> (
    None
):
    halved = b'{"content":"\\ud83d","model":"claude-sonnet-4-6","usage":{"x":"\\udc00\\\\ud83d"}}'
    reply = await answered(answer(halved))
    assert reply.body == halved.replace(b"claude-sonnet-4-6", MODEL.encode())


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    "blank_line", [b"\n", b"\r\n", b"\r", b""], ids=["lf", "crlf", "cr", "none"]
)
async def test_a_stream_in_any_mixture_of_line_ends_is_whole_also_without_its_last_blank_line(
    line_end: bytes, blank_line: bytes
) -> None:
    events = ECHOED.removesuffix(b"\n\n").split(b"\n\n")
    if line_end == b"\r" and blank_line == b"\n":
        line_end = b"\n\r"  # CR LF would be one line's end
    sent = [event.replace(b"\n", line_end) + line_end for event in events]
    stream = (blank_line or line_end).join(sent) + blank_line
    theirs = stream.replace(MODEL.encode(), b"claude-sonnet-4-6")
    reply = await answered(SSE_HEAD + chunk(theirs) + chunk(b""), STREAM_BODY)
    assert reply.body == stream
    assert reply.whole


async def test_a_stream_tells_nginx_not_to_hold_it_back() -> None:
    streamed = await answered(SSE_HEAD + chunk(STREAM) + chunk(b""), STREAM_BODY)
    assert streamed.values("x-accel-buffering") == ["no"]
    theirs = SSE_HEAD.replace(b"\r\n\r\n", b"\r\nX-Accel-Buffering: yes\r\n\r\n")
    kept = await answered(theirs + chunk(STREAM) + chunk(b""), STREAM_BODY)
    assert kept.values("x-accel-buffering") == ["yes"]
    assert (await answered(answer(MESSAGE))).values("x-accel-buffering") == []


async def test_a_count_of_tokens_keeps_every_byte() -> None:
    odd = b'{ "input_tokens" : 14 , "model":"as-it-is" }'
    assert (await answered(answer(odd), path="/v1/messages/count_tokens")).body == odd


async def test_without_echo_every_byte_is_the_upstreams() -> None:
    assert (await answered(answer(), echo_model=False)).body == MESSAGE
    stream = SSE_HEAD + chunk(STREAM) + chunk(b"")
    assert (await answered(stream, STREAM_BODY, echo_model=False)).body == STREAM


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 413, 422, 429, 500, 503, 529])
async def test_an_error_keeps_its_status_body_and_headers(status: int) -> None:
    body = b'{"type":"error", "error":{"type":"x","message":"prompt is too long: 1 > 0"}} '
    head = {
        "retry-after": "7",
        "x-should-retry": "true",
        "request-id": "req_upstream",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-organization-id": "org",
    }
    lines = [f"{name}: {value}".encode() for name, value in head.items()]
    reply = await answered(answer(body, b"%d Odd Reason" % status, *lines))
    assert (reply.status, reply.body) == (status, body)
    for name, value in head.items():
        assert reply.values(name) == [value]


async def test_headers_that_speak_of_the_upstreams_connection_stay_there() -> None:
    dropped = {
        "set-cookie": "a=1",
        "alt-svc": 'h3=":443"',
        "strict-transport-security": "max-age=1",
        "access-control-allow-origin": "*",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "*",
        "keep-alive": "timeout=5",
        "proxy-authenticate": "Basic",
        "x-hop": "1",
        "connection": "x-hop, keep-alive",
        "trailer": "x-sum",
    }
    lines = [f"{name}: {value}".encode() for name, value in dropped.items()]
    reply = await answered(answer(MESSAGE, b"200 OK", *lines, b"server: up", b"x-kept: 1"))
    for name in dropped.keys() - {"connection"}:
        assert reply.values(name) == []
    assert reply.values("connection") in ([], ["close"])
    assert reply.values("x-kept") == ["1"]
    assert reply.values("server") == ["up"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_neither_followed_nor_passed_on(status: int) -> None:
    seen: list[bytes] = []

    async def script(exchange: UpstreamSide) -> None:
        seen.append(exchange.head)
        host = exchange.head.lower().split(b"host: ")[1].split(b"\r\n")[0]
        location = b"location: http://%s/elsewhere" % host
        await exchange.send(answer(b"{}", b"%d Moved" % status, location))

    async with gateway_before(script) as (_, gateway):
        reply = await ask(gateway, request())
    assert (reply.status, reply.values("location"), len(seen)) == (502, [], 1)
    assert gateway.log[0]["cause"] == "upstream_redirect"


async def test_a_refused_credential_of_ours_is_a_502_without_the_upstreams_text() -> None:
    reply = await answered(answer(b'{"secret":"invalid x-api-key"}', b"401 Unauthorized"))
    assert reply.status == 502
    assert b"secret" not in reply.body
    assert reply.values("x-should-retry") == ["false"]


async def test_a_request_id_is_made_where_the_upstream_gives_none() -> None:
    bare = SSE_HEAD.replace(b"request-id: req_up\r\n", b"")
    for data in (answer(), answer(b"{}", b"500 No"), bare + chunk(STREAM) + chunk(b"")):
        (value,) = (await answered(data, STREAM_BODY)).values("request-id")
        assert value.startswith("req_")


async def test_the_upstreams_request_id_is_the_only_one() -> None:
    for data in (
        answer(MESSAGE, b"200 OK", b"request-id: req_up"),
        answer(b"{}", b"429 Slow", b"Request-Id: req_up"),
        SSE_HEAD + chunk(STREAM) + chunk(b""),
    ):
        assert (await answered(data, STREAM_BODY)).values("request-id") == ["req_up"]


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=12).map(sorted))
async def test_a_stream_keeps_every_byte_however_it_is_cut(cuts: list[int]) -> None:
    parts = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    assert await relayed_in(parts) == ECHOED


async def relayed_in(parts: list[bytes]) -> bytes:
    """Give the body of a stream that the upstream writes part by part."""

    async def script(exchange: UpstreamSide) -> None:
        await exchange.send(SSE_HEAD)
        for part in parts:
            await exchange.send(chunk(part))
        await exchange.send(chunk(b""))

    async with gateway_before(script) as (_, gateway):
        reply = await ask(gateway)
        assert reply.ending == "message"
        return reply.body


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
async def test_a_stream_keeps_its_line_ends(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    for step in (1, 7, 1000):
        parts = [stream[at : at + step] for at in range(0, len(stream), step)]
        framed = SSE_HEAD + b"".join(map(chunk, parts)) + chunk(b"")
        reply = await answered(framed, STREAM_BODY)
        assert reply.body == ECHOED.replace(b"\n", end)


async def test_unknown_events_and_comments_pass() -> None:
    odd = b': hello\n\nevent: new_thing\ndata: {"type":"new_thing",\n data: 1}\nid: 3\n\n'
    stream = odd + EVENTS[0] + odd + b"".join(EVENTS[1:])
    reply = await answered(SSE_HEAD + chunk(stream) + chunk(b""), STREAM_BODY)
    assert (
        reply.body
        == odd + ECHOED[: ECHOED.index(b"event: content")] + odd + STREAM[len(EVENTS[0]) :]
    )


async def test_an_answer_with_trailers_passes_without_them() -> None:
    framed = SSE_HEAD + chunk(STREAM) + b"0\r\nx-sum: 1\r\n\r\n"
    reply = await answered(framed, STREAM_BODY)
    assert (reply.body, reply.whole) == (ECHOED, True)


async def test_what_the_upstream_says_of_the_future_is_not_an_answer() -> None:
    """103 Early Hints, then the answer."""
    data = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + answer()
    reply = await answered(data)
    assert reply.status == 200


async def test_half_a_surrogate_pair_in_an_answer_passes() -> None:
    body = MESSAGE.replace(b'"Hi"', b'"cut \\ud83d"')

    async with (
        gateway_before(says(answer(body))) as (_, gateway),
        gateway.post() as response,
    ):
        assert await response.read() == body.replace(b"claude-sonnet-4-6", MODEL.encode())
    assert gateway.log[0]["usage"] == json.loads(MESSAGE)["usage"]
