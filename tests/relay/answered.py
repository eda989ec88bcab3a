"""What a client gets of an upstream that says one thing."""

from tests.support.client import Response, ask, request
from tests.support.gateways import BODY, MODEL
from tests.support.raw import STREAM
from tests.support.scripts import gateway_before, says

ECHOED = STREAM.replace(b'"model":"claude-sonnet-4-6"', b'"model":"%s"' % MODEL.encode())


async def answered(
    data: bytes, body: bytes = BODY, path: str = "/v1/messages", *, echo_model: bool = True
) -> Response:
    """Return what the client gets when the upstream says `data`."""
    async with gateway_before(says(data), echo_model=echo_model) as (_, gateway):
        return await ask(gateway, request(body=body, path=path.encode()))
