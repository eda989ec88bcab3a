"""What tests of commands share."""

import asyncio

import pytest

from proxy.__main__ import main
from tests.cli.doctors import VARIABLES, Doctor
from tests.support.gateways import KEY


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Return what runs it in a thread, and returns its exit status and its lines."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    async def examined(url: str, *more: str, key: str = KEY) -> tuple[int, list[str]]:
        status = await asyncio.to_thread(main, ["doctor", "--url", url, "--key", key, *more])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out.splitlines()

    return examined
