"""Renew what is vendored for the pages: `make vendor`. The integrity in vendor.json is npm's own; it must match."""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

STATIC = Path(__file__).parents[1] / "proxy" / "admin" / "page" / "static"


def main() -> str | None:
    """Fetch the package of vendor.json, check it, and copy its files; return what is wrong with it."""
    wanted = json.loads((STATIC / "vendor.json").read_text("utf-8"))
    package = f"{wanted['package']}@{wanted['version']}"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True)  # noqa: S603, S607 -- npm of the developer
        (archive,) = Path(folder).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != wanted["integrity"]:
            return f"{package} is not what vendor.json says: sha512-{digest}"
        with tarfile.open(archive) as tar:
            for inside, name in wanted["files"].items():
                content = tar.extractfile(f"package/{inside}")
                if content is not None:
                    (STATIC / name).write_bytes(content.read())
    return None


if __name__ == "__main__":
    sys.exit(main())
