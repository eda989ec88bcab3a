"""The checks of `anyrouter doctor` one after the other, each with a line for a person."""

import os
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from proxy import client_variables
from proxy.commands.examination import Examination, Note
from proxy.commands.greeting import FindingError, client
from proxy.commands.standard_files import say
from proxy.commands.tables import finding, pairs

_TIMEOUT_S = 30.0
_STYLES = {"good": "green", "note": "yellow", "BAD": "bold red", "skip": "dim"}


async def examine(url: str, key: str, model: str | None, ca: str | None) -> int:
    """Check one thing after the other up to the first that is wrong; return the exit status."""
    failed = None
    async with client(_TIMEOUT_S, ca, "doctor") as session:
        examination = Examination(session, url, key, model)
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("the gateway", examination.gateway),
            ("models, by x-api-key", examination.models_by_x_api_key),
            ("models, by Authorization", examination.models_by_bearer),
            ("a wrong key", examination.wrong_key),
            ("a message", examination.message),
            ("a stream", examination.stream),
            ("count_tokens", examination.count_tokens),
        ]
        for name, check in checks:
            if failed is not None:
                _tell("skip", name)
                continue
            try:
                found = await check()
            except (FindingError, aiohttp.ClientError, OSError) as error:
                failed = name
                _tell("BAD", f"{name}: {str(error) or f'no answer within {_TIMEOUT_S:g} s'}")
            except (LookupError, AttributeError, TypeError, msgspec.DecodeError) as error:
                failed = name
                _tell("BAD", f"{name}: an answer of another shape ({error!r})")
            else:
                _tell("note" if isinstance(found, Note) else "good", f"{name}: {found}")
    say(f"{url}: {'all good' if failed is None else f'stopped at: {failed}'}")
    if failed is None:
        _tell_features()
    return 0 if failed is None else 1


def _tell(mark: str, text: str) -> None:
    say(finding(mark, _STYLES[mark], text))


def _tell_features() -> None:
    """Say what Claude Code leaves off behind any base URL but the API's own."""
    features = (*client_variables.SAFE, *client_variables.COSTLY)
    off = [each for each in features if each[0] not in os.environ]
    if off:
        say("Claude Code leaves these off behind a gateway, until its environment has:")
        say(pairs((f"{name}={value}", feature) for name, value, feature in off))
        say("`anyrouter claude` sets all of them but those that cost more.")
