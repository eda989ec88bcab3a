"""The only upstream, outside of pools, that fails all it is asked: whatever shows upstreams says so."""

import asyncio

import pytest

from proxy.__main__ import main
from proxy.admin.upstreams import merged
from proxy.upstreams.report import FailingRun, Report
from tests.admin.conftest import READER
from tests.admin.test_watching_pages import browsing
from tests.admin.viewing import ADMIN
from tests.support.gateways import Running, config_for, running
from tests.support.pools import error, good
from tests.support.raw import UpstreamSide, raw_upstream


async def _ask(gateway: Running, times: int = 1) -> list[int]:
    statuses = []
    for _ in range(times):
        async with gateway.post() as response:
            await response.read()
            statuses.append(response.status)
    return statuses


async def test_an_upstream_that_cannot_be_reached_is_failing_wherever_it_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = config_for("http://127.0.0.1:1", admin=ADMIN)
    async with running(config) as gateway, browsing(gateway) as browser:
        assert await _ask(gateway, 3) == [502] * 3
        given = ["upstreams", "--url", browser.url, "--key", READER]
        assert await asyncio.to_thread(main, given) == 0
        row = capsys.readouterr().out.splitlines()[1]
        assert row.split()[:3] == ["first", "failing", "upstream_unreachable"]
        await browser.sign_in(READER)
        page = (await browser("/upstreams")).text
        assert "failing: upstream_unreachable" in page
        assert "the base_url of first" in page
        assert "first,failing," in (await browser("/upstreams.csv")).text


async def test_it_is_up_again_with_the_first_success_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scripts = [error(b"529 Overloaded", kind=b"overloaded_error")] * 3 + [good] * 2

    async def script(upstream: UpstreamSide) -> None:
        await scripts.pop(0)(upstream)

    async with (
        raw_upstream(script) as upstream,
        running(config_for(upstream.url, admin=ADMIN)) as gateway,
        browsing(gateway) as browser,
    ):
        await browser.sign_in(READER)
        assert await _ask(gateway, 3) == [529] * 3
        assert "failing: overloaded_error" in (await browser("/upstreams")).text
        assert await _ask(gateway, 2) == [200] * 2
        assert gateway.gateway.standing.failing.of("first") is None
    back = [each for each in caplog.messages if each == "upstream first is back"]
    assert len(back) == 1


def _report(failing: FailingRun | None = None, recovered_ms: int | None = None) -> Report:
    return Report("a", True, [], None, 0, [], None, None, failing, recovered_ms)


RUN = FailingRun("upstream_unreachable", 5_000, 8_000)


@pytest.mark.parametrize(
    ("reports", "state", "since"),
    [
        ([_report(RUN)], "failing", "1970-01-01T00:00:05Z"),
        ([_report(), _report(RUN)], "failing", "1970-01-01T00:00:05Z"),
        (
            [_report(RUN), _report(FailingRun("529", 3_000, 9_000))],
            "failing",
            "1970-01-01T00:00:03Z",
        ),
        ([_report(RUN), _report(recovered_ms=7_000)], "failing", "1970-01-01T00:00:05Z"),
        ([_report(RUN), _report(recovered_ms=9_000)], "up", None),
    ],
    ids=["one", "one-of-two", "since-the-first", "once-back-and-again", "another-has-its-answer"],
)
def test_what_workers_know_of_failures_is_put_together(
    reports: list[Report], state: str, since: str | None
) -> None:
    (told,) = merged([[each] for each in reports], 10_000)
    assert (told["state"], told["since"], told["cooling_s"]) == (state, since, None)
