"""What the README tells a newcomer to type works, word for word, against a running stack."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

from penguinmails_api.cli.app import app
from tests.e2e.program import Program, clean_environment, new_folder
from tests.e2e.wire import call, eventually

pytestmark = pytest.mark.xdist_group("e2e")

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHELL = dict(re.findall(r"<!-- example: (\w+) -->\n```sh\n(.*?)```", README, re.DOTALL))
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Running:
    """`penguinmails run`, and what it said."""

    folder: Path
    api: str
    inbox: str
    key: str


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    folder = new_folder()
    arguments = ("run", "--data-dir", "data", "--port", "0", "--inbox-port", "0")
    with Program(*arguments, folder=folder) as program:
        said = {}
        while "Inbox" not in said:
            name, value = re.split(r"  +", program.line())[:2]
            said[name] = value
        yield Running(folder, said["API"], said["Inbox"], said["API key"])
    shutil.rmtree(folder)


def _shell(script: str, running: Running) -> str:
    """Run an example with the places that a reader fills in filled in; what it prints."""
    script = script.replace("pm_live_...", running.key).replace("http://127.0.0.1:8025", running.api)
    environment = clean_environment(running.folder, {"PENGUINMAILS_API_KEY": running.key})
    command = ["sh", "-euc", script]
    done = subprocess.run(command, cwd=running.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _mail(running: Running, subject: str) -> list[dict[str, object]]:
    url = f"{running.inbox}/api/messages?subject={subject.replace(' ', '%20')}"
    found: list[dict[str, object]] = call("GET", url).json()["data"]
    return found


def test_the_first_curl(running: Running) -> None:
    """Twice: the same answer, of the shape that is shown, and one mail."""
    first, second = (_shell(SHELL["send"], running) for _ in range(2))
    assert first == second
    shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    answer = json.loads(first)
    assert list(answer) == list(shown)
    assert {name: answer[name] for name in ("status", "class", "scheduled_at")} == {
        name: shown[name] for name in ("status", "class", "scheduled_at")
    }
    eventually(lambda: _mail(running, "Welcome aboard"), "the mail")
    script = SHELL["get"].replace("msg_...", answer["id"])
    eventually(lambda: json.loads(_shell(script, running))["status"] == "delivered", "delivered")
    mail = _mail(running, "Welcome aboard")
    assert [(item["from"], item["dkim"]) for item in mail] == [
        (json.loads(SHELL["send"].partition("-d '")[2].partition("'")[0])["from"], mail[0]["dkim"])
    ]
    assert "'verdict': 'pass'" in str(mail[0]["dkim"])


def test_from_python(running: Running) -> None:
    environment = {"PENGUINMAILS_API_KEY": running.key, "PENGUINMAILS_BASE_URL": running.api}
    assert len(PYTHON) == 1
    sample = PYTHON[0].replace("https://example.com/", "https://example.invalid/")  # never a stranger's server
    before = len(_mail(running, "Welcome aboard"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", sample],
        cwd=running.folder,
        env=clean_environment(running.folder, environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"msg_\w{26} queued\nwhsec_\S+\n", done.stdout)
    eventually(lambda: len(_mail(running, "Welcome aboard")) == before + 1, "the mail")


def test_commands_exist() -> None:
    """Every `make` target and every command that the documents name."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    help_text = subprocess.run(
        [sys.executable, "-P", "-m", "penguinmails_api.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"^[│ ]+([a-z-]+)  ", help_text, re.MULTILINE))
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        text = page.read_text()
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets, page.name
        assert set(re.findall(r"(?:^|`)penguinmails ([a-z][a-z-]*)", text, re.MULTILINE)) <= commands, page.name


def test_the_readme_names_every_command() -> None:
    table = [row for row in README.partition("\n## Commands\n")[2].partition("\n## ")[0].splitlines() if "|" in row]
    told: set[str] = set()
    for code in re.findall("`(.+?)`", "\n".join(table).replace("\\|", "/")):
        group, _, subcommands = code.partition(" --")[0].partition(" ")
        told |= {f"{group} {name}".strip() for name in subcommands.split("/")}
    known: set[str] = set()
    for name, command in _subcommands(get_command(app)).items():
        known |= {f"{name} {each}" for each in _subcommands(command)} or {name}
    assert told == known


def _subcommands(command: object) -> dict[str, object]:
    return dict(getattr(command, "commands", {}))


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
