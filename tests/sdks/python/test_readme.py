"""Every sample of the README runs, and is typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penguinmails_webhooks import signing
from tests.sdks.scripted_server import Reply, ScriptedServer

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "sdks" / "python" / "README.md").read_text()
SAMPLES: dict[str, str] = dict(
    re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)
)
SCENARIOS = ROOT / "sdks" / "conformance" / "scenarios"


def _reply(scenario: str, number: int = 0) -> Reply:
    return Reply(**json.loads((SCENARIOS / f"{scenario}.json").read_text())["exchanges"][number]["reply"])


REPLIES: dict[str, list[Reply]] = {
    "Send": [_reply("send_minimal")],
    "Send files, later, many at once": [_reply("send_minimal"), _reply("batch_partial")],
    "Look": [_reply("list_two_pages", 1), _reply("list_two_pages"), _reply("events_unknown_type_is_kept")],
    "Asynchronous": [_reply("send_minimal"), _reply("list_two_pages", 1)],
    "Errors": [_reply("error_422_names_fields")],
    "Webhooks": [],
    "Options": [_reply("me")] * 3,
}
SAYS = {
    "Send": "msg_01kaz6yzwhe1xrqm3c8s4q3m8r queued",
    "Send files, later, many at once": "0 msg_01kaz6yzwhe1xrqm3c8s4q3m8r\n1 {",
    "Look": "email.teleported {'planet': 'Mars'}",
    "Asynchronous": "msg_3",
    "Errors": "/to/0 invalid_address `ada` has no @.",
    "Webhooks": "",
    "Options": "Acme\n200 req_2 application/json test\nMain\n",
}


def _run(code: str, url: str) -> subprocess.CompletedProcess[str]:
    environment = {"PENGUINMAILS_API_KEY": "pm_test_readme", "PENGUINMAILS_BASE_URL": url}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_all_samples_are_known() -> None:
    assert set(SAMPLES) == set(REPLIES)
    assert TEXT.count("```python") == len(SAMPLES)


@pytest.mark.parametrize("heading", REPLIES)
def test_sample_runs(heading: str) -> None:
    with ScriptedServer(REPLIES[heading]) as server:
        done = _run(SAMPLES[heading], server.url)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert SAYS[heading] in done.stdout
    assert len(server.requests) == len(REPLIES[heading])


def test_webhook_sample_tells_right_from_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = {}
    exec(SAMPLES["Webhooks"], found)
    secret = re.findall(r'secret="(whsec_[^"]+)"', SAMPLES["Webhooks"])[0]
    data = {"recipient": {"address": "ada@example.com"}}
    event = {"type": "email.bounced", "timestamp": "2026-11-24T12:00:00Z", "data": data}
    body = json.dumps(event).encode()
    headers = signing.signed_headers([secret], "evt_1", int(time.time()), body)
    assert found["receive"](body, headers) == 204
    assert found["receive"](body + b" ", headers) == 400
    assert capsys.readouterr().out == "evt_1 ada@example.com\nrefused: signature_mismatch\n"


WRONG = """
from penguinmails import AsyncPenguinMails, PenguinMails
from penguinmails.types import EmailAccepted, EmailStatus

client = PenguinMails("pm_test_x")
reveal: EmailAccepted = client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi", class_="campaign")
client.emails.send(from_="a@b.c", subject="Hi")  # error: to is missing
client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi", clas="x")  # error: no such argument
client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi", class_="urgent")  # error: no such class
client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi", attachments=[{"filename": "x"}])  # error: no content
client.emails.get("msg_1", idempotency_key="x")  # error: a GET has none
client.emails.batch(emails=[{"from": "a", "subject": "b"}])  # error: no to
client.emails.batch(emails=[]).accepted  # error: only partial answers have it
client.emails.get("msg_1").colour  # error: no such field
for email in client.emails.list():
    status: EmailStatus = email.status
    number: int = email.id  # error: a text
count: int = client.emails.batch(emails=[], partial=True).accepted
code: int = client.emails.with_raw_response.get("msg_1").status_code
raw_id: str = client.with_raw_response.emails.get("msg_1").parse().id
client.emails.with_raw_response.get(1)  # error: an id is a text


async def main(client: AsyncPenguinMails) -> None:
    client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi").id  # error: not awaited
    sent: EmailAccepted = await client.emails.send(from_="a@b.c", to="d@e.f", subject="Hi")
    async for email in client.emails.list():
        name: str = email.id
    page = await client.emails.list()
    more: bool = page.has_more
    event_type: list[str] = [event.type async for event in client.events.list()]
"""


def test_types_help(tmp_path: Path) -> None:
    """The samples type-check, and each wrong line is found."""
    for number, sample in enumerate(SAMPLES.values()):
        (tmp_path / f"sample_{number}.py").write_text(sample)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = {number for number, line in enumerate(WRONG.splitlines(), 1) if "# error" in line}
    found = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error", done.stdout, re.M)}
    assert found == expected, done.stdout
    assert "sample_" not in done.stdout, done.stdout
