"""The table of the pages, in the order of the navigation."""

from proxy.admin.page import overview
from proxy.admin.page.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE,)
