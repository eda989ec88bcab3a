"""Whatever strangers send to the sign-in is a wrong try, and never a defect that fills the log."""

import pytest
from yarl import URL

from tests.admin.conftest import WRITER
from tests.admin.viewing import viewed
from tests.support.client import connected

WRONG = "ar-wrong-0123456789"
PART = b"--b\r\ncontent-disposition: form-data%s\r\n\r\n%s\r\n"
ODD_FORMS = {
    "a charset that is none": ("application/x-www-form-urlencoded; charset=x", b"key=a"),
    "no UTF-8": ("application/x-www-form-urlencoded", b"key=\xff&next=%ff%00"),
    "many fields": ("application/x-www-form-urlencoded", b"a=1&" * 200_000),
    "a part without a name": ("multipart/form-data; boundary=b", PART % (b"", b"x") + b"--b--"),
    "parts without an end": ("multipart/form-data; boundary=b", PART % (b'; name="key"', b"x")),
    "parts that nothing divides": ("multipart/form-data", b"x"),
    "parts in parts": (
        "multipart/form-data; boundary=b",
        b"--b\r\ncontent-type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--",
    ),
    "another encoding of a part": (
        "multipart/form-data; boundary=b",
        b'--b\r\ncontent-disposition: form-data; name="key"\r\ncontent-type: text/x; charset=y\r\n\r\nx\r\n--b--',
    ),
}


@pytest.mark.parametrize(("kind", "sent"), ODD_FORMS.values(), ids=ODD_FORMS)
async def test_a_form_that_is_none_of_ours_is_a_wrong_try_and_no_defect(
    caplog: pytest.LogCaptureFixture, kind: str, sent: bytes
) -> None:
    async with viewed(None) as browser:
        told = await browser("/sign-in", "POST", data=sent, headers={"content-type": kind})
        assert told.status == 401
        assert "none of the keys" in told.text
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


@pytest.mark.parametrize("value", [b"\xff", b"a.b.\xe9", b'"', b"a=b=c; ;", b"." * 4000])
async def test_a_cookie_of_any_bytes_is_none_and_no_defect(
    caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    async with viewed(None) as browser:
        url = URL(browser.url)
        async with connected(str(url.host), url.port or 0) as client:
            name = next(iter((await browser.sign_in(WRITER)).cookies))
            await client.send(
                b"GET /overview HTTP/1.1\r\nhost: localhost\r\ncookie: %b=%b\r\n\r\n"
                % (name.encode(), value)
            )
            assert (await client.answer()).status == 303
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


async def test_tries_from_all_addresses_of_one_ipv6_network_are_one_clients() -> None:
    async with viewed(None, trusted_proxies=("127.0.0.1",)) as browser:
        for n in range(6):
            sent = {"x-forwarded-for": f"2001:db8::{n}"}
            told = await browser.sign_in(WRONG, headers=sent)
        assert told.status == 429
        told = await browser.sign_in(WRONG, headers={"x-forwarded-for": "2001:db8:0:1::1"})
        assert told.status == 401
