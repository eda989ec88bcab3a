"""What every refusal of the gateway has in common."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema

from tests.support.client import Answer

_SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas" / "error.schema.json").read_text("utf-8")
)
_CURED_BY_RETRY = {408, 429, 500, 502, 504, 529}


def check_refusal(
    status: int, headers: Mapping[str, str], body: bytes, expected: tuple[int, str]
) -> dict[str, Any]:
    """Check status and type, shape, request id and retry headers; give the `error` object."""
    decoded = json.loads(body)
    assert (status, decoded["error"]["type"]) == expected, decoded
    jsonschema.validate(decoded, _SCHEMA)
    assert headers["content-type"].split(";")[0] == "application/json"
    assert headers["request-id"] == decoded["request_id"]
    if status not in _CURED_BY_RETRY:
        assert headers["x-should-retry"] == "false"
    if status == 529:
        assert int(headers["retry-after"]) >= 1
    error: dict[str, Any] = decoded["error"]
    return error


async def refusal(response: aiohttp.ClientResponse, status: int, error_type: str) -> dict[str, Any]:
    """Check an answer that came through aiohttp's client."""
    body = await response.read()
    return check_refusal(response.status, response.headers, body, (status, error_type))


def raw_refusal(answer: Answer, status: int, error_type: str) -> dict[str, Any]:
    """Check an answer that was read by hand."""
    return check_refusal(answer.status, answer.headers, answer.body, (status, error_type))
