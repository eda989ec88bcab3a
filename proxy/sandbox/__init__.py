"""A stand-in for the Messages API, for demos, tests and benchmarks; it breaks on request."""

from proxy.sandbox.app import create_sandbox, serve_sandbox
from proxy.sandbox.flags import add_arguments, knobs_from
from proxy.sandbox.intake import REQUESTS, Received
from proxy.sandbox.knobs import Knobs
from proxy.sandbox.served import SERVED, Record, Served

__all__ = [
    "REQUESTS",
    "SERVED",
    "Knobs",
    "Received",
    "Record",
    "Served",
    "add_arguments",
    "create_sandbox",
    "knobs_from",
    "serve_sandbox",
]
