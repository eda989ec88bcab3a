"""The Python SDK's own tests, those that send requests to a base URL, from the archive of its sources.

They are not in its wheel. They name made-up ids and a made-up key; ours take their place. Which others there are:
resources that this gateway does not serve, and tests of the SDK that answer themselves.
"""

import re
import tarfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.clients import installs, programs, scripts
from tests.clients.installs import NotInstalledError
from tests.clients.report import Report
from tests.clients.stack import Stack
from tests.clients.table import PYTHON, Client

_SUITE_S = 120.0
_NEEDS = "pytest pytest-asyncio respx dirty-equals inline-snapshot http-snapshot[httpx] importlib-metadata"
_KEY = "my-anthropic-api-key"
_IDS = re.compile(r'\b(model_id|after_id|before_id)="\1"')
_MODEL = "anthropic/claude-haiku-4.5"
_FILES = {
    "messages": ("api_resources/test_messages.py", "api_resources/beta/test_messages.py"),
    "models": ("api_resources/test_models.py", "api_resources/beta/test_models.py"),
}


def install(place: Path) -> None:
    """Install the SDK, the archive of its sources beside it, and what its tests need, in its lock's versions."""
    installs.python(PYTHON, "[aiohttp]")(place)
    wanted = f"{PYTHON.package}=={PYTHON.version}"
    archives = place / "sources"
    from_source = ("--no-deps", "--no-binary", PYTHON.package, "--dest", archives)
    installs.pip(place, "download", *from_source, wanted)
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(archives, filter="data")
    locked = re.findall(
        r"^[\w-]+==\S+", (_sources(place) / "requirements-dev.lock").read_text(), re.MULTILINE
    )
    constraints = place / "constraints.txt"
    constraints.write_text("\n".join(locked))
    installs.pip(place, "install", "--constraint", constraints, wanted, *_NEEDS.split())
    for name in _FILES["models"]:
        _replace(_sources(place) / "tests" / name, _IDS, rf'\1="{_MODEL}"')


def run(client: Client, place: Path, stack: Stack, report: Report) -> None:
    """Run them, and make a check of each part."""
    sources, results = _sources(place), place / "results.xml"
    _replace(sources / "tests/conftest.py", re.compile(re.escape(_KEY)), stack.key)
    files = [f"tests/{name}" for names in _FILES.values() for name in names]
    # Its own options start several processes.
    options = ("-q", "-o", "addopts=-p tests._alias_httpx", f"--junitxml={results}")
    ended = programs.run(
        [place / "bin/python", "-m", "pytest", *options, *files],
        timeout_s=_SUITE_S,
        env={**scripts.clean(place / "home"), "TEST_API_BASE_URL": stack.url},
        cwd=sources,
    )
    passed: Counter[str] = Counter()
    failed: dict[str, list[str]] = {part: [] for part in _FILES}
    if results.exists():
        for case in ET.parse(results).iter("testcase"):
            part = "models" if ".test_models." in case.attrib["classname"] else "messages"
            wrong = any(
                case.find(verdict) is not None for verdict in ("failure", "error", "skipped")
            )
            if wrong:
                failed[part].append(case.attrib["name"])
            else:
                passed[part] += 1
    for part, names in failed.items():
        why = "" if passed[part] else f"none passed: {ended.why()}"
        if names:
            why = f"{len(names)} failed: {', '.join(names)}"
        everything = passed[part] + len(names)
        report.check(client.title, f"its own tests of {part}, all {everything}", why)


def _sources(place: Path) -> Path:
    return place / "sources" / f"{PYTHON.package}-{PYTHON.version}"


def _replace(file: Path, old: re.Pattern[str], new: str) -> None:
    text, times = old.subn(new, file.read_text("utf-8"))
    if not times:
        raise NotInstalledError(f"{file.name} of the SDK's own tests holds no {old.pattern}")
    file.write_text(text, "utf-8")
