"""`make install` leaves what runs, and what is not its own, as they are; pip and Python are stand-ins here."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT

# Makes an environment whose programs do nothing, and whose `anyrouter` says where it is.
PYTHON = """\
#!/bin/sh
[ "$1 $2" = "-m venv" ] || exit 0
mkdir -p "$3/bin"
touch "$3/pyvenv.cfg"
printf '#!/bin/sh\\n' | tee "$3/bin/python" >"$3/bin/pip"
printf '#!/bin/sh\\necho "$0"\\n' >"$3/bin/anyrouter"
chmod +x "$3"/bin/*
"""


class Installing:
    """Types `make install`, each time a second later."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "prefix"
        self.link = self.prefix / "bin" / "anyrouter"
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._seconds = 0
        self._program("python3", PYTHON)

    def _program(self, name: str, text: str) -> None:
        (self._programs / name).write_text(text, "utf-8")
        (self._programs / name).chmod(0o755)

    def __call__(self) -> subprocess.CompletedProcess[str]:
        self._seconds += 1
        self._program("date", f"#!/bin/sh\necho 20261126T00000{self._seconds}Z\n")
        return subprocess.run(
            ["make", "install", f"PREFIX={self.prefix}"],
            cwd=ROOT,
            env={"PATH": f"{self._programs}:{os.defpath}", "HOME": str(self.prefix)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def installed(self) -> list[str]:
        """List the environments."""
        return sorted(each.name for each in (self.prefix / "share" / "anyrouter").iterdir())


@pytest.fixture
def install(tmp_path: Path) -> Installing:
    return Installing(tmp_path)


def test_an_upgrade_leaves_the_files_of_what_runs_and_takes_older_ones_away(
    install: Installing,
) -> None:
    for expected in (["1"], ["1", "2"], ["2", "3"]):
        done = install()
        assert done.returncode == 0, done.stderr
        assert install.installed() == [f"20261126T00000{each}Z" for each in expected]
        assert install.link.resolve().parents[1].name == install.installed()[-1]
        assert f"is now {install.link}" in done.stdout
    assert [each.name for each in install.link.parent.iterdir()] == ["anyrouter"]


def test_an_environment_that_an_earlier_make_install_has_left_goes_with_the_second_upgrade(
    install: Installing,
) -> None:
    share = install.prefix / "share" / "anyrouter"
    (share / "bin").mkdir(parents=True)
    (share / "lib").mkdir()
    (share / "pyvenv.cfg").touch()
    (share / "bin" / "anyrouter").touch()
    install.link.parent.mkdir(parents=True)
    install.link.symlink_to(share / "bin" / "anyrouter")
    assert install().returncode == 0
    assert install.installed() == ["20261126T000001Z", "bin", "lib", "pyvenv.cfg"]
    assert install().returncode == 0
    assert install.installed() == ["20261126T000001Z", "20261126T000002Z"]


@pytest.mark.parametrize("kind", ["a link", "a link that leads nowhere", "a file"])
def test_what_is_not_of_make_install_stays(install: Installing, kind: str) -> None:
    install.link.parent.mkdir(parents=True)
    if kind == "a file":
        install.link.write_text("mine", "utf-8")
    else:
        install.link.symlink_to("/bin/true" if kind == "a link" else "/nowhere")
    before = install.link.lstat()
    done = install()
    assert done.returncode != 0
    assert "is not of make install: take it away" in done.stderr
    assert install.link.lstat() == before
    assert not (install.prefix / "share").exists()
