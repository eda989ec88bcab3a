"""Which conversation a request belongs to, by which its home among the members of a pool is found. Pure.

The same conversation has to give the same key on each turn, in every process. So nothing counts that moves from turn
to turn: neither `cache_control`, which clients put further down each time, nor anything behind the first message.
Of a text only the first 1 KiB, as it is spelled in the body: a client spells it the same way again.
"""

import hashlib
import re

from proxy.protocol.call import Call

_MAX_TEXT_BYTES = 1 << 10
# In which the texts are looked for: a member may be megabytes.
_MAX_LOOKED_BYTES = 1 << 16
_MAX_USER_BYTES, _MAX_READ_USER_BYTES = 200, 1 << 12
_DIGEST_BYTES = 16
# Inside a JSON string its quotes are escaped: so these find members only, whose text is not empty.
_TEXT = re.compile(rb'"(?:text|content)"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"(?!")')
_USER_ID = re.compile(rb'"user_id"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"(?!")')
# Up to its end. What is between two escapes is run over in one step.
_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*')


def session_of(key_name: str, session_id: str | None, call: Call) -> tuple[str, str]:
    """Return the key of the conversation that a request belongs to: equal for its requests, and for no others.

    Args:
        key_name: of the gateway's key; conversations of two keys are two.
        session_id: of `x-claude-code-session-id`.
        call: the request's body.

    Returns:
        The key, and what it was made of: `session`, `user`, `prompt` or `key`.
    """
    if session_id:
        return f"{key_name}\0session\0{session_id}", "session"
    members = call.members or call.spans
    if "metadata" in members:
        metadata = call.beginning("metadata", _MAX_LOOKED_BYTES)
        if user_id := _string(metadata, _USER_ID.search(metadata), _MAX_READ_USER_BYTES):
            return f"{key_name}\0user\0{_short(user_id)}", "user"
    system = _system_of(call) if "system" in members else b""
    messages = call.beginning("messages", _MAX_LOOKED_BYTES)
    first = _string(messages, _TEXT.search(messages), _MAX_TEXT_BYTES)
    if system or first:
        prompt = hashlib.blake2b(b"%b\0%b" % (system, first), digest_size=_DIGEST_BYTES)
        return f"{key_name}\0prompt\0{prompt.hexdigest()}", "prompt"
    return key_name, "key"


def _short(user_id: bytes) -> str:
    if len(user_id) > _MAX_USER_BYTES:
        return hashlib.blake2b(user_id, digest_size=_DIGEST_BYTES).hexdigest()
    return user_id.decode("utf-8", "surrogateescape")


def _system_of(call: Call) -> bytes:
    """Return the beginning of the system prompt's texts."""
    system = call.beginning("system", _MAX_LOOKED_BYTES)
    if system[:1] == b'"':
        return system[1:].removesuffix(b'"')[:_MAX_TEXT_BYTES]
    texts, size = [], 0
    for begins in _TEXT.finditer(system):
        texts.append(_string(system, begins, _MAX_TEXT_BYTES))
        size += len(texts[-1])
        if size >= _MAX_TEXT_BYTES:
            break
    return b"\0".join(texts)[:_MAX_TEXT_BYTES]


def _string(text: bytes, begins: re.Match[bytes] | None, most: int) -> bytes:
    """Return the beginning of a string behind what leads to it; nothing when nothing does."""
    found = begins and _REST.match(text, begins.end(), begins.end() + most)
    return found[0] if found else b""
