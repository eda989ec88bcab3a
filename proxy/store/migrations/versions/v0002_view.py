"""What the view shows beside the ledger: cache breaks with their daily sums, alerts that were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and an index by which a request is found by its upstream's id."""
    op.create_index("request_upstream_request_id", "request", ["upstream_request_id"])
    op.create_table(
        "cache_break",
        sa.Column("request_id", _TEXT, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("missed", sa.BigInteger, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.Column("gap_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("cache_break_at", "cache_break", ["at_ms"])
    op.create_table(
        "cache_day",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("model", _TEXT, primary_key=True),
        sa.Column("request_class", _TEXT, primary_key=True),
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alert_sent",
        sa.Column("rule", _TEXT, primary_key=True),
        sa.Column("subject", _TEXT, primary_key=True),
        sa.Column("period", _TEXT, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    meta = sa.table("meta", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(meta, [{"name": "breaks_until", "value": 0}])
