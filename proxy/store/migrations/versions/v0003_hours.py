"""Sums of hours, and indexes of the requests that ended badly."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_HOUR_S = 3600
# In an upgrade, processes of the release before go on for a while, and know nothing of sums of hours.
_OVERLAP_HOURS = 24
_SUMS = (
    *("requests", "refused", "failed", "estimated", "input_tokens", "output_tokens"),
    *(
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cache_read_tokens",
        "web_searches",
        "cost_micros",
    ),
)


def upgrade() -> None:
    """Make them; of a store that was there already, the sums count from tomorrow on."""
    op.create_table(
        "usage_hour",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, _TEXT, primary_key=True)
            for name in ("key", "owner", "model", "upstream")
        ),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    failed = sa.text("cause IS NOT NULL")
    for name, columns in (
        ("request_failed_at", ["at_ms"]),
        ("request_failed_key_at", ["key", "at_ms"]),
    ):
        op.create_index(name, "request", columns, sqlite_where=failed, postgresql_where=failed)
    config = op.get_context().config
    is_new = config is not None and config.attributes["is_new"]
    whole_from = 0 if is_new else int(time.time()) // _HOUR_S + 1 + _OVERLAP_HOURS
    meta = sa.table("meta", sa.column("name", sa.Text), sa.column("value", sa.BigInteger))
    op.bulk_insert(meta, [{"name": "hours_from", "value": whole_from}])
