"""A command that prints a token: run without a shell, bounded in time and in what is read of it."""

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Sequence

_log = logging.getLogger(__name__)

WITHIN_S = 30.0

_PIPES_END_WITHIN_S = 1.0
_MAX_BYTES = 1 << 14
_TOKEN = re.compile(rb"[\x21-\x7e]+")


class TokenError(Exception):
    """There is no token. Its text says why, and nothing of what was printed."""


async def token_of(command: Sequence[str], within_s: float = WITHIN_S) -> str:
    """Run a command, and return the token that it prints.

    Args:
        command: a program and its arguments. It has the gateway's environment and rights, and no input.
        within_s: after which it is killed, with what it has started.

    Raises:
        TokenError: it cannot be started, fails, takes too long, or prints something else.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "there can be no such program"
        raise TokenError(f"{command[0]} cannot be started: {why}") from None
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("pipes were asked for")
    try:
        async with asyncio.timeout(within_s):
            printed, complaint = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            status = await process.wait()
    except TimeoutError:
        raise TokenError(f"it has not ended within {within_s:g} s") from None
    finally:
        # The group, whatever of it is left: one that has ended left nothing, or somebody who holds its pipes.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # To the ends of its pipes, which the loop would otherwise keep; unless somebody outside the group holds them.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PIPES_END_WITHIN_S):
                await asyncio.gather(_read(process.stdout), _read(process.stderr))
    if status:
        # What it says may hold secrets: only whoever looks for a defect is shown it.
        _log.debug("%s says: %s", command[0], ascii(complaint.decode(errors="replace")))
        raise TokenError(f"it ended with status {status}")
    if len(printed) > _MAX_BYTES:
        raise TokenError(f"it printed more than {_MAX_BYTES} bytes")
    token = printed.strip()
    if _TOKEN.fullmatch(token) is None:
        raise TokenError(
            "it printed nothing" if not token else "it printed no token, one line without spaces"
        )
    return token.decode("ascii")


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, and keep a little more than a token may have."""
    kept = b""
    while part := await stream.read(_MAX_BYTES):
        kept = (kept + part)[: _MAX_BYTES + 1]
    return kept
