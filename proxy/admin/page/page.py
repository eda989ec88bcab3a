"""What a page is: where, who may see it, and how its model is made."""

import copy
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from proxy.admin.context import AdminContext, now_ms
from proxy.admin.deliver import place_of
from proxy.admin.page.viewer import Viewer
from proxy.admin.workers import Workers
from proxy.config import Config
from proxy.errors import StoreNotReady, StoreUnavailable
from proxy.money import price_file
from proxy.money.prices import PriceTable

_T = TypeVar("_T")
_ANSWER_WITHIN_S = 4.5

Query = Mapping[str, str]


@dataclasses.dataclass
class _State:
    """What the views of all who look share."""

    prices: tuple[object, PriceTable] | None = None
    store_down_since_ms: int | None = None


class View:
    """What models are made from.

    Args:
        store: of the admin API.
        workers: who serve the requests.

    Attributes:
        workers: as given.
    """

    def __init__(self, store: AdminContext, workers: Workers) -> None:
        self._store = store
        self._holder: str | None = None
        self._state = _State()
        self.workers = workers

    def of(self, viewer: Viewer) -> "View":
        """Return the view as whoever looks has it: questions of a key's holder keep nobody else waiting."""
        if viewer.key is None:
            return self
        theirs = copy.copy(self)
        theirs._holder = viewer.key  # noqa: SLF001 - of this class
        return theirs

    @property
    def store_down_since_ms(self) -> int | None:
        """When the store first did not answer; None: it answers, or was not asked."""
        return self._state.store_down_since_ms

    @property
    def receivers_silent(self) -> dict[str, int]:
        """Since when receivers of alerts take none, by where they are."""
        configured = {place_of(each) for each in self.config.alerts.to}
        silent = self._store.receivers_silent
        return {place: since_ms for place, since_ms in silent.items() if place in configured}

    @property
    def config(self) -> Config:
        """The configuration that counts."""
        return self._store.config

    @property
    def has_store(self) -> bool:
        """Whether there is a ledger to ask."""
        return self._store.engine is not None

    @property
    def shows_sessions(self) -> bool:
        """Whether sessions and agents may be shown."""
        return self._store.shows_sessions

    @property
    def base_url(self) -> str:
        """Where clients of this machine find the gateway."""
        listen = self.config.listen
        host = listen.hosts[0] if listen.hosts else "127.0.0.1"
        host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
        # One that the system chose, or another program's, is not known here.
        port = listen.port or "PORT"
        return f"{listen.scheme}://{f'[{host}]' if ':' in host else host}:{port}{listen.base_path}"

    @property
    def prices(self) -> PriceTable:
        """What tokens cost."""
        configured = self.config.prices
        if self._state.prices is None or self._state.prices[0] is not configured:
            self._state.prices = (configured, price_file.configured(configured))
        return self._state.prices[1]

    @staticmethod
    def now_ms() -> int:
        """Return the time in Unix milliseconds."""
        return now_ms()

    async def ask(self, work: Callable[[sa.Engine], _T], within_s: float = _ANSWER_WITHIN_S) -> _T:
        """Ask the store something, in a thread.

        Raises:
            StoreUnavailable: it does not answer in time, or there is none.
        """
        try:
            answer = await self._store.ask(work, within_s, holder=self._holder)
        except StoreNotReady:
            self._state.store_down_since_ms = None  # it does answer
            raise
        except StoreUnavailable:
            if self.has_store and self._state.store_down_since_ms is None:
                self._state.store_down_since_ms = now_ms()
            raise
        self._state.store_down_since_ms = None
        return answer

    async def draw(self, work: Callable[[], _T]) -> _T:
        """Draw a page in a thread.

        Raises:
            TooManyPages: holders ask for more than is drawn.
        """
        return await self._store.draw(work, holder=self._holder)


class Elsewhere(msgspec.Struct, frozen=True):
    """In place of a model: what was asked for is another page; its path, below where the pages are."""

    path: str


Make = Callable[[View, Viewer, Query], Awaitable[msgspec.Struct]]


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        path: such as `/spend` or `/sessions/{id}`.
        title: of the page; what the navigation calls it, when it is in there.
        make: makes its model.
        template: its file.
        query: the parameters that it knows, but for the variables of its path.
        rows: the field of the model whose structs are the rows of `.csv`; '': there is no `.csv`.
        in_nav: whether the navigation has it.
        for_keys: whether a key's holder may see it.
        of_sessions: whether it is not there with `admin.sessions: false`.
        poll_s: how often a page that is open asks again; None: not.
    """

    path: str
    title: str
    make: Make
    template: str
    query: tuple[str, ...] = ()
    rows: str = ""
    in_nav: bool = True
    for_keys: bool = True
    of_sessions: bool = False
    poll_s: float | None = None
