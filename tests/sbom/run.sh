#!/usr/bin/env bash
# Makes the SBOM, and holds it against the lock: every package that runs, none besides, each with version and licence.
#   tests/sbom/run.sh
# Needs what `make run` needs. Whether it is CycloneDX, the tool has checked by the format's schema.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/checks.sh
work=$(mktemp -d)
trap 'status=$?; rm -rf "$work"; tally "$status"' EXIT

made() { rm -f dist/sbom.json && make --silent sbom && [ -s dist/sbom.json ]; }

same_again() { cp dist/sbom.json "$work" && made && cmp dist/sbom.json "$work/sbom.json"; }

# asserts CODE: Python that finds `bom`, and `locked`: name and version of each package of the lock that this Python gets.
asserts() {
  .venv/bin/python - "$1" <<'PY'
import json, pathlib, re, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

bom = json.loads(pathlib.Path("dist/sbom.json").read_text("utf-8"))
lines = re.findall(r"^[a-z][^\\\n]*", pathlib.Path("requirements/image.txt").read_text("utf-8"), re.MULTILINE)
wanted = [each for each in map(Requirement, lines) if each.marker is None or each.marker.evaluate()]
locked = sorted((canonicalize_name(each.name), str(each.specifier).removeprefix("==")) for each in wanted)
exec(sys.argv[1])
PY
}

must "make sbom" made
make --silent .venv/.run   # packaging comes with the build tools
check "it names what is locked, with version, no more" asserts '
named = sorted((canonicalize_name(each["name"]), each["version"]) for each in bom["components"])
assert named == locked and len(named) > 10, (named, locked)'
check "each has a package URL and a licence" asserts '
assert not [each["name"] for each in bom["components"] if not (each.get("purl") and each.get("licenses"))]'
check "it describes the gateway, in its version, and what that needs" asserts '
import tomllib, proxy
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text("utf-8"))["project"]
root = bom["metadata"]["component"]
assert (root["name"], root["version"]) == (project["name"], proxy.__version__), root
(needs,) = [each["dependsOn"] for each in bom["dependencies"] if each["ref"] == root["bom-ref"]]
extras = project["optional-dependencies"]
assert len(needs) == len(project["dependencies"] + extras["postgres"] + extras["redis"] + extras["view"] + extras["otel"]), needs'
check "it is the same when it is made again" same_again
