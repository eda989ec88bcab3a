"""Errors: what fails, whose fault is it, and what to do?"""

import msgspec

from proxy.admin.failed import FAULTS, Failure, OfClient, by_cause, by_client
from proxy.admin.page.page import Page, Query, View
from proxy.admin.page.viewer import Viewer
from proxy.errors import InvalidRequest
from proxy.notices.for_holders import advice_for_holder
from proxy.store import views
from proxy.store.newest import newest

SPANS_MS = {"1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000}
_DEFAULT = "24h"
_MOST = 200


class Errors(msgspec.Struct, frozen=True):
    """The model of the page.

    Attributes:
        since_ms: from when on. `requests`: that failed since.
        left_out_before_ms: of more failures than can be looked at, those before are not counted; None: all are.
        failures: by fault, cause and upstream. `clients`: by version of a client, and cause.
    """

    since: str
    since_ms: int
    requests: int
    retried: int
    left_out_before_ms: int | None
    failures: tuple[Failure, ...]
    clients: tuple[OfClient, ...]

    @property
    def by_fault(self) -> dict[str, tuple[Failure, ...]]:
        """The failures of each fault."""
        return {
            fault: tuple(each for each in self.failures if each.fault == fault) for fault in FAULTS
        }


async def model(view: View, viewer: Viewer, query: Query) -> Errors:
    """Return the model of the page.

    Raises:
        InvalidRequest: `since` is none of the spans.
        NotFound: another's key was asked for.
    """
    since = query.get("since") or _DEFAULT
    if since not in SPANS_MS:
        raise InvalidRequest(f"since: must be one of {', '.join(SPANS_MS)}")
    since_ms = view.now_ms() - SPANS_MS[since]
    scope = viewer.scope(
        since_ms=since_ms,
        key=query.get("key") or None,
        upstream=query.get("upstream") or None,
    )
    counted = await view.ask(lambda engine: newest(engine, scope, ("cause",), failed=True))
    found = await view.ask(lambda engine: views.failures(engine, counted))
    failures = by_cause(found)[:_MOST]
    if viewer.key is not None:
        contact = view.config.quota.contact
        failures = tuple(
            msgspec.structs.replace(each, do=advice_for_holder(each.cause, contact))
            for each in failures
        )
    return Errors(
        since=since,
        since_ms=since_ms,
        requests=sum(each.requests for each in found),
        retried=sum(each.retried for each in found),
        left_out_before_ms=None if counted is scope else counted.since_ms,
        failures=failures,
        clients=by_client(found)[:_MOST],
    )


PAGE = Page(
    path="/errors",
    title="Errors",
    make=model,
    template="errors.html",
    query=("since", "key", "upstream"),
    rows="failures",
    poll_s=30,
)
