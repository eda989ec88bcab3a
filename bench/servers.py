"""PostgreSQL and Redis for the contender that shares its counts, started when it is first run."""

from contextlib import ExitStack

from bench.processes import StartError
from tests.support.postgres import Postgres, find_binaries
from tests.support.redis_server import RedisServer, find_server


class Servers:
    """One of each for a whole run, ended with the stack.

    Args:
        stack: of the run.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres: Postgres | None = None
        self._redis: RedisServer | None = None

    def database(self) -> str:
        """Return the URL of an empty database.

        Raises:
            StartError: PostgreSQL is not installed.
        """
        if self._postgres is None:
            binaries = find_binaries()
            if binaries is None:
                raise StartError("PostgreSQL is not installed")
            self._postgres = Postgres(binaries)
            self._stack.callback(self._postgres.remove)
            self._postgres.start()
        return self._postgres.database()

    def counts(self) -> str:
        """Return the URL of the Redis server.

        Raises:
            StartError: neither Redis nor Valkey is installed.
        """
        if self._redis is None:
            command = find_server()
            if command is None:
                raise StartError("neither Redis nor Valkey is installed")
            self._redis = RedisServer(command)
            self._stack.callback(self._redis.remove)
            self._redis.start()
        return self._redis.url
