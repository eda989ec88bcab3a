"""The table of the pages, in the order of the navigation."""

from proxy.admin.page import (
    cache,
    errors,
    find,
    key,
    keys,
    live,
    overview,
    request,
    session,
    sessions,
    spend,
    upstreams,
)
from proxy.admin.page.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    key.ME,
    live.PAGE,
    spend.PAGE,
    sessions.PAGE,
    session.PAGE,
    request.PAGE,
    cache.PAGE,
    errors.PAGE,
    upstreams.PAGE,
    keys.PAGE,
    key.PAGE,
    find.PAGE,
)
