"""Runs the migrations that a store lacks, all or none: `python -m proxy.store.upgrade`, with its URL on stdin.

The only module that imports Alembic. `migrate.ensure_current` starts it, and sees to it that nobody else migrates.
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from proxy.store.engine import open_engine

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(engine: sa.Engine) -> None:
    """Run the migrations in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        # Of one that is not, processes of the release before may be about, which have not written yet.
        config.attributes["is_new"] = not sa.inspect(connection).has_table("alembic_version")
        command.upgrade(config, "head")


if __name__ == "__main__":
    try:
        upgrade(open_engine(sys.stdin.read()))
    except (
        sa.exc.SQLAlchemyError,
        OSError,
    ) as error:  # anything else is a defect: with its traceback
        sys.exit(" ".join(str(getattr(error, "orig", error)).split()))
