"""The limit of open files follows the connections that are allowed."""

import resource
from collections.abc import Iterator

import pytest

from proxy.server.open_files import raise_open_file_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limits")
def test_the_soft_limit_is_raised_as_far_as_needed() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    raise_open_file_limit(200)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 400


@pytest.mark.usefixtures("limits")
def test_a_hard_limit_that_is_too_low_is_told(caplog: pytest.LogCaptureFixture) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    raise_open_file_limit(1 << 40)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    assert "raise the hard limit" in caplog.text


@pytest.mark.usefixtures("limits")
def test_a_limit_that_is_high_enough_stays() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_open_file_limit(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
