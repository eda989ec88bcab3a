"""What Alembic runs for each migration: in the transaction that it is given, so that all is done or nothing."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
