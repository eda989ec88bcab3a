"""Imports between the package's modules point one way, and the pure ones reach no I/O."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "proxy"
# Pure as folders, and single modules elsewhere.
PURE_FOLDERS = ("config", "errors", "notices", "protocol", "routing")
PURE_MODULES = (
    "proxy.causes",
    "proxy.client_variables",
    "proxy.progress",
    "proxy.money.usage",
    "proxy.money.prices",
    "proxy.money.price_rows",
    "proxy.money.estimate",
    "proxy.money.bill",
    "proxy.money.steps",
    "proxy.admin.tree",
    "proxy.access.keys",
    "proxy.access.managed_keys",
    "proxy.access.records",
    "proxy.access.user_agents",
    "proxy.config_file.rules",
    "proxy.server.framing",
    "proxy.server.registry",
    "proxy.standstill",
    "proxy.pooled",
    "proxy.config_file.pools",
    "proxy.upstreams.account",
    "proxy.upstreams.affinity",
    "proxy.upstreams.budget",
    "proxy.upstreams.counts",
    "proxy.upstreams.detours",
    "proxy.upstreams.dialects",
    "proxy.upstreams.failing",
    "proxy.upstreams.health",
    "proxy.upstreams.pools",
    "proxy.upstreams.proxies",
    "proxy.upstreams.report",
    "proxy.upstreams.retry_after",
    "proxy.upstreams.standing",
    "proxy.upstreams.verdict",
    "proxy.bounds",
    "proxy.config_file.changes",
    "proxy.config_file.doubts",
    "proxy.config_file.faults",
    "proxy.config_file.lines",
    "proxy.version",
    "proxy.config_file.quotas",
    "proxy.config_file.tenancy",
    "proxy.ledger.cache_breaks",
    "proxy.ledger.row",
    "proxy.limits",
    "proxy.limits.batch",
    "proxy.limits.bucket",
    "proxy.limits.local",
    "proxy.limits.periods",
    "proxy.limits.policy",
    "proxy.limits.rules",
    "proxy.limits.server_clock",
    "proxy.limits.taking",
    "proxy.limits.verdict",
    "proxy.limits.wording",
    "proxy.telemetry.floods",
    "proxy.telemetry.series",
    "proxy.telemetry.tally",
    "proxy.admin.alerts",
    "proxy.admin.cooling",
    "proxy.config_file.telling",
)
# What waits, listens, connects, writes or starts something.
IO_LIBRARIES = {
    *("aiohttp", "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "requests"),
    *(
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "urllib",
        "uvloop",
    ),
}
# Rows for people, who ask for them or look at a terminal; what programs read is ASCII.
SHOWS_MORE = {"proxy.commands.statusline", "proxy.telemetry.rows"}
# Reads the package's own schema files, once a process: data that belongs to the code.
READS_OWN_FILES = {"proxy.schema_files"}


def _module(path: Path) -> str:
    parts = ("proxy", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _imports(name: str) -> set[str]:
    """Give the dotted names a module imports, anywhere in it; ours as modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in FILES else node.module)
    return found


PURE = (
    *PURE_MODULES,
    *(name for name in FILES if name.split(".")[1:2] and name.split(".")[1] in PURE_FOLDERS),
)

GRAPH = {name: _imports(name) & set(FILES) for name in FILES}


def _reached(name: str) -> set[str]:
    reached: set[str] = set()
    waiting = {name}
    while waiting:
        reached |= (here := {waiting.pop()})
        waiting |= set[str]().union(*(GRAPH[each] for each in here)) - reached
    return reached


def test_no_module_imports_itself_on_any_way() -> None:
    order = list(graphlib.TopologicalSorter(GRAPH).static_order())
    assert set(order) == set(FILES)


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reaches_no_io(name: str) -> None:
    reached = _reached(name)
    assert reached <= set(PURE) | READS_OWN_FILES
    for module in reached - READS_OWN_FILES:
        libraries = {imported.split(".")[0] for imported in _imports(module)}
        assert not libraries & IO_LIBRARIES, module


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_awaits_opens_and_prints_nothing(name: str) -> None:
    tree = ast.parse(FILES[name].read_text("utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input", "exec", "eval")


# Folders and single modules, from the ground up: each imports its own folder's and what stands below it.
LAYERS = (
    {
        "aiohttp_fast",
        "causes",
        "client_variables",
        "ledger.row",
        "pooled",
        "progress",
        "received",
        "schema_files",
        "standstill",
        "trailers",
        "version",
    },
    {"config", "errors", "notices"},
    {"bounds", "protocol"},
    {"access", "body_memory", "ledger.first_file", "limits", "routing"},
    {"money", "store"},
    {"config_file", "exchange", "ledger"},
    {"deadlines", "telemetry", "tenancy", "turns"},
    {"upstreams"},
    {"relay", "snapshot"},
    {"gateway"},
    {"api"},
    {"app"},
    {"server"},
    {"admin"},
    {"sandbox"},
    {"demo"},
    {"commands"},
    {"__main__"},
)
HEIGHT = {folder: height for height, layer in enumerate(LAYERS) for folder in layer}


def _place(name: str) -> str:
    """Return the folder that a module counts as part of, or its own name, where it stands apart from its folder."""
    apart = name.removeprefix("proxy.")
    return apart if apart in HEIGHT else apart.split(".")[0]


@pytest.mark.parametrize("name", [name for name in FILES if name != "proxy"])
def test_imports_point_downwards(name: str) -> None:
    folder = _place(name)
    for imported in GRAPH[name] - {"proxy"}:
        other = _place(imported)
        assert other == folder or HEIGHT[other] < HEIGHT[folder], imported


def _texts(tree: ast.Module) -> list[str]:
    """Return the strings of a module that are no docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings
    ]


@pytest.mark.parametrize("name", FILES)
def test_no_pattern_has_a_possessive_group(name: str) -> None:
    """CPython before 3.11.5, so Debian 12's, matches a possessive group wrongly when a part of it fails halfway."""
    text = FILES[name].read_text("utf-8")
    assert not [mark for mark in (")*+", ")++", ")?+", "(?>") if mark in text]


@pytest.mark.parametrize("name", FILES)
def test_what_clients_and_operators_are_told_is_ascii(name: str) -> None:
    """Clients that print bytes show anything else as mojibake."""
    for text in _texts(ast.parse(FILES[name].read_text("utf-8"))):
        assert text.isascii() or name in SHOWS_MORE, text


def test_the_sandbox_shares_nothing_with_the_gateway_it_tests() -> None:
    for name, imported in GRAPH.items():
        if name.startswith("proxy.sandbox"):
            assert {each for each in imported if not each.startswith("proxy.sandbox")} <= {"proxy"}


@pytest.mark.parametrize("name", FILES)
def test_a_module_says_what_it_is_for_and_stays_short(name: str) -> None:
    text = FILES[name].read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 250


def test_no_two_test_files_have_one_name() -> None:
    names = [path.name for path in (PACKAGE.parent / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest cannot collect both"
