"""Which conversation a request belongs to, by which its home among the members of a pool is found. Pure.

The same conversation has to give the same key on each turn, in every process. So nothing counts that moves from turn
to turn: neither `cache_control`, which clients put further down each time, nor anything behind the first message.
Of a text only the first 1 KiB, as it is spelled in the body: a client spells it the same way again.
"""

import hashlib
import re
from typing import NamedTuple

from proxy.protocol.call import Call

_MAX_TEXT_BYTES = 1 << 10
# In which the texts are looked for: a member may be megabytes.
_MAX_LOOKED_BYTES = 1 << 16
_MAX_USER_BYTES = 200
_DIGEST_BYTES = 16
# Inside a JSON string its quotes are escaped: so this finds members only. Bounded, as everything clients choose.
_TEXT = re.compile(rb'"(?:text|content)"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.){1,1024})')
_USER_ID = re.compile(rb'"user_id"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"((?:[^"\\]|\\.){1,4096})')


class Session(NamedTuple):
    """A conversation.

    Attributes:
        key: equal for its requests, and for no others.
        known_by: what it was made of: `session`, `user`, `prompt` or `key`.
    """

    key: str
    known_by: str


def session_of(key_name: str, session_id: str | None, call: Call) -> Session:
    """Return the conversation that a request belongs to.

    Args:
        key_name: of the gateway's key; conversations of two keys are two.
        session_id: of `x-claude-code-session-id`.
        call: the request's body.
    """
    if session_id:
        return Session(f"{key_name}\0session\0{session_id}", "session")
    if found := _USER_ID.search(call.beginning("metadata", _MAX_LOOKED_BYTES)):
        return Session(f"{key_name}\0user\0{_short(found[1])}", "user")
    system, first = _texts_of(call)
    if system or first:
        prompt = hashlib.blake2b(b"%b\0%b" % (system, first), digest_size=_DIGEST_BYTES)
        return Session(f"{key_name}\0prompt\0{prompt.hexdigest()}", "prompt")
    return Session(key_name, "key")


def _short(user_id: bytes) -> str:
    if len(user_id) > _MAX_USER_BYTES:
        return hashlib.blake2b(user_id, digest_size=_DIGEST_BYTES).hexdigest()
    return user_id.decode("utf-8", "surrogateescape")


def _texts_of(call: Call) -> tuple[bytes, bytes]:
    """Return the beginnings of the system prompt and of the first message."""
    system = call.beginning("system", _MAX_LOOKED_BYTES)
    if system[:1] == b'"':
        system = system[1:].removesuffix(b'"')
    else:
        system = b"\0".join(match[1] for match in _TEXT.finditer(system))
    first = _TEXT.search(call.beginning("messages", _MAX_LOOKED_BYTES))
    return system[:_MAX_TEXT_BYTES], first[1] if first else b""
