"""The credential that the gateway presents to an upstream."""

from proxy.config import Upstream
from proxy.protocol import headers


def own_headers(upstream: Upstream) -> list[tuple[str, str | None]]:
    """Return the headers that the gateway sets for an upstream, or takes off (None), its credential last."""
    own = list(upstream.headers)
    match upstream.auth.scheme:
        case "x-api-key":
            own.append((headers.X_API_KEY, upstream.auth.key or ""))
        case "bearer":
            own.append((headers.AUTHORIZATION, f"Bearer {upstream.auth.key}"))
    return own
