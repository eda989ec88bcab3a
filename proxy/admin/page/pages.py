"""The table of the pages, in the order of the navigation."""

from proxy.admin.page import (
    cache,
    find,
    key,
    keys,
    overview,
    request,
    session,
    sessions,
    spend,
)
from proxy.admin.page.page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    key.ME,
    spend.PAGE,
    sessions.PAGE,
    session.PAGE,
    request.PAGE,
    cache.PAGE,
    keys.PAGE,
    key.PAGE,
    find.PAGE,
)
