"""Every command, as a process: what it prints where, its exit code, and never a stack trace."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import smtplib
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.e2e.conftest import Sandbox
from tests.e2e.program import Program, alive, descendants, new_folder, run
from tests.e2e.wire import call, eventually
from tests.sender.bounces import mails
from tests.sender.intake.world import dsn

pytestmark = pytest.mark.xdist_group("e2e")

COMMANDS = [
    "",
    "run",
    "serve",
    "worker",
    "demo",
    "sandbox",
    "login",
    "logout",
    "migrate",
    "doctor",
    "secret-key",
    "audit",
    "audit verify",
    "bounces",
    "bounces classify",
    "bounces intake",
    "bounces refused",
    "postfix render",
    "keys",
    "keys create",
    "keys list",
    "keys rotate",
    "keys revoke",
    "users",
    "users create",
    "plans",
    "plans list",
    "plans set",
    "plans override",
    "emails",
    "emails send",
    "emails get",
    "emails list",
    "events",
    "events tail",
    "webhooks",
    "webhooks sign",
    "webhooks verify",
    "listen",
    "trigger",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = new_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(sandbox: Sandbox) -> dict[str, str]:
    """The environment of somebody who brings own servers: the sandbox's."""
    keys = json.loads(next(sandbox.program.folder.glob("*/run/stack.json")).read_text())["secret_keys"]
    return {
        "DATABASE_URL": sandbox.info["database_url"],
        "REDIS_URL": sandbox.info["redis_url"],
        "PENGUINMAILS_SECRET_KEYS": keys,
    }


@pytest.fixture
def caller(sandbox: Sandbox) -> dict[str, str]:
    """The environment of somebody who calls the API."""
    return {"PENGUINMAILS_API_KEY": sandbox.first["api_key"], "PENGUINMAILS_BASE_URL": sandbox.info["base_url"]}


def refused(done: CompletedProcess[str], *words: str, code: int = 2) -> None:
    """It ended with `code` and one line that holds all the words."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("penguinmails: ")


def succeeded(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(folder: Path, command: str) -> None:
    """Needs nothing, not even settings that are right; and loads nothing heavy, so that it is quick."""
    out = succeeded(run("--log-level", "warning", *command.split(), "--help", folder=folder))
    assert f"Usage: penguinmails {command}".strip() in " ".join(out.split())
    assert list(folder.iterdir()) == []


def test_help_lists_all_commands(folder: Path) -> None:
    listed = set(re.findall(r"^[│ ]+([a-z-]+)  ", succeeded(run("--help", folder=folder)), re.MULTILINE))
    assert {command.split()[0] for command in COMMANDS if command} <= listed


def test_help_loads_nothing_heavy(folder: Path) -> None:
    done = run("--help", folder=folder, env={"PYTHONPROFILEIMPORTTIME": "1"})
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"fastapi", "sqlalchemy", "asyncpg", "alembic", "aiohttp", "uvicorn", "cryptography"}


def test_version(folder: Path) -> None:
    assert re.fullmatch(r"penguinmails \d+\.\d+\.\d+\n", succeeded(run("--version", folder=folder)))


def test_secret_key(folder: Path) -> None:
    first, second = (succeeded(run("secret-key", folder=folder)).strip() for _ in range(2))
    assert len(base64.b64decode(first)) == 32
    assert first != second


def test_misspelled_setting(folder: Path) -> None:
    done = run("doctor", folder=folder, env={"PENGUINMAILS_SENDER_TRANSPROT": "smarthost"})
    refused(done, "PENGUINMAILS_SENDER_TRANSPROT", "did you mean PENGUINMAILS_SENDER_TRANSPORT?")


def test_misspelled_setting_in_dot_env(folder: Path) -> None:
    (folder / ".env").write_text("PENGUINMAILS_API_PROT=8030\n")
    refused(run("doctor", folder=folder), "PENGUINMAILS_API_PROT", "did you mean PENGUINMAILS_API_PORT?")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PENGUINMAILS_SENDER_LEASE", "soon", ["PENGUINMAILS_SENDER_LEASE", "30s"]),
        ("PENGUINMAILS_API_PORT", "99999", ["PENGUINMAILS_API_PORT", "65535"]),
        ("PENGUINMAILS_SENDER_TRANSPORT", "pigeon", ["PENGUINMAILS_SENDER_TRANSPORT", "smarthost"]),
    ],
)
def test_bad_value(folder: Path, name: str, value: str, words: list[str]) -> None:
    refused(run("doctor", folder=folder, env={name: value}), *words)


@pytest.mark.parametrize("value", ["verbose", "7"])
def test_bad_log_level(folder: Path, value: str) -> None:
    refused(run("secret-key", folder=folder, env={"PENGUINMAILS_LOG_LEVEL": value}), "PENGUINMAILS_LOG_LEVEL", "info")
    done = run("--log-level", value, "secret-key", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "must be debug, info, warning or error" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "serve", "worker", "keys create", "users create --email a@b.test"])
def test_no_database_to_work_on(folder: Path, command: str) -> None:
    refused(run(*command.split(), folder=folder), "set DATABASE_URL")


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_no_secret_keys(folder: Path, server: dict[str, str], command: str) -> None:
    del server["PENGUINMAILS_SECRET_KEYS"]
    refused(run(command, folder=folder, env=server), "PENGUINMAILS_SECRET_KEYS", "penguinmails secret-key")


@pytest.mark.parametrize("command", ["migrate", "keys create"])
@pytest.mark.parametrize(
    "url", ["postgresql://penguin:secret@127.0.0.1:9/x", "postgresql://penguin:secret@[::1:9/x", "mysql://localhost/x"]
)
def test_database_away(folder: Path, command: str, url: str) -> None:
    done = run(*command.split(), folder=folder, env={"DATABASE_URL": url})
    refused(done, "DATABASE_URL")
    assert "secret" not in done.stderr


def test_migrate_may_be_repeated(folder: Path, server: dict[str, str]) -> None:
    assert succeeded(run("migrate", folder=folder, env=server)) == "The schema is up to date.\n"


def test_doctor_finds_nothing(folder: Path, server: dict[str, str]) -> None:
    lines = succeeded(run("doctor", folder=folder, env=server)).splitlines()
    parts = [re.fullmatch(r"ok   (\w+) +\S.*", line) for line in lines]
    assert [part[1] for part in parts if part] == ["database", "redis", "content", "queue", "transactions"]
    assert len(lines) == 5


def test_doctor_says_what_to_do(folder: Path, server: dict[str, str]) -> None:
    done = run("doctor", folder=folder, env=server | {"DATABASE_URL": "postgresql://penguin:secret@127.0.0.1:9/x"})
    assert done.returncode == 1
    assert re.match(
        r"FAIL database +the database at DATABASE_URL is away.*\n +fix: check DATABASE_URL.*\n$", done.stdout
    )
    assert "secret" not in done.stdout
    assert done.stderr == ""
    done = run("doctor", folder=folder, env=server | {"REDIS_URL": "redis://127.0.0.1:9/0"})
    assert done.returncode == 1
    assert re.search(r"^FAIL redis .*\n +fix: check REDIS_URL", done.stdout, re.MULTILINE)
    done = run("doctor", folder=folder)
    assert done.returncode == 1
    assert "set DATABASE_URL" in done.stdout


def test_users(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    """A way in on a server that sends no mail: the link shows a form."""
    organization = sandbox.info["organizations"][0]["id"]
    arguments = ("--email", "ada@example.com", "--organization", organization, "--owner")
    env = server | {"PENGUINMAILS_PUBLIC_URL": sandbox.info["base_url"]}
    link = succeeded(run("users", "create", *arguments, folder=folder, env=env)).strip()
    assert link.startswith(sandbox.info["base_url"] + "/reset-password/choose?token=")
    with urllib.request.urlopen(link) as page:
        assert "ada@example.com" in page.read().decode()
    for refused_ones, word in (
        (("--email", "ada@example.com"), "there are several"),
        (("--email", "ada", "--organization", organization), "Invalid value for --email"),
    ):
        done = run("users", "create", *refused_ones, folder=folder, env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_audit_verify(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    lines = succeeded(run("audit", "verify", folder=folder, env=server)).splitlines()
    assert len(lines) >= 2
    assert all(re.fullmatch(r"ok    org_\w{26}  \d+ entries  \d+:[0-9a-f]{64}", line) for line in lines)
    organization, noted = lines[0].split()[1], lines[0].split()[-1]
    one = ("audit", "verify", "--organization", organization)
    assert len(succeeded(run(*one, "--noted", noted, folder=folder, env=server)).splitlines()) == 1
    forged = noted[:-1] + ("0" if noted[-1] != "0" else "1")
    broken = run(*one, "--noted", forged, folder=folder, env=server)
    assert broken.returncode == 1
    assert "BREAK" in broken.stdout
    assert "rewritten" in broken.stdout
    for arguments, word in (
        (("audit", "verify", "--noted", noted), "goes with --organization"),
        ((*one, "--noted", "x"), "SEQUENCE:HASH"),
    ):
        done = run(*arguments, folder=folder, env=server)
        assert (done.returncode, done.stdout) == (2, "")
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_bounces_classify(folder: Path) -> None:
    (folder / "returned.eml").write_bytes(mails.GMAIL)
    (folder / "letter.eml").write_bytes(mails.ORDINARY)
    done = run("bounces", "classify", "returned.eml", "letter.eml", "absent.eml", folder=folder)
    assert done.returncode == 1
    assert "absent.eml: No such file or directory" in done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert second == {"file": "letter.eml", "recipients": []}
    assert first["recipients"] == [
        {
            "address": mails.ADA,
            "kind": "bounce",
            "hard": True,
            "dsn": "5.1.1",
            "reason": "mailbox_not_found",
            "scope": "recipient",
            "action": "suppress",
        }
    ]


def test_keys(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    several = run("keys", "create", folder=folder, env=server)
    assert several.returncode == 2
    assert sandbox.first["id"] in several.stderr
    assert sandbox.second["id"] in several.stderr
    limits = ["--organization", sandbox.second["id"], "--scope", "emails:read"]
    made = succeeded(run("keys", "create", *limits, folder=folder, env=server)).strip()
    assert sandbox.api("GET", "/v1/me", key=made).json()["organization"]["id"] == sandbox.second["id"]
    assert sandbox.api("POST", "/v1/emails", {}, key=made).json()["code"] == "missing_scope"


def test_plans(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    """A change by the command is felt by the server that runs."""
    organization, key = sandbox.second["id"], sandbox.second["api_key"]
    listed = succeeded(run("plans", "list", folder=folder, env=server))
    assert re.search(r"^starter +49 +60 +100 +10 +2,000 +10,000$", listed, re.M)
    assert len(json.loads(succeeded(run("plans", "list", "--json", folder=folder, env=server)))) >= 5
    succeeded(run("plans", "set", organization, "professional", folder=folder, env=server))
    usage = sandbox.api("GET", "/v1/usage", key=key).json()
    assert usage["plan"]["code"] == "professional"
    reason = ["--reason", "launch week", "--days", "7"]
    succeeded(run("plans", "override", organization, "max_emails_per_day", "77777", *reason, folder=folder, env=server))

    def told() -> bool:
        return '"sends-day";q=77777' in sandbox.api("GET", "/v1/me", key=key).headers["ratelimit-policy"]

    eventually(told, "the new limit")
    succeeded(run("plans", "override", organization, "max_emails_per_day", "plan", folder=folder, env=server))
    succeeded(run("plans", "set", organization, "self_hosted", folder=folder, env=server))
    for arguments, word in (
        (("set", organization, "gold"), "there are starter"),
        (("set", "org_x", "starter"), "26 characters"),
        (("override", organization, "max_dreams", "1", "--reason", "x"), "there is no limit max_dreams"),
        (("override", organization, "max_users", "many", "--reason", "x"), "number, none or plan"),
        (("override", organization, "max_users", "1"), "say why"),
    ):
        refused = run("plans", *arguments, folder=folder, env=server)
        assert refused.returncode == 2
        assert word in re.sub(r"[\s│]+", " ", refused.stderr)
        assert "Traceback" not in refused.stderr


def test_keys_live(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    """From a shell: made with limits, listed, rotated, revoked; the running server hears of it."""
    of = ["--organization", sandbox.second["id"]]
    limits = ["--preset", "send_email", "--allow-domain", "Acme.test", "--max-sends-per-day", "5", "--json"]
    limits += ["--mode", "test", "--expires-in-days", "1", "--name", "limited"]
    made = json.loads(succeeded(run("keys", "create", *of, *limits, folder=folder, env=server)))
    assert (made["scopes"], made["allowed_domains"], made["max_sends_per_day"]) == (["emails:write"], ["acme.test"], 5)
    message = {"from": "a@other.test", "to": "ada@example.com", "subject": "Hi", "text": "Hi"}
    refusal = sandbox.api("POST", "/v1/emails", message, key=made["secret"]).json()
    assert (refusal["code"], refusal["constraint"]) == ("constraint_violated", "allowed_domains")
    listed = json.loads(succeeded(run("keys", "list", *of, "--json", folder=folder, env=server)))
    assert made["id"] in [key["id"] for key in listed]
    assert "secret" not in listed[0]
    lines = succeeded(run("keys", "list", *of, folder=folder, env=server))
    assert f"{made['id']}  active" in lines
    new = succeeded(run("keys", "rotate", made["id"], *of, "--overlap-hours", "0", folder=folder, env=server)).strip()
    assert new.startswith("pm_test_")
    eventually(lambda: sandbox.api("GET", "/v1/me", key=made["secret"]).status == 401 or None, "the old secret ends")
    assert sandbox.api("GET", "/v1/me", key=new).status == 200
    assert "revoked" in succeeded(run("keys", "revoke", made["id"], *of, folder=folder, env=server))
    eventually(lambda: sandbox.api("GET", "/v1/me", key=new).status == 401 or None, "the key ends")
    again = run("keys", "rotate", made["id"], *of, folder=folder, env=server)
    assert (again.returncode, "revoked" in again.stderr) == (1, True)
    wrong = run("keys", "create", *of, "--allow-ip", "office", folder=folder, env=server)
    assert (wrong.returncode, "/allowed_ips/0" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--preset", "everything"], "send_email"),
        (["--preset", "send_email", "--scope", "emails:write"], "not both"),
        (["--workspace", "acme"], "ws_"),
        (["--mode", "prod"], "must be live or test"),
        (["--scope", "emails:fly"], "emails:write"),
        (["--organization", "acme"], "org_"),
        (["--organization", "org_01kaz6yzwhe1xrqm3c8s4q3m8r"], "there is no such organization"),
    ],
)
def test_keys_refuses(folder: Path, server: dict[str, str], arguments: list[str], word: str) -> None:
    done = run("keys", "create", *arguments, folder=folder, env=server)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_emails(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    (folder / "hello.html").write_text("<p>Hello!</p>")
    (folder / "notes.txt").write_text("Notes")
    arguments = [
        "--from",
        sandbox.first["from"],
        "--to",
        "ada@cli.test",
        "--cc",
        "bob@cli.test",
        "--subject",
        "From a shell",
    ]
    arguments += ["--text", "Hello!", "--html-file", "hello.html", "--attach", "notes.txt", "--tag", "cli"]
    twice = [
        json.loads(
            succeeded(run("emails", "send", *arguments, "--idempotency-key", "cli-1", folder=folder, env=caller))
        )
        for _ in range(2)
    ]
    assert twice[0]["id"] == twice[1]["id"]
    mail = sandbox.mail("ada@cli.test")
    assert (mail["subject"], mail["html"].strip()) == ("From a shell", "<p>Hello!</p>")
    assert [part["filename"] for part in mail["attachments"]] == ["notes.txt"]
    eventually(lambda: sandbox.api("GET", f"/v1/emails/{twice[0]['id']}").json()["status"] == "delivered", "delivered")
    email = json.loads(succeeded(run("emails", "get", twice[0]["id"], folder=folder, env=caller)))
    assert [found["address"] for found in email["recipients"]] == ["ada@cli.test", "bob@cli.test"]
    table = succeeded(run("emails", "list", "--status", "delivered", folder=folder, env=caller))
    assert re.search(rf"^{email['id']}  delivered .* From a shell$", table, re.MULTILINE)
    rows = json.loads(succeeded(run("emails", "list", "--json", "--limit", "1", folder=folder, env=caller)))
    assert len(rows) == 1


def test_emails_says_what_is_wrong(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    message = ["emails", "send", "--from", sandbox.first["from"], "--subject", "Hello", "--text", "Hello!"]
    for arguments, words in (
        ([*message, "--to", "ada"], ["/to/0", "@", "[request req_"]),
        (["emails", "get", "msg_01kaz6yzwhe1xrqm3c8s4q3m8r"], ["404"]),
        (["emails", "get", "nonsense"], ["msg_"]),
        (["emails", "list", "--status", "lost"], ["delivered"]),
    ):
        done = run(*arguments, folder=folder, env=caller)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in done.stderr
    done = run(*message, "--to", "ada@cli.test", "--attach", "missing.pdf", folder=folder, env=caller)
    assert done.returncode == 2
    assert "missing.pdf" in done.stderr
    away = run("emails", "list", folder=folder, env=caller | {"PENGUINMAILS_BASE_URL": "http://127.0.0.1:9"})
    refused(away, "127.0.0.1:9", code=1)
    refused(run("emails", "list", folder=folder), "set PENGUINMAILS_API_KEY", "penguinmails keys create")


def test_events_tail(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    email_id = sandbox.send("tail@cli.test")
    eventually(lambda: "email.delivered" in sandbox.event_types(email_id), "delivered")
    lines = succeeded(run("events", "tail", "--no-follow", folder=folder, env=caller)).splitlines()
    mine = [line.split() for line in lines if email_id in line]
    assert [words[1:] for words in mine] == [
        [kind, "tail@cli.test", email_id] for kind in ("email.queued", "email.sent", "email.delivered")
    ]
    events = [
        json.loads(line)
        for line in succeeded(run("events", "tail", "--no-follow", "--json", folder=folder, env=caller)).splitlines()
    ]
    ids = [event["id"] for event in events]
    assert len(set(ids)) == len(ids) == len(lines)
    after = succeeded(run("events", "tail", "--no-follow", "--json", "--after", ids[-3], folder=folder, env=caller))
    assert [json.loads(line)["id"] for line in after.splitlines()] == ids[-2:]
    with Program("events", "tail", "--after", ids[-1], folder=folder, env=caller) as program:
        sandbox.send("followed@cli.test")
        assert "followed@cli.test" in program.line()
        assert program.stop(signal.SIGINT) == 0
        assert "Traceback" not in program.errors()


def test_serve_and_worker_on_own_servers(folder: Path, sandbox: Sandbox, server: dict[str, str]) -> None:
    """The API alone on a free port; a worker that says where mail should go when nobody told it."""
    refused(run("worker", folder=folder, env=server), "PENGUINMAILS_SENDER_HOST")
    with Program("serve", "--port", "0", folder=folder, env=server) as api:
        url = api.line()
        assert call("GET", url + "/v1/me", key=sandbox.first["api_key"]).status == 200
        port = url.rpartition(":")[2]
        refused(run("serve", "--port", port, folder=folder, env=server), f"127.0.0.1:{port}", "--port")
        assert api.stop() == 0
        assert api.rest() == []
    settings = {"PENGUINMAILS_SENDER_PORT": str(sandbox.info["smtp_port"]), "PENGUINMAILS_SENDER_TLS": "off"}
    with Program("worker", folder=folder, env=server | settings) as worker:
        assert worker.line() == "ready"
        assert worker.stop() == 0
        assert "Traceback" not in worker.errors()


@pytest.mark.timeout(300)  # seven programs are started one after the other
def test_run_twice_in_one_folder(folder: Path) -> None:
    """The first start makes a key and says so; the second finds everything as it was."""
    arguments = ("run", "--data-dir", "data", "--port", "0", "--inbox-port", "0")
    with Program(*arguments, folder=folder) as program:
        said = _said(program)
        assert set(said) == {"API key", "Test key", "Send from", "API", "Inbox"}
        key = said["API key"]
        body = {"from": said["Send from"], "to": ["ada@run.test"], "subject": "Kept", "text": "Kept."}
        sent = call("POST", said["API"] + "/v1/emails", body, key=key)
        assert sent.status == 202, sent.body
        path = f"/v1/emails/{sent.json()['id']}"
        eventually(lambda: call("GET", said["API"] + path, key=key).json()["status"] == "delivered", "delivered")
        started = descendants(program.process.pid)
        second = run(*arguments, folder=folder)
        refused(second, "data")
        assert program.stop(signal.SIGINT) == 0
        assert program.rest() == []
        assert "Traceback" not in program.errors()
        assert eventually(lambda: not alive(started), "all processes gone")
    with Program(*arguments, folder=folder) as program:
        said = _said(program)
        assert set(said) == {"API", "Inbox"}
        assert call("GET", said["API"] + path, key=key).json()["subject"] == "Kept"
        kept = call("GET", said["Inbox"] + "/api/messages?to=ada@run.test").json()["data"]
        assert [mail["dkim"]["verdict"] for mail in kept] == ["pass"]
        # Other commands in the folder find the running stack by themselves.
        here = {"PENGUINMAILS_DATA_DIR": "data"}
        assert succeeded(run("keys", "create", "--mode", "test", folder=folder, env=here)).startswith("pm_test_")
        assert succeeded(run("doctor", folder=folder, env=here)).startswith("ok   database")
        listed = succeeded(run("emails", "list", folder=folder, env=here | {"PENGUINMAILS_API_KEY": key}))
        assert "Kept" in listed
        assert program.stop() == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = run("run", "--data-dir", "data", "--port", port, "--inbox-port", "0", folder=folder)
    refused(busy, f"127.0.0.1:{port}", "--port")


def _said(program: Program) -> dict[str, str]:
    """``API  http://...   (note)`` as ``{"API": "http://..."}``, up to the last line of the greeting."""
    said = {}
    while (line := program.line()) != "Stop with Ctrl-C.":
        name, value = re.split(r"  +", line)[:2]
        said[name] = value
    return said


def test_demo(folder: Path) -> None:
    out = succeeded(run("demo", folder=folder))
    assert out.count("✓") == 7
    assert "rsa-sha256 pass, ed25519-sha256 pass" in out
    assert "All of it worked." in out
    assert list(folder.iterdir()) == []


def test_the_door_refuses_what_proves_nothing_and_shows_it(folder: Path, server: dict[str, str]) -> None:
    settings = server | {"PENGUINMAILS_SENDER_RETURN_PATH": "bounces.penguins.example"}
    with Program("bounces", "intake", "--port", "0", folder=folder, env=settings) as door:
        host, _, port = door.line().rpartition(" ")[2].rpartition(":")
        to = "b+made-up@bounces.penguins.example"
        with smtplib.SMTP(host, int(port)) as smtp:
            with pytest.raises(smtplib.SMTPDataError) as refusal:
                smtp.sendmail("", [to], dsn("ada@cli.test"))
            assert refusal.value.smtp_code == 550
            with pytest.raises(smtplib.SMTPRecipientsRefused) as elsewhere:
                smtp.sendmail("", ["b+made-up@elsewhere.example"], dsn("ada@cli.test"))
            assert elsewhere.value.recipients["b+made-up@elsewhere.example"][0] == 550
        assert door.stop() == 0
        assert "Traceback" not in door.errors()
    shown = [json.loads(line) for line in run("bounces", "refused", folder=folder, env=server).stdout.splitlines()]
    assert [(row["recipient"], row["cause"]) for row in shown] == [(to, "forged_token")]


def test_a_door_has_a_port(folder: Path, server: dict[str, str]) -> None:
    done = run("bounces", "intake", folder=folder, env=server)
    assert done.returncode != 0
    assert "PENGUINMAILS_BOUNCES_PORT" in done.stderr
