"""A model's rows as CSV. Pure."""

import csv
import io
import re
import typing
from typing import Any

import msgspec

# A spreadsheet takes a text that begins so for a formula, and clients choose some of the texts.
# Where its language writes `0,5`, cells end at a semicolon, also in the midst of ours.
_FORMULA = re.compile(r"""(?:\A|(?<=[;\t\r\n]))(?=[ "]*[-=+@\t\r])""")


def to_csv(model: msgspec.Struct, field: str) -> str:
    """Return the rows of a model, structs of one kind, under the names of their fields.

    Args:
        model: with the rows.
        field: of the model: `tuple[Row, ...]` or `list[Row]`.
    """
    (kind,) = (each.type for each in msgspec.structs.fields(model) if each.name == field)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(typing.get_args(kind)[0].__struct_fields__)
    for row in getattr(model, field):
        writer.writerow([cell(value) for value in msgspec.structs.astuple(row)])
    return out.getvalue()


def cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        return _FORMULA.sub("'", value)
    if value is None or isinstance(value, int | float):
        return value
    return cell(msgspec.json.encode(value).decode())
