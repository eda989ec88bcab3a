"""Reload a gateway a thousand times while 200 streams run.

Is any broken, or served half by one configuration and half by another? Do memory and open files grow?

python -m bench.reload [--reloads N] [--streams N]
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp

KEY = "ar-bench-0123456789"
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "content-type": "application/json"}
BODY = (
    b'{"model":"anthropic/claude-bench","max_tokens":64,"stream":true,'
    b'"messages":[{"role":"user","content":"hi"}]}'
)
# Credential and model change together: a request that has the one of one state has the other of the same.
CONFIG = """\
listen: {{port: 0}}
upstreams: {{bench: {{base_url: "{url}", auth: {{scheme: x-api-key, key: sk-bench-state-{state}}}}}}}
models: [{{id: anthropic/claude-bench, upstream: bench, upstream_model: claude-state-{state}}}]
keys: [{{name: bench, key: {key}}}]
reload: {{watch: false}}
"""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = 8
EVENT_EVERY_S = 0.25
WARM_UP = 100


def chunk(event: bytes) -> bytes:
    """Frame an event."""
    return b"%x\r\n%b\r\n" % (len(event), event)


class Upstream:
    """Streams slowly, and looks whether each request is of one configuration."""

    def __init__(self) -> None:
        self.requests = 0
        self.mixed = 0
        self.states: set[bytes] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
                body = await reader.readexactly(length)
                self.look(head, body)
                writer.write(HEAD)
                for i in range(EVENTS):
                    last = i == EVENTS - 1
                    kind = b"message_stop" if last else b"ping"
                    writer.write(chunk(b'event: %b\ndata: {"type":"%b"}\n\n' % (kind, kind)))
                    await writer.drain()
                    if not last:
                        await asyncio.sleep(EVENT_EVERY_S)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def look(self, head: bytes, body: bytes) -> None:
        """Compare the states of a request's credential and of its model."""
        self.requests += 1
        states = {*re.findall(rb"state-(\d+)", head), *re.findall(rb"state-(\d+)", body)}
        self.mixed += len(states) != 1
        self.states |= states


class Gateway:
    """A gateway's process, and what it has logged of its reloads."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0
        self.served = 0
        self.refused = 0
        self.heard = asyncio.Event()

    async def listen(self) -> None:
        """Read its log."""
        if self.process.stderr is None:
            return
        async for line in self.process.stderr:
            if found := re.search(rb"listening on http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
            self.served += b"is served:" in line
            self.refused += b"was not taken over" in line
            self.heard.set()

    async def until(self, reloads: int) -> None:
        """Wait until it has logged so many."""
        async with asyncio.timeout(60):
            while self.served < reloads or not self.port:
                self.heard.clear()
                await self.heard.wait()

    def holds(self) -> tuple[int, int]:
        """Return its memory in kB, and how many files it has open."""
        folder = Path(f"/proc/{self.process.pid}")
        rss = re.findall(r"VmRSS:\s+(\d+)", (folder / "status").read_text())[0]
        return int(rss), len([*(folder / "fd").iterdir()])


async def stream(
    session: aiohttp.ClientSession, url: str, stop: asyncio.Event, ended: Counter[str]
) -> None:
    """Ask for one stream after the other."""
    while not stop.is_set():
        try:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                body = await response.read()
                whole = response.ok and body.count(b"event: ") == EVENTS
                ended[
                    "whole" if whole and b"message_stop" in body else f"broken {response.status}"
                ] += 1
        except (aiohttp.ClientError, OSError) as error:
            ended[f"broken {type(error).__name__}"] += 1


def write(path: Path, url: str, state: int) -> None:
    """Put another configuration in place, as a careful operator does."""
    new = path.with_suffix(".new")
    new.write_text(CONFIG.format(url=url, state=state, key=KEY), "utf-8")
    new.replace(path)


async def run(reloads: int, streams: int, folder: Path) -> bool:
    """Run it, print what came of it, and return whether it is good."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.handle, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = folder / "config.yaml"
    write(config, base, 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "serve", "--config", config),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    gateway, stop, ended = Gateway(process), asyncio.Event(), Counter[str]()
    listening = asyncio.create_task(gateway.listen())
    await gateway.until(0)
    url = f"http://127.0.0.1:{gateway.port}/v1/messages"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        clients = [asyncio.create_task(stream(session, url, stop, ended)) for _ in range(streams)]
        await asyncio.sleep(2 * EVENTS * EVENT_EVERY_S)
        before = gateway.holds()
        for state in range(1, reloads + 1):
            write(config, base, state)
            process.send_signal(signal.SIGHUP)
            await gateway.until(state)
            if state == min(WARM_UP, reloads):
                before = gateway.holds()
        after = gateway.holds()
        stop.set()
        await asyncio.gather(*clients)
    process.terminate()
    await process.wait()
    await listening
    server.close()
    broken = ended.total() - ended["whole"]
    print(
        f"reloads {gateway.served}, refused {gateway.refused}; streams {streams} at once, {ended.total()} in all"
    )
    print(
        f"broken {broken} {dict(ended)}; mixed {upstream.mixed}; states seen {len(upstream.states)}"
    )
    print(
        f"memory {before[0]} -> {after[0]} kB; files {before[1]} -> {after[1]} (after {WARM_UP} reloads -> at the end)"
    )
    return not broken and not upstream.mixed and gateway.served >= reloads


def main() -> int:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(run(args.reloads, args.streams, Path(folder))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
