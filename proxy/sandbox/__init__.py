"""A stand-in for the Messages API, for demos, tests and benchmarks; it breaks on request."""

from proxy.sandbox.app import create_sandbox, serve_sandbox
from proxy.sandbox.flags import add_arguments, knobs_from
from proxy.sandbox.intake import REQUESTS, Received
from proxy.sandbox.knobs import Knobs

__all__ = [
    "REQUESTS",
    "Knobs",
    "Received",
    "add_arguments",
    "create_sandbox",
    "knobs_from",
    "serve_sandbox",
]
