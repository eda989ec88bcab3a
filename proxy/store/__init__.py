"""The database: SQLAlchemy Core over SQLite and PostgreSQL, synchronous, for threads.

Nothing that the event loop imports imports this folder, so that a gateway without a store carries none of it.
"""
