"""A key that the schema does not have is refused wherever it stands."""

import pytest

from tests.unit.config_file.configurations import changed
from tests.unit.config_file.refusals_of_files import TOP, refused

UNKNOWN_KEYS = [
    ("x", f"x: unknown field; known here: {TOP}"),
    ("listen.x", "listen.x: unknown field; known here: host, port, base_path, workers, tls"),
    (
        "upstreams.a.x",
        (
            "upstreams.a.x: unknown field; known here: base_url, auth, headers, model_ids, "
            "dialect, counts_tokens, betas, drop, tls, proxy"
        ),
    ),
    (
        "upstreams.a.auth.x",
        "upstreams.a.auth.x: unknown field; known here: scheme, key, command, refresh_s",
    ),
    (
        "models.0.x",
        (
            "models.0.x: unknown field; known here: "
            "id, upstream, upstream_model, display_name, created_at, aliases, "
            "lifecycle, line, max_input_tokens, max_tokens, deprecated_at, retires_at, capabilities"
        ),
    ),
    (
        "keys.0.x",
        (
            "keys.0.x: unknown field; known here: name, sha256, key, models, expires_at, "
            "owner, limits, budgets, tags, disabled"
        ),
    ),
    (
        "limits.x",
        (
            "limits.x: unknown field; known here: max_body_bytes, max_connections, "
            "max_connections_per_client, min_body_bytes_per_s, body_memory_bytes"
        ),
    ),
    (
        "timeouts.x",
        (
            "timeouts.x: unknown field; known here: connect_s, first_byte_s, idle_s, ping_after_s, "
            "request_head_s, request_body_idle_s, client_idle_s, keepalive_s, leave_s, drain_s"
        ),
    ),
    ("log.x", "log.x: unknown field; known here: level, format, probes, error_messages"),
]


@pytest.mark.parametrize(("path", "message"), UNKNOWN_KEYS)
def test_an_unknown_key_is_refused_at_each_level(path: str, message: str) -> None:
    given = changed(path, 1)
    if path == "upstreams.a.auth.x":
        given["upstreams"]["a"]["auth"]["scheme"] = "none"
    assert refused(given) == message
