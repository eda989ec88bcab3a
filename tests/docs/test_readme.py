"""What the README shows is run. SDK snippets and Claude Code: tests/clients; `make` and compose: .ci/run."""

import asyncio
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp

from proxy.commands.opened_store import HOW_TO_HAVE_ONE
from proxy.config import Store
from proxy.config_file.load import parse_config
from proxy.sandbox import Knobs, serve_sandbox
from tests.docs.snippets import ROOT, snippets
from tests.support.commands import ran, started, write_config
from tests.support.gateways import KEY, Running, config_for, running

ENVIRON = {"ANTHROPIC_API_KEY": "sk-made-up", "ANYROUTER_KEY": KEY}
README_URL = "http://127.0.0.1:8080"


async def paste(command: str, gateway: Running, *, path: str) -> str:
    """Run a snippet in a shell as a reader would, but for the port."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-euc",
        command.replace(README_URL, f"http://127.0.0.1:{gateway.port}"),
        env={"PATH": path, "ANYROUTER_KEY": KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_curl_works_when_pasted() -> None:
    (command,) = [each for each in snippets("README.md", "sh") if each.startswith("curl")]
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        async with running(config_for(url)) as gateway:
            assert "You said: say hi" in await paste(command, gateway, path="/usr/bin:/bin")
    finally:
        await sandbox.cleanup()


def test_the_small_configuration_is_complete() -> None:
    text, *_ = snippets("README.md", "yaml")
    config = parse_config(text, ENVIRON)
    assert config.upstreams[0].auth.key == "sk-made-up"


def test_the_pool_of_two_accounts_is_complete() -> None:
    _, text, _ = snippets("README.md", "yaml")
    config = parse_config(text, {"FIRST_API_KEY": "sk-1", "SECOND_API_KEY": "sk-2"})
    assert [member.weight for member in config.pools[0].members] == [2, 1]


async def test_the_demo_of_two_accounts_says_who_answered() -> None:
    (commands,) = snippets("README.md", "bash")
    async with started("demo", "--pool", "--port", "0") as demo:
        await demo.says(b"left alone for a minute")
        guide = demo.out.decode()
        (key,) = re.findall(r"Your key, for this run: +(\S+)", guide)
        (url,) = re.findall(r"curl -s (\S+)/api/v1/messages", guide)
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-euc",
            commands.replace(README_URL, url),
            env={"PATH": "/usr/bin:/bin", "ANYROUTER_KEY": key},
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
            await demo.says(b" via second")
        lines = [line for line in demo.out.decode().splitlines() if " POST messages " in line]
    assert output.decode().count("You said: say hi") == 4
    costs, ways = zip(
        *(re.findall(r" tok (<?\$\S+)( via \S+)?", line)[0] for line in lines), strict=True
    )
    assert ways == ("", " via first:529>second", " via first:429>second", " via second")
    assert len(set(costs)) == 1
    assert "upstream first cools 60 s" in demo.text


def test_the_line_of_the_store_goes_where_init_has_it_and_is_the_one_that_is_advised() -> None:
    *_, line = snippets("README.md", "yaml")
    shipped = (ROOT / "config.yaml").read_text("utf-8")
    (before,) = re.findall(r"^store: null.*\n", shipped, re.MULTILINE)
    config = parse_config(shipped.replace(before, line), ENVIRON, Path("/etc/anyrouter"))
    assert config.store == Store("sqlite:////etc/anyrouter/var/anyrouter.db", "/etc/anyrouter/var")
    assert f"# {line.strip()}" in shipped
    assert line.strip() in HOW_TO_HAVE_ONE


def test_the_line_of_the_admin_api_goes_where_init_has_it() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (line,) = re.findall(r"`(admin: \{.*\})`", readme)
    shipped = (ROOT / "config.yaml").read_text("utf-8")
    text = re.sub(r"^admin: null.*$", line, shipped, flags=re.MULTILINE)
    credential = f"ara-{os.urandom(32).hex()}"
    config = parse_config(text, ENVIRON | {"ANYROUTER_ADMIN_KEY": credential})
    assert config.admin is not None
    assert [(key.name, key.role) for key in config.admin.keys] == [("ops", "write")]
    assert f":{config.admin.port}/admin/v1/usage" in readme


async def test_a_budget_stops_its_key_is_seen_in_the_table_and_raised(tmp_path: Path) -> None:
    sandbox = await serve_sandbox("127.0.0.1", 0, Knobs())
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    try:
        url = f"http://127.0.0.1:{sandbox.addresses[0][1]}"
        *_, store = snippets("README.md", "yaml")
        config = write_config(tmp_path, url, store)
        async with started("serve", "--config", config) as gateway:
            port = (await gateway.says(b"listening on http://127.0.0.1:")).strip()
            script = "\n".join(snippets("README.md", "shell"))
            process = await asyncio.create_subprocess_exec(
                "sh",
                "-euc",
                script.replace(README_URL, f"http://127.0.0.1:{port}"),
                cwd=tmp_path,
                env={"PATH": path, "PYTHONPATH": str(ROOT)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                output, errors = await process.communicate()
    finally:
        await sandbox.cleanup()
    said = output.decode()
    assert process.returncode == 0, errors.decode()
    assert said.count("You said: say hi") == 2, said
    assert said.count('"billing_error"') == 1, said
    assert re.search(r"^trial-\d+ +2 ", said, re.MULTILINE), said


async def test_the_plugin_snippet_serves_when_it_is_run(tmp_path: Path) -> None:
    (code,) = [each for each in snippets("README.md", "python") if "proxy.setup" in each]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert "8080" in code
    script = tmp_path / "yours.py"
    script.write_text(code.replace("8080", str(port)), "utf-8")
    status, key, _ = await ran("init", cwd=tmp_path)
    assert status == 0
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        cwd=tmp_path,
        env={**os.environ, **ENVIRON, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                try:
                    url = f"http://127.0.0.1:{port}/api/hello"
                    headers = {"x-api-key": key.strip()}
                    async with session.get(url, headers=headers) as response:
                        assert (await response.json())["key"] == "laptop"
                        break
                except aiohttp.ClientConnectionError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)  # until it listens
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            _, said = await process.communicate()
        assert b"Traceback" not in said
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_every_command_of_the_table_exists() -> None:
    rows = re.findall(
        r"^\| `anyrouter ([a-z]+)(?: new)?.*` \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 20
    for command in rows:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", command, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_every_make_target_shown_exists() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z][a-z-]+)", text))
    assert {"run", "test", "bench", "test-clients"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_tables_are_those_of_the_schemas() -> None:
    reference = runpy.run_path(str(ROOT / "docs" / "reference.py"))
    for page in reference["PAGES"]:
        text = Path(page).read_text("utf-8")
        assert reference["filled"](text) == text, f"{page}: run `python docs/reference.py`"


def test_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    assert {"README.md", "CONTRIBUTING.md", "operations.md"} <= {page.name for page in pages}
    for page in pages:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
