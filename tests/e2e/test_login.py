"""`login` and `logout` as processes: the device flow against a server that runs, and commands without any key."""

from __future__ import annotations

import json
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Sandbox
from tests.e2e.program import Program, new_folder, run

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = new_folder()
    yield folder
    shutil.rmtree(folder)


def answer(sandbox: Sandbox, url: str, decision: str) -> None:
    """The person in the browser: compare the code, press the button."""
    name, _, value = sandbox.info["oauth"]["cookie"].partition("=")
    with httpx.Client(base_url=sandbox.info["base_url"], cookies={name: value}) as browser:
        page = browser.get(url)
        token = re.findall(r'name="form_token" value="([0-9a-f]+)"', page.text)[-1]
        code = re.search(r'name="user_code"[^>]* value="([^"]+)"', page.text)
        assert code is not None, page.text
        fields = {"form_token": token, "user_code": code[1]}
        asked = browser.post("/device", data=fields, headers={"Origin": sandbox.info["base_url"]})
        interaction = re.search(r'name="interaction" value="([^"]+)"', asked.text)
        assert interaction is not None, asked.text
        done = browser.post("/oauth2/consent", data={"interaction": interaction[1], "decision": decision})
        assert done.status_code == 303, done.text


def test_signing_in_makes_keys_unnecessary(sandbox: Sandbox, folder: Path) -> None:
    here = {"XDG_CONFIG_HOME": str(folder / "config"), "PENGUINMAILS_BASE_URL": sandbox.info["base_url"]}
    before = run("emails", "list", folder=folder, env=here)
    assert before.returncode == 2
    assert "penguinmails login" in before.stderr
    with Program("login", folder=folder, env=here) as program:
        url = program.line().split()[-1]
        assert program.line().split()[-1] in url
        answer(sandbox, url, "allow")
        assert program.line().startswith(f"Signed in to {sandbox.info['base_url']}: ")
    kept = folder / "config" / "penguinmails" / "logins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert run("emails", "list", "--json", folder=folder, env=here).returncode == 0
    logins = json.loads(kept.read_text())
    old = logins[sandbox.info["base_url"]]["refresh_token"]
    logins[sandbox.info["base_url"]]["expires_at"] = 0
    kept.write_text(json.dumps(logins))
    assert run("events", "tail", "--no-follow", folder=folder, env=here).returncode == 0, "it renews the token"
    assert json.loads(kept.read_text())[sandbox.info["base_url"]]["refresh_token"] != old
    out = run("logout", folder=folder, env=here)
    assert (out.returncode, out.stdout) == (0, f"Signed out of {sandbox.info['base_url']}\n")
    assert run("emails", "list", folder=folder, env=here).returncode == 2
    assert run("logout", folder=folder, env=here).returncode == 1


def test_a_no_ends_it(sandbox: Sandbox, folder: Path) -> None:
    here = {"XDG_CONFIG_HOME": str(folder / "config")}
    with Program("login", "--server", sandbox.info["base_url"], folder=folder, env=here) as program:
        answer(sandbox, program.line().split()[-1], "deny")
        program.line()
        assert program.process.wait(30) == 2
    assert not (folder / "config" / "penguinmails" / "logins.json").exists()


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "ftp://example.com", "nonsense"])
def test_what_is_no_server_is_told_in_one_line(folder: Path, server: str) -> None:
    done = run("login", "--server", server, folder=folder, env={"XDG_CONFIG_HOME": str(folder / "config")})
    assert done.returncode == 2
    assert done.stderr.startswith("penguinmails: ")
    assert len(done.stderr.splitlines()) == 1
