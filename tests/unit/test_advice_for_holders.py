"""What a key's holder is advised: nothing that only who runs the gateway can do."""

import pytest

from proxy.causes import Cause
from proxy.notices.for_holders import advice_for_holder

OF_OPERATORS = ("raise", "admin", "anyrouter", "quota", "limits.", "upstream")


@pytest.mark.parametrize("contact", ["", "Write to #ai."], ids=["nobody named", "a contact"])
@pytest.mark.parametrize("cause", Cause)
def test_a_holder_is_told_nothing_to_configure_and_whom_to_ask(cause: str, contact: str) -> None:
    told = advice_for_holder(cause, contact)
    assert told.endswith(contact or "ask whoever runs the gateway")
    assert not [word for word in OF_OPERATORS if word in told]
