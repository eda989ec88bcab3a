"""Pages of lists: how many entries, and from where on. Pure."""

import re

from multidict import MultiMapping

from proxy.errors import InvalidRequest

_DEFAULT = 20
_MOST = 1000
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def page_limit(query: MultiMapping[str]) -> int:
    """Return how many entries a page is to have: 1 to 1000, 20 unless said.

    Raises:
        InvalidRequest: anything else.
    """
    limit = whole_number(query, "limit")
    if limit is None:
        return _DEFAULT
    if not 1 <= limit <= _MOST:
        raise InvalidRequest(f"limit: must be from 1 to {_MOST}")
    return limit


def whole_number(query: MultiMapping[str], name: str) -> int | None:
    """Return a number of the query; None when it is not there.

    Raises:
        InvalidRequest: it is no whole number.
    """
    text = query.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise InvalidRequest(f"{name}: must be a whole number")
    return int(text)


def refuse_unknown(query: MultiMapping[str], *known: str) -> None:
    """Refuse a query with a name that says nothing here, such as a misspelt filter.

    Raises:
        InvalidRequest: there is one.
    """
    for name in query:
        if name not in known:
            raise InvalidRequest(f"{name[:100]}: no such parameter; known here: {', '.join(known)}")
