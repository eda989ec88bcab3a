"""What the Python SDK makes of failures: their class, status, type and text; no half answer passes for a whole one."""

from collections.abc import Callable
from typing import Any

from tests.clients.python.checks import Checks, raised, require, same
from tests.clients.python.given import (
    KEY,
    MAX_BODY_BYTES,
    NARROW_KEY,
    SAID,
    SONNET,
    URL,
    WRONG_KEY,
    sandbox,
)
from tests.clients.python.sdk_client import HELLO, anthropic, client, create, stream, text_of

_CUT_STEP = 61
_SLOW = "ttfb=4"
# The SDK's class has another name, or a nearer one, in newer releases.
_FROM_UPSTREAM = (
    (400, "invalid_request_error", "BadRequestError"),
    (402, "billing_error", "PaymentRequiredError APIStatusError"),
    (403, "permission_error", "PermissionDeniedError"),
    (404, "not_found_error", "NotFoundError"),
    (409, "conflict_error", "ConflictError"),
    (413, "request_too_large", "ContentTooLargeError RequestTooLargeError"),
    (422, "invalid_request_error", "UnprocessableEntityError"),
    (429, "rate_limit_error", "RateLimitError"),
    (500, "api_error", "InternalServerError"),
    (504, "timeout_error", "GatewayTimeoutError DeadlineExceededError InternalServerError"),
    (529, "overloaded_error", "OverloadedError"),
)


def add(checks: Checks) -> None:
    """Add the checks of this file."""
    for status, kind, names in _FROM_UPSTREAM:
        checks(f"the upstream's {status} is {names.split()[0]}, whole and streamed")(
            _upstream_error(status, kind, names)
        )
    for what, check in _CHECKS:
        checks(what)(check)


def _upstream_error(status: int, kind: str, names: str) -> Callable[[], None]:
    def check() -> None:
        for attempt in (create, lambda knobs: list(stream(knobs))):
            error = raised(attempt, f"status={status},retry_after=7")
            _is(error, status, kind, names, f"The sandbox answers {status}, as it was asked to")
            same(error.response.headers.get("retry-after"), "7", "retry-after")

    return check


def _is(error: Any, status: int, kind: str, names: str, text: str) -> None:
    known = [name for name in names.split() if hasattr(anthropic, name)]
    found = {entry.__name__ for entry in type(error).__mro__}
    require(found & set(known), f"{error!r} is none of {known}")
    same(error.status_code, status)
    same(error.body["error"]["type"], kind)
    require(text in error.body["error"]["message"], f"{error.body} does not say {text!r}")
    require(str(error.request_id).startswith("req_"), f"no request id: {error.request_id}")


def _wrong_key() -> None:
    error, asked = _asked("", WRONG_KEY)
    bearing = anthropic.Anthropic(base_url=URL, auth_token=WRONG_KEY, max_retries=0)
    for refused in (error, raised(bearing.messages.create, **HELLO)):
        _is(refused, 401, "authentication_error", "AuthenticationError", "gateway key")
        same(refused.response.headers.get("x-should-retry"), "false", "x-should-retry")
        require(WRONG_KEY not in str(refused), "the key is in the answer")
    same(asked, 1, "times asked")


def _narrow_key() -> None:
    using = client(NARROW_KEY)
    error = raised(using.messages.create, **HELLO)
    _is(error, 403, "permission_error", "PermissionDeniedError", SONNET)
    same([model.id for model in using.models.list()], ["anthropic/claude-haiku-4.5"])


def _models() -> None:
    error = raised(create, model="openai/gpt-4o")
    _is(error, 404, "not_found_error", "NotFoundError", "which this gateway does not serve")
    error = raised(create, model="anthropic/nothing")
    _is(error, 404, "not_found_error", "NotFoundError", "model: ")
    error = raised(client().models.retrieve, "openai/gpt-4o")
    _is(error, 404, "not_found_error", "NotFoundError", "model: ")


def _bad_body() -> None:
    error = raised(create, messages=[{"content": "no role"}])
    _is(error, 400, "invalid_request_error", "BadRequestError", "messages.0.role: ")
    error = raised(create, max_tokens="many")
    _is(error, 400, "invalid_request_error", "BadRequestError", "max_tokens: ")


def _too_large() -> None:
    for size in (MAX_BODY_BYTES + 1, 5 * MAX_BODY_BYTES):
        error = raised(create, messages=[{"role": "user", "content": "x" * size}])
        names = "ContentTooLargeError RequestTooLargeError"
        _is(error, 413, "request_too_large", names, str(MAX_BODY_BYTES))


def _bad_encoding() -> None:
    for encoding, status, code, nearer in (
        ("br", 415, "request_body_encoding_unsupported", ""),
        ("gzip", 400, "request_body_encoding_invalid", "RequestBodyEncodingInvalidError"),
    ):
        labelled = {"content-encoding": encoding}
        error = raised(client().messages.create, **HELLO, extra_headers=labelled)
        same(error.status_code, status)
        same(error.body["error"]["details"]["error_code"], code)
        if hasattr(anthropic, nearer):
            require(isinstance(error, getattr(anthropic, nearer)), f"{error!r} is no {nearer}")


def _own_credential() -> None:
    error, asked = _asked("error=authentication_error")
    _is(error, 502, "api_error", "InternalServerError", "the gateway's own credential")
    same(asked, 1, "times asked")


def _retried() -> None:
    error, asked = _asked("status=529")
    _is(error, 529, "overloaded_error", "OverloadedError", "The sandbox answers 529")
    same(asked, 2, "times asked")


def _asked(knobs: str, key: str = KEY) -> tuple[Any, int]:
    """Ask with a client that may retry once; give the error, and how often it asked."""
    requests: list[object] = []
    watching = anthropic.DefaultHttpxClient(event_hooks={"request": [requests.append]})
    using = client(key, max_retries=1, http_client=watching)
    error = raised(using.messages.create, **HELLO, extra_headers=sandbox(knobs))
    return error, len(requests)


def _no_answer() -> None:
    for attempt in (create, lambda knobs: list(stream(knobs))):
        _is(raised(attempt, "cut=-1"), 502, "api_error", "InternalServerError", "the upstream")
    for knobs in ("cut=50", "wrong_length=10", "wrong_length=-10"):
        _is(raised(create, knobs), 502, "api_error", "InternalServerError", "the upstream")


def _slow() -> None:
    names = "GatewayTimeoutError DeadlineExceededError InternalServerError"
    for attempt in (create, lambda knobs: list(stream(knobs))):
        _is(raised(attempt, _SLOW), 504, "timeout_error", names, "the upstream")


def _impatient() -> None:
    error = raised(
        client(timeout=0.3).messages.create,
        **HELLO,
        extra_headers=sandbox(_SLOW),
    )
    require(isinstance(error, anthropic.APITimeoutError), repr(error))
    same(text_of(create()), SAID)


def _cut() -> None:
    """Break a stream off after every so many bytes, until it is long enough to be whole."""
    broken = 0
    for after in range(0, 100_000, _CUT_STEP):
        kinds: list[str] = []
        try:
            kinds += [event.type for event in stream(f"cut={after}")]
        except Exception as error:  # noqa: BLE001 - SDKs let their HTTP library's errors through, too
            _is_broken_stream(error)
            broken += 1
        else:
            require("message_stop" in kinds, f"cut after {after} bytes: a clean end of {kinds}")
            break
    require(broken > 10, f"only {broken} streams broke")


def _is_broken_stream(error: Exception) -> None:
    of_http_library = type(error).__module__.partition(".")[0].startswith("http")
    require(isinstance(error, anthropic.APIError) or of_http_library, repr(error))


def _cut_helper() -> None:
    for knobs in ("cut=900", "no_stop", "encoding=gzip,cut=150"):
        _is_broken_stream(raised(_final_text, knobs))


def _final_text(knobs: str) -> str:
    with client().messages.stream(**HELLO, extra_headers=sandbox(knobs)) as streamed:
        return str(streamed.get_final_text())


def _overloaded() -> None:
    error = raised(_final_text, "overloaded_at=4")
    require(isinstance(error, anthropic.APIStatusError), repr(error))
    same(error.body["error"]["type"], "overloaded_error")


def _stall() -> None:
    error = raised(_final_text, "stall=4")
    require(isinstance(error, anthropic.APIStatusError), str(error))
    same(error.body["error"]["type"], "timeout_error")


_CHECKS = (
    ("a wrong key is AuthenticationError, by both headers, asked once", _wrong_key),
    ("a key that may not use the model is PermissionDeniedError", _narrow_key),
    ("another vendor's and an unknown model are NotFoundError", _models),
    ("a wrong body is BadRequestError and names the field", _bad_body),
    ("a body that is too large is refused, and the client reads why", _too_large),
    ("an unknown or wrong Content-Encoding has the API's error code", _bad_encoding),
    ("the upstream refusing the gateway's credential is a 502, asked once", _own_credential),
    ("no answer or a broken one is a 502", _no_answer),
    ("an upstream that is too slow is a 504", _slow),
    ("a client that does not wait gets its own APITimeoutError", _impatient),
    ("an overloaded upstream is asked again", _retried),
    (f"a stream cut every {_CUT_STEP} bytes is always an error", _cut),
    ("the text helper never takes a broken stream for a whole one", _cut_helper),
    ("an overload inside a stream is an error of that type", _overloaded),
    ("a stream that stalls for good ends in a timeout error", _stall),
)
