"""The first version: requests and their daily sums, managed keys and owners, the audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _ledger()
    _keys()
    _rest()


def _ledger() -> None:
    op.create_table(
        "request",
        sa.Column("id", _TEXT, primary_key=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("endpoint", _TEXT, nullable=False),
        sa.Column("owner", _TEXT, nullable=True),
        sa.Column("model", _TEXT, nullable=True),
        sa.Column("upstream", _TEXT, nullable=True),
        sa.Column("upstream_model", _TEXT, nullable=True),
        sa.Column("served_model", _TEXT, nullable=True),
        sa.Column("upstream_request_id", _TEXT, nullable=True),
        sa.Column("status", sa.BigInteger, nullable=True),
        sa.Column("cause", _TEXT, nullable=True),
        sa.Column("stop_reason", _TEXT, nullable=True),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("queued_ms", sa.BigInteger, nullable=True),
        sa.Column("first_byte_ms", sa.BigInteger, nullable=True),
        sa.Column("total_ms", sa.BigInteger, nullable=True),
        sa.Column("bytes_in", sa.BigInteger, nullable=False),
        sa.Column("bytes_out", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=True),
        sa.Column("output_tokens", sa.BigInteger, nullable=True),
        sa.Column("cache_write_5m_tokens", sa.BigInteger, nullable=True),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=True),
        sa.Column("web_searches", sa.BigInteger, nullable=True),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.Column("usage_source", _TEXT, nullable=False),
        sa.Column("price", _TEXT, nullable=True),
        sa.Column("speed", _TEXT, nullable=True),
        sa.Column("geo", _TEXT, nullable=True),
        sa.Column("service_tier", _TEXT, nullable=True),
        sa.Column("session_id", _TEXT, nullable=True),
        sa.Column("agent_id", _TEXT, nullable=True),
        sa.Column("parent_agent_id", _TEXT, nullable=True),
        sa.Column("request_class", _TEXT, nullable=True),
        sa.Column("would_refuse", _TEXT, nullable=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("prompt_id", _TEXT, nullable=True),
        sa.Column("agent_type", _TEXT, nullable=True),
        sa.Column("client", _TEXT, nullable=True),
        sa.Column("tag", _TEXT, nullable=True),
        sa.Column("client_retry", sa.BigInteger, nullable=True),
        sa.Column("gateway_us", sa.BigInteger, nullable=True),
        sa.Column("compacted", sa.BigInteger, nullable=False),
        sa.Column("away", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=True),
        sa.Column("billed_entries", sa.BigInteger, nullable=True),
        sa.Column("cache_miss_reason", _TEXT, nullable=True),
        sa.Column("trace_id", _TEXT, nullable=True),
        sa.Column("span_id", _TEXT, nullable=True),
        sa.Column("parent_span_id", _TEXT, nullable=True),
    )
    op.create_index("request_at", "request", ["at_ms"])
    op.create_index("request_key_at", "request", ["key", "at_ms"])
    op.create_index("request_session_at", "request", ["session_id", "at_ms"])
    op.create_table(
        "usage_day",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("owner", _TEXT, primary_key=True),
        sa.Column("model", _TEXT, primary_key=True),
        sa.Column("upstream", _TEXT, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_5m_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("web_searches", sa.BigInteger, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
    )


def _keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("owner", _TEXT, nullable=True),
        sa.Column("models", _TEXT, nullable=True),
        sa.Column("limits", _TEXT, nullable=False),
        sa.Column("budgets", _TEXT, nullable=False),
        sa.Column("tags", _TEXT, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=True),
        sa.Column("disabled", sa.BigInteger, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger, nullable=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("api_key_seq", "api_key", ["seq"])
    op.create_table(
        "api_key_secret",
        sa.Column("sha256", _TEXT, primary_key=True),
        sa.Column("key_name", _TEXT, sa.ForeignKey("api_key.name"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("not_after_ms", sa.BigInteger, nullable=True),
    )
    op.create_index("api_key_secret_key", "api_key_secret", ["key_name"])
    op.create_table(
        "owner",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("limits", _TEXT, nullable=False),
        sa.Column("budgets", _TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger, nullable=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("owner_seq", "owner", ["seq"])


def _rest() -> None:
    meta = op.create_table(
        "meta",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(meta, [{"name": "keys_seq", "value": 0}, {"name": "sweeper", "value": 0}])
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("object", _TEXT, nullable=False),
        sa.Column("before", _TEXT, nullable=True),
        sa.Column("after", _TEXT, nullable=True),
    )
