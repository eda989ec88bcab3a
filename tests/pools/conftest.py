"""Every test here: nothing goes wrong unnoticed in the loop."""

from tests.relay.conftest import _nothing_unnoticed as _nothing_unnoticed  # noqa: PLC0414 - a fixture
from tests.relay.conftest import _quick_collections as _quick_collections  # noqa: PLC0414 - a fixture
