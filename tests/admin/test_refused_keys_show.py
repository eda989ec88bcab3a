"""A key that has expired, or is off, and is still used, shows where an operator looks, not in the log alone."""

import datetime
import shutil
from pathlib import Path

from proxy import Key, Owner, Store
from proxy.access.keys import digest
from tests.admin.conftest import WRITER
from tests.admin.scraping import scraped
from tests.admin.viewing import model, viewed
from tests.support.gateways import KEY

EXPIRED, OFF = "ar-expired-0123456789-0123456789", "ar-off-0123456789-0123456789"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
KEYS = (
    Key("tester", digest(KEY)),
    Key("contractor", digest(EXPIRED), expires_at=LONG_AGO, owner="team-x"),
    Key("laptop", digest(OFF), disabled=True),
)


async def test_what_a_known_key_is_refused_is_counted_where_an_operator_looks(
    sqlite_made: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'store.db')}"
    store, owners = Store(url, str(tmp_path / "state")), (Owner("team-x"),)
    async with scraped(keys=KEYS, owners=owners, store=store) as scrape:
        for secret in (EXPIRED, EXPIRED, OFF, "ar-nobody-0123456789-0123456789"):
            headers = {"x-api-key": secret, "user-agent": "claude-cli/2.1.332 (external, cli)"}
            async with scrape.gateway.post(headers=headers) as response:
                assert response.status == 401
        found = (await scrape.samples())["key_requests_total"]
    counted = {key: requests for (key, outcome), requests in found.items() if outcome == "refused"}
    assert counted == {"contractor": 2, "laptop": 1}
    async with viewed(url, keys=KEYS, owners=owners) as browser:
        await browser.sign_in(WRITER)
        listed = (await model(browser, "/keys.json"))["keys"]
        assert {each["name"]: each["refused"] for each in listed} == {**counted, "tester": 0}
        (refused,) = (await model(browser, "/keys/contractor.json"))["refused"]
        assert (refused["cause"], refused["status"], refused["requests"]) == (
            "unauthenticated",
            401,
            2,
        )
        assert "expired" in refused["do"]
        assert [
            each["client"] for each in (await model(browser, "/keys/contractor.json"))["clients"]
        ] == ["claude-cli/2.1.332"]
        (failure,) = (await model(browser, "/errors.json"))["failures"]
        assert (failure["cause"], failure["fault"], failure["requests"]) == (
            "unauthenticated",
            "client",
            3,
        )
        assert failure["do"] == refused["do"]
        (of_owner,) = (await model(browser, "/spend.json?by=owner&owner=team-x"))["rows"]
        assert of_owner["requests"] == 2
        page = (await browser(f"/requests/{refused['sample_id']}")).text
        assert "contractor" in page
        assert "unauthenticated" in page
        assert refused["do"] in page
