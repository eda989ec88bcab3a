"""A DNS server that says nothing: requests end in time, and so does the gateway."""

from pathlib import Path

from tests.support.client import connected, request
from tests.support.commands import started, write_config

# `anyrouter`, for which a look-up takes a minute.
SLOW = (
    "import socket, time; found = socket.getaddrinfo;"
    "socket.getaddrinfo = lambda host, *args, **options:"
    " time.sleep(60) if host == 'silent.invalid' else found(host, *args, **options);"
    "from proxy.__main__ import main; raise SystemExit(main())"
)


async def test_neither_a_request_nor_the_end_waits_for_a_look_up(tmp_path: Path) -> None:
    more = "timeouts: {connect_s: 1}\n"
    config = write_config(tmp_path, "http://silent.invalid", more=more)
    async with started("serve", "--config", config, program=("-c", SLOW)) as command:
        port = int(await command.says(b"listening on http://127.0.0.1:"))
        async with connected("127.0.0.1", port) as client:
            await client.send(request())
            assert (await client.answer()).status == 502
        await command.says(b"no connection within timeouts.connect_s")
        command.tell()
        assert await command.ended() == 0
