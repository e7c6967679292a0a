"""The commands for webhooks, as processes: what they print where, and what a real receiver gets from them."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from svix.webhooks import Webhook

from penguinmails_webhooks.signing import generate_key, public_key, sign
from tests.e2e.conftest import Sandbox
from tests.e2e.program import Program, new_folder, run
from tests.e2e.test_cli import succeeded
from tests.e2e.wire import Hooks, eventually

pytestmark = pytest.mark.xdist_group("e2e")

# What the specification publishes.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MESSAGE = {"id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "timestamp": 1614265330, "payload": '{"test": 2432232314}'}
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEAD = {"webhook-id": MESSAGE["id"], "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE}


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = new_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def caller(sandbox: Sandbox) -> dict[str, str]:
    return {"PENGUINMAILS_API_KEY": sandbox.second["api_key"], "PENGUINMAILS_BASE_URL": sandbox.info["base_url"]}


def test_sign(folder: Path) -> None:
    """The published vector; nothing but the value on standard output."""
    done = run("webhooks", "sign", folder=folder, stdin=json.dumps(MESSAGE | {"secret": SECRET}))
    assert (done.returncode, done.stdout, done.stderr) == (0, SIGNATURE + "\n", "")


def test_sign_in_other_shapes(folder: Path) -> None:
    """Bytes that JSON escapes, several secrets, a timestamp as text, an object as payload."""
    body = 'Grüße \u2028 \\ "🐧"\r\n\0'
    several = MESSAGE | {"payload": body, "timestamp": "1614265330", "secret": [SECRET, OTHER]}
    said = succeeded(run("webhooks", "sign", folder=folder, stdin=json.dumps(several))).strip()
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(1614265330, UTC)
    theirs = [Webhook(secret).sign(str(MESSAGE["id"]), moment, body) for secret in (SECRET, OTHER)]
    assert said == " ".join(theirs)
    thing = MESSAGE | {"payload": {"a": "ü", "b": [1, 2]}, "secret": SECRET}
    said = succeeded(run("webhooks", "sign", folder=folder, stdin=json.dumps(thing))).strip()
    assert said == Webhook(SECRET).sign(str(MESSAGE["id"]), moment, '{"a":"ü","b":[1,2]}')


@pytest.mark.parametrize(
    ("stdin", "word"),
    [
        ("", "no JSON"),
        ("[1]", "one JSON object"),
        (json.dumps(MESSAGE), "secret missing"),
        (json.dumps(MESSAGE | {"secret": "whsec_%%%"}), "whsec_ followed by base64"),
        (json.dumps(MESSAGE | {"secret": []}), "secret:"),
        (json.dumps(MESSAGE | {"secret": SECRET, "timestamp": "soon"}), "Unix seconds"),
        (json.dumps(MESSAGE | {"secret": SECRET, "timestamp": True}), "Unix seconds"),
        (json.dumps(MESSAGE | {"secret": SECRET, "id": 7}), "id:"),
        (json.dumps(MESSAGE | {"secret": SECRET, "payload": "\ud83d"}), "surrogate"),
    ],
)
def test_sign_says_what_is_wrong(folder: Path, stdin: str, word: str) -> None:
    done = run("webhooks", "sign", folder=folder, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "%%%" not in done.stderr


def _verify(folder: Path, *arguments: str, head: dict[str, object] = HEAD, body: str = '{"test": 2432232314}') -> str:
    """What `verify` says of a request in two files, with its exit code in front."""
    (folder / "headers").write_text("".join(f"{name}: {value}\n" for name, value in head.items()))
    (folder / "body").write_bytes(body.encode())
    done = run("webhooks", "verify", "--headers", "headers", "--body", "body", *arguments, folder=folder)
    assert "Traceback" not in done.stderr
    return f"{done.returncode} {done.stdout}{done.stderr}"


def test_verify(folder: Path) -> None:
    now = ("--at", "1614265330", "--secret", SECRET)
    assert _verify(folder, *now) == "0 ✓ signature_ok: The signature is right.\n"
    assert "Too old by 7 s: signed 307 s ago" in _verify(folder, "--at", "1614265637", "--secret", SECRET)
    assert "Too new by 100 s" in _verify(folder, "--at", "1614264930", "--secret", SECRET)
    assert _verify(folder, "--at", "1614265637", "--secret", SECRET, "--tolerance", "307").startswith("0 ")
    missing = {name: value for name, value in HEAD.items() if name != "webhook-signature"}
    assert "The header webhook-signature is missing." in _verify(folder, *now, head=missing)
    assert "svix-id" in _verify(folder, *now, head={name.replace("webhook", "svix"): v for name, v in HEAD.items()})
    assert "1 ✗ invalid_signature" in _verify(folder, *now, head=HEAD | {"webhook-signature": "v1,not-base64!"})
    assert "the JSON was re-serialised" in _verify(folder, *now, body='{"test":2432232314}')
    assert "the body was changed" in _verify(folder, *now, body='{"test": 2432232314}\n')
    assert "no complete JSON" in _verify(folder, *now, body='{"test": 24322')
    assert "1 ✗ signature_mismatch" in _verify(folder, "--at", "1614265330", "--secret", OTHER)
    assert "secret_unusable" in _verify(folder, "--secret", "whsec_short")
    assert _verify(folder).startswith("2 penguinmails: give --secret")
    both = ("--secret", OTHER, "--secret", SECRET, "--at", "1614265330")
    assert _verify(folder, *both).startswith("0 ")


def test_verify_with_a_public_key(folder: Path) -> None:
    key = generate_key()
    signature = sign([key], str(MESSAGE["id"]), 1614265330, b"{}")
    arguments = ("--secret", public_key(key), "--at", "1614265330")
    head = HEAD | {"webhook-signature": signature}
    assert _verify(folder, *arguments, head=head, body="{}").startswith("0 ")
    assert "1 ✗ signature_mismatch" in _verify(folder, *arguments, head=head, body='{"a": 1}')
    assert "secret_unusable" in _verify(folder, "--secret", "whpk_AAAA", head=head)
    signed = run("webhooks", "sign", folder=folder, stdin=json.dumps(MESSAGE | {"payload": "{}", "secret": key}))
    assert signed.stdout.strip() == signature


def test_verify_a_whole_request(folder: Path) -> None:
    """On standard input, as a proxy or `nc` shows it; the secret from the environment; findings as JSON."""
    lines = "".join(f"{name.title()}: {value}\r\n" for name, value in HEAD.items())
    request = f"POST /hooks HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n" + '{"test": 2432232314}'
    env = {"PENGUINMAILS_WEBHOOK_SECRET": SECRET}
    good = run("webhooks", "verify", "--at", "1614265330", folder=folder, env=env, stdin=request)
    assert (good.returncode, good.stderr) == (0, "")
    old = run("webhooks", "verify", "--json", folder=folder, env=env, stdin=request)
    assert old.returncode == 1
    told = json.loads(old.stdout)
    assert (told["trusted"], [finding["code"] for finding in told["findings"]]) == (
        False,
        ["timestamp_too_old", "signature_ok"],
    )
    (folder / "request").write_text(request.replace("2432232314}", "2432232315}"))
    single = ("--secret", SECRET, "--at", "1614265330")
    assert run("webhooks", "verify", "--request", "request", *single, folder=folder).returncode == 1
    headless = run("webhooks", "verify", *single, folder=folder, stdin="no empty line")
    assert (headless.returncode, "empty line" in headless.stderr) == (2, True)
    assert run("webhooks", "verify", "--body", "nowhere", *single, folder=folder).returncode == 2


def test_listen(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    """New events reach a server on this machine, signed; after Ctrl-C it goes on where it stopped."""
    key = sandbox.second["api_key"]
    secret = succeeded(run("listen", "--print-secret", folder=folder, env=caller)).strip()
    assert succeeded(run("listen", "--print-secret", folder=folder, env=caller)).strip() == secret
    assert key not in secret
    before = sandbox.send("before@listen.test", key=key, **{"from": sandbox.second["from"]})
    eventually(lambda: "email.delivered" in sandbox.event_types(before, key=key), "delivered")
    with Hooks() as hooks:
        arguments = ("listen", "--forward-to", hooks.url.removeprefix("http://"), "--interval", "60")  # it streams
        with Program(*arguments, "--events", "email.delivered", folder=folder, env=caller) as program:
            eventually(lambda: "Stop with Ctrl-C" in program.errors(), "ready")
            assert secret in program.errors()
            sent = sandbox.send("during@listen.test", key=key, **{"from": sandbox.second["from"]})
            headers, body = hooks.calls.get(timeout=30)
            Webhook(secret).verify(body, headers)
            event = json.loads(body)
            assert (event["type"], event["data"]["email_id"]) == ("email.delivered", sent)
            assert headers["webhook-id"] == event["id"]
            assert event == sandbox.api("GET", f"/v1/events/{event['id']}", key=key).json()
            assert f"{event['id']}  → 204" in program.line()
            assert program.stop(signal.SIGINT) == 0
            assert f"--after {event['id']}" in program.errors()
            assert "Traceback" not in program.errors()
        missed = sandbox.send("missed@listen.test", key=key, **{"from": sandbox.second["from"]})
        eventually(lambda: "email.delivered" in sandbox.event_types(missed, key=key), "delivered")
        succeeded(run(*arguments, "--after", event["id"], "--no-follow", folder=folder, env=caller))
        got = [json.loads(hooks.calls.get(timeout=1)[1]) for _ in range(3)]
        assert {found["data"]["email_id"] for found in got} == {missed}
        assert hooks.calls.empty()


def test_listen_says_what_is_wrong(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    key, sender = caller["PENGUINMAILS_API_KEY"], sandbox.second["from"]
    sandbox.send("unheard@listen.test", key=key, **{"from": sender})  # something to forward
    nobody = run("listen", "--forward-to", "127.0.0.1:9", "--no-follow", "--from-start", folder=folder, env=caller)
    assert nobody.returncode == 2  # a port that is never HTTP
    unheard = run("listen", "--forward-to", "127.0.0.1:4", "--no-follow", "--from-start", folder=folder, env=caller)
    assert unheard.returncode == 1, unheard.stderr
    assert "✗ connect: no connection: refused" in unheard.stdout
    for arguments, word in (
        ((), "--forward-to"),
        (("--forward-to", "x", "--after", "evt_1", "--from-start"), "not both"),
        (("--forward-to", "x", "--secret", "whsec_short"), "--secret"),
    ):
        done = run("listen", *arguments, folder=folder, env=caller)
        assert (done.returncode, done.stdout) == (2, "")
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_tail_only_some_and_new(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    key, sender = sandbox.second["api_key"], sandbox.second["from"]
    sent = sandbox.send("some@tail.test", key=key, **{"from": sender})
    eventually(lambda: "email.delivered" in sandbox.event_types(sent, key=key), "delivered")
    some = succeeded(run("events", "tail", "--no-follow", "--type", "email.sent", folder=folder, env=caller))
    assert {line.split()[1] for line in some.splitlines()} == {"email.sent"}
    assert succeeded(run("events", "tail", "--no-follow", "--new", folder=folder, env=caller)) == ""
    unknown = run("events", "tail", "--no-follow", "--type", "email.lost", folder=folder, env=caller)
    assert (unknown.returncode, "email.lost" in unknown.stderr) == (1, True)


def test_tail_waits_for_a_server_that_is_away(folder: Path) -> None:
    env = {"PENGUINMAILS_API_KEY": "pm_test_x", "PENGUINMAILS_BASE_URL": "http://127.0.0.1:4"}
    once = run("events", "tail", "--no-follow", folder=folder, env=env)
    assert once.returncode == 1
    with Program("events", "tail", folder=folder, env=env) as program:
        eventually(lambda: "trying again" in program.errors(), "a word about it")
        assert program.stop(signal.SIGINT) == 0
        assert "Traceback" not in program.errors()


def test_trigger_to_a_url(folder: Path) -> None:
    """No server, no key: a sample of the catalogue, changed, signed, and diagnosed."""
    with Hooks() as hooks:
        changes = ("--set", "recipient.address=ada@changed.test", "--set", "tags=[1, 2]", "--set", "subject=Grüße")
        done = run("trigger", "email.bounced", "--to", hooks.url, "--secret", SECRET, *changes, folder=folder)
        assert succeeded(done).startswith(f"✓ {hooks.url}  204  ")
        assert "warning  no_echo" in done.stdout
        headers, body = hooks.calls.get(timeout=5)
        Webhook(SECRET).verify(body, headers)
        event = json.loads(body)
        assert (event["type"], event["id"]) == ("email.bounced", headers["webhook-id"])
        assert event["data"]["recipient"]["address"] == "ada@changed.test"
        assert (event["data"]["tags"], event["data"]["subject"]) == ([1, 2], "Grüße")
        (folder / "data.json").write_text('{"only": 1}')
        succeeded(run("trigger", "webhook.test", "--to", hooks.url, "--data", "data.json", folder=folder))
        assert json.loads(hooks.calls.get(timeout=5)[1])["data"] == {"only": 1}
    gone = run("trigger", "email.sent", "--to", "127.0.0.1:4", "--json", folder=folder)
    assert gone.returncode == 1
    assert json.loads(gone.stdout)[0]["findings"][0]["code"] == "connect"


def test_trigger_at_endpoints(folder: Path, sandbox: Sandbox, caller: dict[str, str]) -> None:
    """The server sends it, with the endpoint's own secret; without --to, to all that want it."""
    key = sandbox.second["api_key"]
    with Hooks() as hooks:
        wanted = {"url": hooks.url, "events": ["domain.*"]}
        made = sandbox.api("POST", "/v1/webhook_endpoints", wanted, key=key).json()
        try:
            for target in (("--to", made["id"]), ()):
                done = run("trigger", "domain.verified", *target, "--set", "name=a.test", folder=folder, env=caller)
                assert succeeded(done).startswith(f"✓ {made['id']}  204  ")
                headers, body = hooks.calls.get(timeout=5)
                Webhook(made["secret"]).verify(body, headers)
                assert (json.loads(body)["type"], json.loads(body)["data"]["name"]) == ("domain.verified", "a.test")
            sent = sandbox.send("real@trigger.test", key=key, **{"from": sandbox.second["from"]})
            eventually(lambda: "email.delivered" in sandbox.event_types(sent, key=key), "delivered")
            events = sandbox.api("GET", f"/v1/emails/{sent}/events", key=key).json()["data"]
            succeeded(run("trigger", events[0]["id"], "--to", made["id"], folder=folder, env=caller))
            assert json.loads(hooks.calls.get(timeout=5)[1]) == events[0]
            nobody = run("trigger", "email.bounced", folder=folder, env=caller)
            assert (nobody.returncode, "no enabled endpoint" in nobody.stderr) == (2, True)
        finally:
            sandbox.api("DELETE", f"/v1/webhook_endpoints/{made['id']}", key=key)


def test_trigger_says_what_is_wrong(folder: Path, caller: dict[str, str]) -> None:
    local = ("--to", "http://127.0.0.1:4/")
    for arguments, code, word in (
        (("email.bounce", *local), 2, "email.bounced"),
        (("email.sent", *local, "--set", "x"), 2, "member=value"),
        (("email.sent", *local, "--data", "nowhere.json"), 2, "nowhere.json"),
        (("email.sent", *local, "--secret", "whsec_short"), 2, "--secret"),
        (("email.sent", "--to", "whe_01kaz6yzwhe1xrqm3c8s4q3m8r"), 1, "404"),
        (("evt_01kaz6yzwhe1xrqm3c8s4q3m8r",), 1, "404"),
    ):
        done = run("trigger", *arguments, folder=folder, env=caller)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert word in done.stderr
        assert "Traceback" not in done.stderr
