"""A request as its upstream wants it: in its dialect, and without what it would refuse. Pure.

Vertex AI speaks the Messages API by `rawPredict`: the model stands in the path, the version in the body, and all else
is as it was. `anthropic-beta` stays a header there, as Anthropic's own client for it sends it.
"""

import re
from collections.abc import Sequence

from proxy.config import Upstream
from proxy.protocol import json_members
from proxy.protocol.call import Call

Pieces = Sequence[bytes | memoryview]
Values = dict[str, json_members.Span]

VERTEX = "vertex"
_COUNT_TOKENS = "/v1/messages/count_tokens"
_PUBLISHER = "/publishers/anthropic/models/"
_VERSION = "anthropic_version"
_VERSION_MEMBER = b'"anthropic_version":"vertex-2023-10-16"'
# Of a segment of a path: what else stands in a client's model could end it there.
_NOT_IN_SEGMENT = re.compile(rb"[^A-Za-z0-9@._~-]")


def is_rewritten(upstream: Upstream) -> bool:
    """Return whether requests to an upstream differ from those of the Messages API by more than the model's name."""
    return upstream.dialect == VERTEX or bool(upstream.drop.members)


def rewritten(
    upstream: Upstream, path_qs: str, call: Call, model: str, named: Sequence[str | None] = ()
) -> tuple[str, Pieces]:
    """Return path and body of a request as an upstream wants it.

    Args:
        upstream: one of which `is_rewritten`.
        path_qs: path and query of the Messages API.
        call: of the Messages API, whose body may be large: one that was read with care is not decoded again.
        model: the upstream's id.
        named: the upstream's ids of the models that it names beside it; None: such a one stays.
    """
    body = b"".join(call.body_for(model, named))
    if call.spans:
        values = json_members.move(call.spans, call.edits(model, named))
    else:
        body, values = json_members.places(body)
    body, values = json_members.without(body, upstream.drop.members, values)
    if upstream.dialect != VERTEX:
        return path_qs, (body,)
    is_count = path_qs.partition("?")[0] == _COUNT_TOKENS
    # Google's services refuse a query that they do not know, such as `beta=true`, so none goes on.
    path = vertex_count_path() if is_count else vertex_path(model, stream=call.stream)
    return path, vertex_body(body, values, keep_model=is_count)


def vertex_count_path() -> str:
    """Return the path, below the location, by which tokens are counted, of any model."""
    return f"{_PUBLISHER}count-tokens:rawPredict"


def vertex_path(model: str, *, stream: bool) -> str:
    """Return the path, below the location, by which a model is asked."""
    segment = _NOT_IN_SEGMENT.sub(lambda found: b"%%%02X" % ord(found[0]), model.encode())
    return f"{_PUBLISHER}{segment.decode()}:{'streamRawPredict' if stream else 'rawPredict'}"


def vertex_body(body: bytes, values: Values, *, keep_model: bool) -> Pieces:
    """Return a body with the platform's version, in the place of its model unless that is kept.

    A client's own `anthropic_version` stays; without the model, such a body is written anew between its members.

    Args:
        body: of the Messages API.
        values: where the values of its members stand.
        keep_model: whether the model stays, before which the version then comes.
    """
    if _VERSION in values:
        return (body if keep_model else json_members.without(body, ("model",), values)[0],)
    start, end = values["model"]
    # However it is escaped, a name that means `model` has no quote inside.
    name = body.rfind(b'"', 0, body.rfind(b'"', 0, start))
    view = memoryview(body)
    if keep_model:
        return view[:name], _VERSION_MEMBER, b",", view[name:]
    return view[:name], _VERSION_MEMBER, view[end:]
