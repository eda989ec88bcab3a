"""What the admin API's handlers share."""

import asyncio
import functools
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from aiohttp import web

from proxy.aiohttp_fast.keys import RequestKey
from proxy.config import AdminKey, Config
from proxy.config_file import changes
from proxy.errors import InvalidRequest, StoreNotReady, StoreUnavailable, TooManyPages
from proxy.snapshot import Reloaded
from proxy.store.engine import open_engine
from proxy.store.migrate import MigrationFailed, is_current

_T = TypeVar("_T")
_THREADS, _HOLDERS_THREADS = 4, 2
_ANSWER_WITHIN_S = 10.0
_DRAWN_WITHIN_S = 10.0


class AdminContext:
    """The configuration, and the store behind a few threads.

    Attributes:
        config: of the gateway.
        engine: of its store; None: there is none.
        receivers_silent: since when receivers of alerts take none, by where they are.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = None if config.store is None else open_engine(config.store.url)
        self.receivers_silent: dict[str, int] = {}
        self._ready = False
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, "admin")
        # Who holds a key can ask what takes long as often as he likes: operators, alerts and sign-in never wait for it.
        self._holders_threads = ThreadPoolExecutor(_HOLDERS_THREADS, "holders")
        # Not those of the store: it may be silent, and some pages need none.
        self._drawing = ThreadPoolExecutor(1, "drawing")
        self._holders_drawing = ThreadPoolExecutor(1, "holders-drawing")
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @property
    def shows_sessions(self) -> bool:
        """Whether sessions and agents may be shown."""
        return self.config.admin is None or self.config.admin.sessions

    async def ask(
        self,
        work: Callable[[sa.Engine], _T],
        within_s: float = _ANSWER_WITHIN_S,
        *,
        holder: str | None = None,
    ) -> _T:
        """Ask the store something, in a thread.

        Args:
            work: is given the store.
            within_s: how long it is waited for.
            holder: the key whose holder asks: such questions have few threads, and each key one at a time.

        Raises:
            StoreUnavailable: it does not answer, or there is none.
            InvalidRequest: a text of the question is none that a store can have.
        """
        engine = self.engine
        if engine is None:
            raise StoreUnavailable(
                "there is no store: this needs one; see `store` in the configuration"
            )
        ask = functools.partial(self._ask, engine, work)
        threads = self._threads if holder is None else self._holders_threads
        try:
            async with asyncio.timeout(within_s):
                return await self._in_turn(threads, ask, holder)
        except TimeoutError:
            raise StoreUnavailable(f"the store has not answered within {within_s:g} s") from None
        except MigrationFailed as error:
            raise StoreUnavailable(str(error)) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            # SQLAlchemy puts the name of the driver's class before what it says.
            said = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            # Refused by the driver: what a server refuses has a state.
            if isinstance(error, sa.exc.DataError) and getattr(said, "sqlstate", None) is None:
                raise InvalidRequest("a text has a NUL: no store can have that") from None
            first_line = (str(said).splitlines() or [""])[0]
            # Where the store is concerns who runs the gateway, not each who has a key.
            why = f": {first_line}" if holder is None else ""
            raise StoreUnavailable(f"the store does not answer{why}") from error

    async def draw(self, work: Callable[[], _T], *, holder: str | None = None) -> _T:
        """Draw a page in a thread: of a large one nobody else shall wait for the event loop.

        Args:
            work: draws it.
            holder: the key whose holder asks: all holders have one thread, and each key one page at a time.

        Raises:
            TooManyPages: holders ask for more than is drawn.
        """
        if holder is None:
            return await self._in_turn(self._drawing, work, None)
        try:
            async with asyncio.timeout(_DRAWN_WITHIN_S):
                return await self._in_turn(self._holders_drawing, work, f"pages of {holder}")
        except TimeoutError:
            raise TooManyPages from None

    async def _in_turn(
        self, threads: ThreadPoolExecutor, work: Callable[[], _T], whose: str | None
    ) -> _T:
        """Work in a thread; what has a name, one at a time of each."""
        loop = asyncio.get_running_loop()
        if whose is None:
            return await loop.run_in_executor(threads, work)
        turn = self._turns.setdefault(whose, asyncio.Lock())
        await turn.acquire()
        answer = loop.run_in_executor(threads, work)

        def end_turn(answer: asyncio.Future[_T]) -> None:
            turn.release()
            if not answer.cancelled():
                answer.exception()  # of one that nobody waits for any more, too

        # Whoever has stopped waiting has his turn for as long as the thread is at it.
        answer.add_done_callback(end_turn)
        return await asyncio.shield(answer)

    def _ask(self, engine: sa.Engine, work: Callable[[sa.Engine], _T]) -> _T:
        """Do work with the store, in a thread."""
        pool = engine.pool
        try:
            self._ready = self._ready or is_current(engine)
            if not self._ready:
                raise StoreNotReady(
                    "the store is not ready yet: a gateway makes its tables, or brings them up to date, when it starts"
                )
            return work(engine)
        finally:
            if self._closed:
                # What is given back after `close` is closed by nobody else.
                pool.dispose()
                engine.dispose()

    def take_over(self, config: Config) -> Reloaded:
        """Show the keys and owners of another configuration; as `Gateway.take_over`."""
        before = self.config
        self.config = changes.without_restart(before, config)
        return Reloaded.of(before, self.config, config)

    def close(self) -> None:
        """Let the threads go; what they are at is not waited for, and closes its own connection."""
        self._closed = True
        all_threads = (self._threads, self._holders_threads, self._drawing, self._holders_drawing)
        for threads in all_threads:
            threads.shutdown(wait=False, cancel_futures=True)
        if self.engine is not None:
            self.engine.dispose()


CONTEXT = web.AppKey("admin", AdminContext)
ADMIN = RequestKey("admin", AdminKey)


def now_ms() -> int:
    """Return the time in Unix milliseconds."""
    return int(time.time() * 1000)


def json(value: Any, status: int = 200) -> web.Response:
    """Return a response with a JSON body."""
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
