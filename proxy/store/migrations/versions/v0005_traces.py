"""What traces need beside the ledger: an index of the few requests that took more than a minute."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the index, of those rows alone."""
    slow = sa.text("total_ms > 60000")
    op.create_index(
        "request_slow_at", "request", ["at_ms"], sqlite_where=slow, postgresql_where=slow
    )
