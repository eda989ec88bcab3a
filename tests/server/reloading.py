"""Whether a gateway opens to a key."""

from tests.support.gateways import KEY, Running

OTHER_KEY = "ar-another-key-0123456789"


async def status(gateway: Running, key: str = KEY) -> int:
    async with gateway.post(headers={"x-api-key": key}) as response:
        await response.read()
        return response.status
