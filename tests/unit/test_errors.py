"""The gateway's own failures: what each says to a client and whether a retry can help."""

import jsonschema
import msgspec
import pytest

from proxy import errors, schema_files
from proxy.causes import Cause
from proxy.errors import ProxyError

ROWS: list[tuple[ProxyError, int, str, str, bool]] = [
    (errors.InvalidRequest("m"), 400, "invalid_request_error", "invalid_request", False),
    (errors.Unauthenticated("unknown"), 401, "authentication_error", "unauthenticated", False),
    (errors.ModelForbidden("m"), 403, "permission_error", "model_forbidden", False),
    (errors.NotFound("m"), 404, "not_found_error", "not_found", False),
    (errors.UnknownModel("m"), 404, "not_found_error", "unknown_model", False),
    (
        errors.MethodNotAllowed("PUT", ["GET", "HEAD"]),
        405,
        "invalid_request_error",
        "method_not_allowed",
        False,
    ),
    (errors.RequestBodyTimeout("m"), 408, "timeout_error", "request_body_timeout", True),
    (errors.ClientStalled("m"), 408, "timeout_error", "client_stalled", True),
    (errors.RequestTooLarge("m"), 413, "request_too_large", "request_too_large", False),
    (errors.UnsupportedMedia("m"), 415, "invalid_request_error", "unsupported_media", False),
    (errors.ExpectationFailed("m"), 417, "invalid_request_error", "expectation_failed", False),
    (
        errors.LimitExceeded("m", Cause.LIMITED_REQUESTS, 3),
        429,
        "rate_limit_error",
        "limited_requests",
        True,
    ),
    (
        errors.BudgetExceeded("m", Cause.BUDGET_SPENT, 3600),
        429,
        "billing_error",
        "budget_spent",
        False,
    ),
    (errors.InternalError("m"), 500, "api_error", "internal", True),
    (errors.UpstreamFailed("m", Cause.UPSTREAM_CUT), 502, "api_error", "upstream_cut", True),
    (errors.UpstreamRefusedCredential(), 502, "api_error", "upstream_auth", False),
    (errors.UpstreamStatus(429, None, None), 502, "api_error", "upstream_error", True),
    (errors.LimitsUnavailable(), 503, "api_error", "limits_unavailable", True),
    (errors.LimitsUnavailable(budget=True), 503, "api_error", "limits_unavailable", False),
    (errors.KeysUnavailable(), 503, "api_error", "keys_unavailable", True),
    (errors.UpstreamTimeout("m"), 504, "timeout_error", "upstream_timeout", True),
    (
        errors.Overloaded("m", Cause.TOO_MANY_CONNECTIONS),
        529,
        "overloaded_error",
        "too_many_connections",
        True,
    ),
    (errors.Overloaded("m", Cause.BODY_MEMORY), 529, "overloaded_error", "body_memory", True),
    (errors.Draining(), 529, "overloaded_error", "draining", True),
]
IDS = [f"{type(row[0]).__name__}-{row[3]}" for row in ROWS]
FAILURES = [row[0] for row in ROWS]


@pytest.mark.parametrize(("error", "status", "error_type", "cause", "retry"), ROWS, ids=IDS)
def test_each_failure_has_its_status_type_cause_and_retry(
    error: ProxyError, status: int, error_type: str, cause: str, *, retry: bool
) -> None:
    assert (error.status, error.error_type, error.cause) == (status, error_type, cause)
    assert error.headers().get(errors.SHOULD_RETRY) == (None if retry else "false")


@pytest.mark.parametrize("error", FAILURES, ids=IDS)
def test_each_body_is_what_the_error_schema_describes(error: ProxyError) -> None:
    body = msgspec.json.decode(error.body("req_1"))
    jsonschema.Draft202012Validator(schema_files.load("error")).validate(body)
    assert body == {
        "type": "error",
        "error": {"type": error.error_type, "message": error.message},
        "request_id": "req_1",
    }


@pytest.mark.parametrize("error", FAILURES, ids=IDS)
def test_every_refusal_of_4xx_that_time_does_not_cure_tells_clients_not_to_retry(
    error: ProxyError,
) -> None:
    if 400 <= error.status < 500 and error.status not in (408, 429):
        assert error.headers()[errors.SHOULD_RETRY] == "false"


def test_a_failure_with_a_known_end_says_after_how_many_seconds() -> None:
    assert errors.Draining().headers() == {errors.RETRY_AFTER: "1"}


@pytest.mark.parametrize("error", FAILURES, ids=IDS)
def test_every_429_and_503_says_when_to_come_back(error: ProxyError) -> None:
    if error.status in (429, 503):
        assert int(error.headers()[errors.RETRY_AFTER]) >= 1


def test_a_refusal_by_a_limit_has_the_headers_it_was_given() -> None:
    error = errors.LimitExceeded("m", Cause.LIMITED_REQUESTS, 3, [("anthropic-ratelimit-x", "1")])
    assert error.headers() == {errors.RETRY_AFTER: "3", "anthropic-ratelimit-x": "1"}


def test_an_error_code_is_told_in_the_details() -> None:
    body = errors.InvalidRequest("m", error_code="request_body_encoding_invalid").body("req_1")
    assert msgspec.json.decode(body)["error"]["details"] == {
        "error_code": "request_body_encoding_invalid"
    }


def test_method_not_allowed_names_the_methods_that_are() -> None:
    error = errors.MethodNotAllowed("PUT", ["GET", "HEAD"])
    assert error.headers() == {"Allow": "GET, HEAD", errors.SHOULD_RETRY: "false"}
    assert error.message == "PUT is not allowed here; allowed: GET, HEAD"


def test_one_wording_for_every_bad_credential_says_how_to_send_a_key() -> None:
    message = errors.Unauthenticated("unknown").message
    assert "authorization: Bearer ar-" in message
    assert "x-api-key" not in message  # Claude Code would show a text of its own instead
    assert "authorization: Bearer ar-" in message


def test_bytes_that_are_not_utf8_cannot_break_an_answer() -> None:
    body = errors.NotFound("no such path: /\udcff").body("req_\udcff")
    assert msgspec.json.decode(body)["error"]["message"] == "no such path: /?"
    assert msgspec.json.decode(body)["request_id"] == "req_?"


def test_the_message_is_the_text_of_the_exception() -> None:
    assert str(errors.InvalidRequest("model: field required")) == "model: field required"
