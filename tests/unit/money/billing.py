"""A table of prices, and the facts of a request to be billed by it."""

from typing import Any

from proxy.money import price_file
from proxy.money.bill import Facts
from proxy.progress import Progress

TABLE = price_file.load()
OPUS = "claude-opus-5-5"
START = {
    "input_tokens": 1000,
    "cache_creation_input_tokens": 200,
    "cache_read_input_tokens": 50_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 1,
}
WHOLE = {**START, "output_tokens": 300}
EXPECTED_MICROS = 2000 * 5


def facts(progress: Progress, **more: Any) -> Facts:
    known = {
        "upstream": "a",
        "upstream_model": OPUS,
        "served_model": OPUS,
        "body_bytes": 8000,
        "max_tokens": 400,
    }
    return Facts(progress, **{**known, **more})
