"""What the package uses of aiohttp's inside: found in the source, kept to the leaf, and there in the installed aiohttp.

Nothing here is kept by hand: a private name that a change brings in is found, wherever it stands.
"""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import aiohttp
import pytest

PACKAGE = Path(__file__).parents[2] / "proxy"
LEAF = PACKAGE / "aiohttp_fast"
# Public beside the names of `aiohttp` itself: documented, or named in its public signatures.
PUBLIC_MODULES = {"abc", "hdrs", "http_exceptions", "typedefs", "web"}
# Private names of others: the standard library's, without a public twin.
OTHERS = {("os", "_exit"), ("argparse", "_SubParsersAction")}


# What every named tuple has, spelled so that no field can be called so.
_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _NAMED_TUPLES


def _own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a module defines: functions, methods, slots, attributes, fields."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=ast.Tuple(elts=elements)):
                found |= {str(each.value) for each in elements if isinstance(each, ast.Constant)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self")):
                found.add(name)
    return found


def _extends_aiohttp(tree: ast.Module) -> bool:
    bases = {
        ast.unparse(base)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    }
    return any("RequestHandler" in base or "ResponseHandler" in base for base in bases) or any(
        base.startswith(("web.", "aiohttp.")) for base in bases
    )


def _private_names(tree: ast.Module, inherited: AbstractSet[str] | None = None) -> Iterator[str]:
    """Yield the names of aiohttp's inside that a module uses.

    Args:
        tree: the module.
        inherited: outside the leaf: what its classes may have of others of ours.
    """
    own, is_outside = _own_names(tree), inherited is not None
    ours = own | (inherited or set())
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("aiohttp."):
                if module.split(".")[1] not in PUBLIC_MODULES:
                    yield from (f"{module}.{alias.name}" for alias in node.names)
                else:
                    yield from (
                        f"{module}.{alias.name}" for alias in node.names if _is_private(alias.name)
                    )
            case ast.ImportFrom(module="aiohttp"):
                known = {*aiohttp.__all__, *PUBLIC_MODULES}
                yield from (
                    f"aiohttp.{alias.name}" for alias in node.names if alias.name not in known
                )
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if _is_private(name):
                if name not in ours and (is_outside or _extends_aiohttp(tree)):
                    yield name
            case ast.Attribute(value=value, attr=name) if _is_private(name):
                if (ast.unparse(value), name) not in OTHERS and name not in own:
                    yield name


def _trees(folder: Path) -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(folder.rglob("*.py"))
    }


OUTSIDE = {name: tree for name, tree in _trees(PACKAGE).items() if not name.startswith(LEAF.name)}
INSIDE = _trees(LEAF)
OURS = frozenset[str]().union(*map(_own_names, OUTSIDE.values()))
USED = sorted({name for tree in INSIDE.values() for name in _private_names(tree)})
SOURCE = "\n".join(
    path.read_text("utf-8")
    for path in Path(aiohttp.__file__).parent.rglob("*")
    if path.suffix in (".py", ".pyx", ".pxd")
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_only_the_leaf_touches_the_inside_of_aiohttp(name: str) -> None:
    assert sorted(set(_private_names(OUTSIDE[name], OURS))) == []


@pytest.mark.parametrize("name", INSIDE)
def test_the_leaf_imports_nothing_of_ours(name: str) -> None:
    for node in ast.walk(INSIDE[name]):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert not module.startswith("proxy") or module.startswith("proxy.aiohttp_fast")


@pytest.mark.parametrize("twin", ["keys", "plain", "plain_client", "resolver", "twins"])
def test_what_the_plain_twins_are_made_of_uses_no_private_name(twin: str) -> None:
    assert set(_private_names(INSIDE[f"aiohttp_fast/{twin}.py"])) == set()


@pytest.mark.parametrize("name", USED)
def test_each_private_name_in_use_is_there(name: str) -> None:
    assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", SOURCE)


def test_there_are_names_to_find() -> None:
    assert len(USED) > 10
