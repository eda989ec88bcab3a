"""The contract lists every field that the admin API takes, and no other."""

import re

from proxy.admin import shapes
from tests.docs.snippets import ROOT

BODIES = {
    "a key": shapes.KeyBody,
    "an owner": shapes.OwnerBody,
    "`limits`": shapes.LimitsBody,
    "`budgets`": shapes.BudgetsBody,
    "a rotation": shapes.RotateBody,
}


def test_every_field_of_a_body_is_in_the_table() -> None:
    text = (ROOT / "docs" / "behaviour.md").read_text("utf-8")
    table = text.partition("| field | of | what it is |\n|---|---|---|\n")[2].partition("\n\n")[0]
    found: dict[str, set[str]] = {body: set() for body in BODIES}
    for row in table.splitlines():
        _, fields, bodies, _ = row.split("|", 3)
        for body in bodies.strip().split(", "):
            found[body] |= set(re.findall(r"`(\w+)`", fields))
    assert found == {body: set(shape.__struct_fields__) for body, shape in BODIES.items()}
