"""How a configuration file is refused."""

from typing import Any

import pytest

from proxy.config_file.faults import ConfigError
from proxy.config_file.load import config_from
from tests.unit.config_file.configurations import ENVIRON

TOP = (
    "listen, trusted_proxies, upstreams, pools, models, keys, anthropic_versions, limits, timeouts, echo_model, "
    "early_head, cors, log, reload, store, redis, quota, owners, prices, admin, alerts, otel"
)


def refused(given: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        config_from(given, ENVIRON)
    return str(raised.value)
