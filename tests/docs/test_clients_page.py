"""docs/clients.md against the table that the clients are run by."""

import pytest

from tests.clients.table import CLIENTS, PAGE, Client, filled


def test_the_page_shows_the_table_the_clients_are_run_by() -> None:
    page = PAGE.read_text("utf-8")
    assert page == filled(page), "run python -m tests.clients.table"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_promise_that_no_check_holds_is_found(client: Client) -> None:
    checks = [f"{each}, and more" for each in (*client.tried, f"a wrong key is {client.wrong_key}")]
    assert client.not_checked(checks) == []
    assert client.not_checked(checks[1:]) == [client.tried[0]]
    assert client.not_checked(checks[:-1]) == [f"a wrong key is {client.wrong_key}"]
