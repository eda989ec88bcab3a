"""Brings alerts to whoever gets them: several tries, a signature, and not more than anybody would read."""

import asyncio
import dataclasses
import hashlib
import hmac
import logging
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from proxy.admin.alerts import Alert, utc
from proxy.config import Receiver
from proxy.notices.events import Event
from proxy.notices.notice import notice

_log = logging.getLogger("anyrouter")

# A message is tried at once, and again so long after that.
TRIES_AFTER_MS = (0, 30_000, 120_000, 300_000, 600_000)
AN_HOUR_MS = 3_600_000
MESSAGES_AN_HOUR = 30
_LISTED = 20
_AT_ONCE = 8
_WITHIN_S = 10.0
_ANSWERS_OK = range(200, 300)


@dataclasses.dataclass(eq=False, slots=True)
class Message:
    """Something on its way to those who have not taken it yet.

    Attributes:
        alerts: what it tells, `missing` of them not in full.
        began_ms: when it was first tried. `tries`: how often. `receivers`: who waits for it.
    """

    alerts: tuple[Alert, ...]
    missing: int
    began_ms: int
    receivers: list[Receiver]
    tries: int = 0

    @property
    def due_ms(self) -> int:
        """When it is tried next, in Unix milliseconds."""
        return self.began_ms + TRIES_AFTER_MS[self.tries]


class Outbox:
    """The messages under way. The time is passed in; nothing here waits for it.

    Args:
        silent: since when who takes nothing does not, by where that is; kept up to date.
    """

    def __init__(self, silent: dict[str, int]) -> None:
        self._silent = silent
        self._messages: list[Message] = []
        self._held: list[Alert] = []
        self._held_count = 0
        self._hour_began_ms = -AN_HOUR_MS
        self._sent_in_hour = 0

    def add(self, alert: Alert, receivers: Sequence[Receiver], now_ms: int) -> bool:
        """Take an alert; return whether it has a message of its own: else it is in the hour's digest."""
        self._turn_hour(receivers, now_ms)
        if self._sent_in_hour < MESSAGES_AN_HOUR:
            self._send((alert,), 0, receivers, now_ms)
            return True
        self._held_count += 1
        if len(self._held) < _LISTED:
            self._held.append(alert)
        return False

    async def deliver(self, receivers: Sequence[Receiver], now_ms: int) -> list[Alert]:
        """Try what is due; return the alerts that are done with: taken by all, or given up.

        Args:
            receivers: who gets the digest of an hour that is over.
            now_ms: in Unix milliseconds.
        """
        self._turn_hour(receivers, now_ms)
        due = [each for each in self._messages if each.due_ms <= now_ms]
        if not due:
            return []
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._try(session, each, now_ms) for each in due))
        done = [each for each in due if not each.receivers or each.tries == len(TRIES_AFTER_MS)]
        self._messages = [each for each in self._messages if each not in done]
        return [alert for each in done for alert in each.alerts]

    async def _try(self, session: aiohttp.ClientSession, message: Message, now_ms: int) -> None:
        message.tries += 1
        waiting = tuple(message.receivers)
        answers = await asyncio.gather(*(_post(session, each, message, now_ms) for each in waiting))
        message.receivers = [each for each, said in zip(waiting, answers, strict=True) if said]
        for receiver, said in zip(waiting, answers, strict=True):
            place = place_of(receiver)
            if not said:
                self._silent.pop(place, None)
                continue
            self._silent.setdefault(place, now_ms)
            if message.tries == len(TRIES_AFTER_MS):
                _log.warning(
                    "an alert was not taken by %s in %d tries (%s): %s",
                    place,
                    message.tries,
                    said,
                    message.alerts[0].text,
                    extra=notice(Event.ALERT_NOT_TAKEN, place),
                )

    def _turn_hour(self, receivers: Sequence[Receiver], now_ms: int) -> None:
        if now_ms - self._hour_began_ms < AN_HOUR_MS:
            return
        self._hour_began_ms, self._sent_in_hour = now_ms, 0
        if self._held:
            held, self._held = tuple(self._held), []
            missing, self._held_count = self._held_count - len(held), 0
            self._send(held, missing, receivers, now_ms)

    def _send(
        self, alerts: tuple[Alert, ...], missing: int, receivers: Sequence[Receiver], now_ms: int
    ) -> None:
        self._sent_in_hour += 1
        self._messages.append(Message(alerts, missing, now_ms, list(receivers)))


async def _post(
    session: aiohttp.ClientSession, receiver: Receiver, message: Message, now_ms: int
) -> str:
    """Post a message; return why it was not taken, empty when it was."""
    headers, body = render(receiver, message, now_ms)
    try:
        # Where a redirect leads to, nobody has configured.
        async with session.post(
            URL(receiver.url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as response:
            return "" if response.status in _ANSWERS_OK else f"status {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # Not its text, which may hold the URL, which may hold a secret.
        return type(error).__name__


def place_of(receiver: Receiver) -> str:
    """Return where a receiver is, without what of its URL may be a secret."""
    return str(URL(receiver.url, encoded=True).origin())


def render(receiver: Receiver, message: Message, now_ms: int) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a message as a receiver wants them."""
    headers = {"content-type": "application/json"}
    if receiver.format == "slack":
        return headers, msgspec.json.encode({"text": _slack(message)})
    body = msgspec.json.encode(_fields(message))
    if receiver.secret is not None:
        at = str(now_ms // 1000)
        signed = hmac.new(receiver.secret.encode(), at.encode() + b"." + body, hashlib.sha256)
        headers |= {
            "x-anyrouter-timestamp": at,
            "x-anyrouter-signature": f"sha256={signed.hexdigest()}",
        }
    return headers, body


def _slack(message: Message) -> str:
    lines = [f"AnyRouter: {each.text}\nDo: {each.do}" for each in message.alerts]
    if len(message.alerts) + message.missing > 1:
        count = len(message.alerts) + message.missing
        lines = [f"AnyRouter: {count} more alerts in the last hour"]
        lines += [f"- {each.text}" for each in message.alerts]
        lines += [f"and {message.missing} others"] if message.missing else []
    # Else a name could call the whole channel, or show a link that leads elsewhere.
    return "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fields(message: Message) -> dict[str, Any]:
    shown = [
        {
            "type": "alert",
            "id": each.id,
            "at": utc(message.began_ms),
            **msgspec.structs.asdict(each),
        }
        for each in message.alerts
    ]
    if len(shown) + message.missing == 1:
        return shown[0]
    return {
        "type": "alerts",
        "at": utc(message.began_ms),
        "count": len(shown) + message.missing,
        "data": shown,
    }
