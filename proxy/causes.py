"""The words for why a request failed: the `cause` of the access log, and nowhere else defined. Pure."""

import enum


class Cause(enum.StrEnum):
    """Why a request failed; docs/behaviour.md explains each word."""

    CLIENT_CLOSED = "client_closed"
    CLIENT_STALLED = "client_stalled"
    DRAINING = "draining"
    EXPECTATION_FAILED = "expectation_failed"
    INTERNAL = "internal"
    INVALID_REQUEST = "invalid_request"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MODEL_FORBIDDEN = "model_forbidden"
    NOT_FOUND = "not_found"
    ORIGIN_FORBIDDEN = "origin_forbidden"
    REQUEST_BODY_TIMEOUT = "request_body_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    UNAUTHENTICATED = "unauthenticated"
    UNKNOWN_MODEL = "unknown_model"
    UNSENDABLE_HEADER = "unsendable_header"
    UNSUPPORTED_MEDIA = "unsupported_media"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_GARBAGE = "upstream_garbage"
    UPSTREAM_REDIRECT = "upstream_redirect"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_TOO_LARGE = "upstream_too_large"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
