"""The `anthropic-version` header: a date, well-formed and accepted. It is forwarded as it came. Pure."""

import datetime
import functools
import re
from collections.abc import Sequence

from proxy.errors import InvalidRequest

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CACHED_VERSIONS = 64


def check_version(versions: Sequence[str], accepted: frozenset[str] | None) -> None:
    """Check the values of the header.

    Args:
        versions: each value the request carries.
        accepted: the dates to accept; None: any.

    Raises:
        InvalidRequest: none, several that differ, no date, or not accepted.
    """
    if not versions:
        raise InvalidRequest("anthropic-version: header is required, such as 2023-06-01")
    if len(set(versions)) > 1:
        # All of them would be forwarded, and the upstream may go by another than the one checked.
        raise InvalidRequest("anthropic-version: header comes twice, with different values")
    version = versions[0]
    if (fault := _fault_of_date(version)) is not None:
        raise InvalidRequest(f"anthropic-version: {fault}")
    if accepted is not None and version not in accepted:
        raise InvalidRequest(
            f"anthropic-version: {version} is not accepted here; "
            f"accepted: {', '.join(sorted(accepted))}"
        )


@functools.lru_cache(_CACHED_VERSIONS)
def _fault_of_date(version: str) -> str | None:
    if _DATE.fullmatch(version) is None:
        return "must be a date, YYYY-MM-DD"
    try:
        datetime.date.fromisoformat(version)
    except ValueError as error:
        return str(error)
    return None
