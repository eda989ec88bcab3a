"""What was copied from a page as it stands there is said to be that, and no variable is suggested that is another's."""

import pytest

from proxy.config_file.faults import ConfigError
from proxy.config_file.load import parse_config

TEXT = """\
upstreams: {a: {base_url: "https://h", auth: {scheme: x-api-key, key: "${ANTHROPIC_API_KEY}"}}}
models: [{id: "anthropic/*", upstream: a}]
"""
AT = "upstreams.a.auth.key: "


@pytest.mark.parametrize("key", ["sk-ant-...", "sk-ant-\N{HORIZONTAL ELLIPSIS}"], ids=ascii)
def test_a_placeholder_is_no_key(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(TEXT, {"ANTHROPIC_API_KEY": key})
    (fault,) = refused.value.faults
    assert fault.startswith(f"{AT}is a placeholder, and not a key: ")


SET = {
    "a slip": ("ANTROPIC_API_KEY", "; did you mean ANTROPIC_API_KEY?"),
    "another vendor's": ("OPENAI_API_KEY", "; export ANTHROPIC_API_KEY=... before the start"),
    "another of the same vendor": (
        "ANTHROPIC_BASE_URL",
        "; export ANTHROPIC_API_KEY=... before the start",
    ),
}


@pytest.mark.parametrize(("name", "said"), SET.values(), ids=SET)
def test_only_a_slip_of_the_name_is_taken_for_the_variable(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(TEXT, {name: "x"})
    assert refused.value.faults == (f"{AT}environment variable ANTHROPIC_API_KEY is not set{said}",)
