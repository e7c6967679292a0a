"""The whole product from outside: `sandbox --json` as a process, spoken to over HTTP and SMTP only."""

from __future__ import annotations

import json
import signal
import smtplib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from penguinmails import Attachment, PenguinMails
from svix.webhooks import Webhook

from tests.e2e.conftest import Sandbox
from tests.e2e.program import Program, alive, descendants
from tests.e2e.wire import Hooks, call, eventually

pytestmark = pytest.mark.xdist_group("e2e")


def test_says_where_everything_is(sandbox: Sandbox) -> None:
    info = sandbox.info
    assert set(info) == {"base_url", "inbox_url", "smtp_port", "database_url", "redis_url", "organizations", "oauth"}
    assert len(info["organizations"]) == 2
    for organization in info["organizations"]:
        assert set(organization) == {"id", "api_key", "test_key", "from"}
        assert organization["id"].startswith("org_")
        assert organization["api_key"].startswith("pm_live_")
        assert organization["test_key"].startswith("pm_test_")
        me = call("GET", info["base_url"] + "/v1/me", key=organization["api_key"]).json()
        assert me["organization"]["id"] == organization["id"]
    assert sandbox.first["id"] != sandbox.second["id"]
    assert isinstance(info["smtp_port"], int)
    for url in (info["base_url"], info["inbox_url"]):
        assert url.startswith("http://127.0.0.1:")
        assert not url.endswith("/")
    assert info["database_url"].startswith("postgresql://")
    assert info["redis_url"].startswith("redis://")


def test_the_parts_say_they_are_ready(sandbox: Sandbox) -> None:
    ready = call("GET", sandbox.info["base_url"] + "/readyz")
    assert ready.status == 200, ready.body
    assert call("GET", sandbox.info["inbox_url"] + "/").headers["content-type"].startswith("text/html")
    with smtplib.SMTP("127.0.0.1", sandbox.info["smtp_port"], timeout=10) as smtp:
        assert smtp.noop()[0] == 250


def test_mail_by_plain_http_arrives_signed(sandbox: Sandbox) -> None:
    email_id = sandbox.send("Ada <ada@plain.test>", subject="Grüße 🐧", html="<p>Hello!</p>")
    mail = sandbox.mail("ada@plain.test")
    assert mail["subject"] == "Grüße 🐧"
    assert mail["text"].strip() == "Hello!"
    assert mail["html"].strip() == "<p>Hello!</p>"
    assert mail["recipients"] == ["ada@plain.test"]
    assert mail["dkim_verdict"] == "pass"
    assert {(found["algorithm"], found["verdict"]) for found in mail["dkim"]} == {
        ("rsa-sha256", "pass"),
        ("ed25519-sha256", "pass"),
    }
    headers = {header["name"].lower(): header["value"] for header in mail["headers"]}
    assert headers["message-id"].startswith(f"<{email_id}@")
    eventually(lambda: sandbox.api("GET", f"/v1/emails/{email_id}").json()["status"] == "delivered", "delivered")


def test_mail_by_the_python_sdk_arrives_signed(sandbox: Sandbox) -> None:
    with PenguinMails(sandbox.first["api_key"], base_url=sandbox.info["base_url"]) as client:
        email = client.emails.send(
            from_=f"Penguin <{sandbox.first['from']}>",
            to=["Bob <bob@sdk.test>"],
            subject="Your invoice",
            text="Attached.",
            attachments=[Attachment.from_bytes(b"%PDF-1.4", filename="invoice.pdf")],
        )
        mail = sandbox.mail("bob@sdk.test")
        assert mail["dkim_verdict"] == "pass"
        assert [(part["filename"], part["size"]) for part in mail["attachments"]] == [("invoice.pdf", 8)]
        eventually(lambda: client.emails.get(email.id).status == "delivered", "delivered")


def test_another_organization_sees_nothing(sandbox: Sandbox) -> None:
    email_id = sandbox.send("ada@private.test")
    for method, path in (
        ("GET", ""),
        ("GET", "/content"),
        ("GET", "/events"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        answer = sandbox.api(method, f"/v1/emails/{email_id}{path}", key=sandbox.second["api_key"])
        assert (answer.status, answer.json()["code"]) == (404, "not_found"), path
    listed = sandbox.api("GET", "/v1/emails", key=sandbox.second["api_key"]).json()["data"]
    assert email_id not in [email["id"] for email in listed]
    foreign = {"from": sandbox.first["from"], "to": ["ada@private.test"], "subject": "Hello", "text": "Hello!"}
    refused = sandbox.api("POST", "/v1/emails", foreign, key=sandbox.second["api_key"])
    assert (refused.status, refused.json()["code"]) == (403, "domain_not_verified")
    assert "acme.test" in refused.json()["detail"]


def test_the_same_key_twice_is_one_mail(sandbox: Sandbox) -> None:
    body = {"from": sandbox.first["from"], "to": ["ada@twice.test"], "subject": "Once", "text": "Once."}
    first = sandbox.api("POST", "/v1/emails", body, Idempotency_Key="welcome-42")
    sandbox.mail("ada@twice.test")
    second = sandbox.api("POST", "/v1/emails", body, Idempotency_Key="welcome-42")
    assert (first.status, second.status) == (202, 202)
    assert second.body == first.body
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in {name.lower() for name in first.headers}
    # A message sent later has arrived, so a second copy would have, too.
    sandbox.send("later@twice.test")
    sandbox.mail("later@twice.test")
    assert len(sandbox.inbox("ada@twice.test")) == 1
    other = sandbox.api("POST", "/v1/emails", body | {"subject": "Other"}, Idempotency_Key="welcome-42")
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")


def test_signed_webhooks_arrive(sandbox: Sandbox) -> None:
    with Hooks() as hooks:
        created = sandbox.api("POST", "/v1/webhook_endpoints", {"url": hooks.url, "events": ["email.*"]})
        assert created.status == 201, created.body
        endpoint = created.json()
        email_id = sandbox.send("ada@hooked.test")
        events: dict[str, Any] = {}
        while {"email.queued", "email.sent", "email.delivered"} - set(events):
            headers, body = hooks.calls.get(timeout=30)
            Webhook(endpoint["secret"]).verify(body, headers)
            event = json.loads(body)
            assert event["data"]["email_id"] == email_id
            assert headers["webhook-id"] == event["id"]
            events[event["type"]] = event
        assert set(events) == {"email.queued", "email.sent", "email.delivered"}
        logged = sandbox.api("GET", f"/v1/emails/{email_id}/events").json()["data"]
        assert {event["id"] for event in logged} == {event["id"] for event in events.values()}
        assert sandbox.api("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}").status == 204


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("delivered", ["email.delivered", "email.queued", "email.sent"]),
        ("bounced", ["email.bounced", "email.queued"]),
        ("complained", ["email.complained", "email.delivered", "email.queued", "email.sent"]),
    ],
)
def test_magic_recipients_of_test_mode(sandbox: Sandbox, name: str, last: list[str]) -> None:
    key = sandbox.first["test_key"]
    address = f"{name}@magic.test"
    email_id = sandbox.send(address, key=key)
    eventually(lambda: f"email.{name}" in sandbox.event_types(email_id, key=key), f"email.{name}")
    eventually(lambda: sandbox.event_types(email_id, key=key) == last, f"exactly {last}")
    assert sandbox.inbox(address) == []
    live = sandbox.api("GET", f"/v1/emails/{email_id}")
    assert live.status == 404, "live keys do not see test mail"


def test_a_scheduled_message_is_cancelled(sandbox: Sandbox) -> None:
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    email_id = sandbox.send("ada@scheduled.test", scheduled_at=moment)
    assert sandbox.api("GET", f"/v1/emails/{email_id}").json()["status"] == "scheduled"
    cancelled = sandbox.api("POST", f"/v1/emails/{email_id}/cancel")
    assert cancelled.status == 200, cancelled.body
    assert sandbox.api("GET", f"/v1/emails/{email_id}").json()["status"] == "cancelled"
    assert "email.cancelled" in sandbox.event_types(email_id)
    again = sandbox.api("POST", f"/v1/emails/{email_id}/cancel")
    assert (again.status, again.json()["status"]) == (200, "cancelled")
    assert sandbox.inbox("ada@scheduled.test") == []


def _garbage(sender: str) -> list[tuple[Any, int, str, str]]:
    """What is sent, the status, the place that is named, and a word of the limit or the fix."""
    good: dict[str, Any] = {"from": sender, "to": ["ada@example.com"], "subject": "Hello", "text": "Hello!"}
    return [
        (b"{not json", 400, "", "line 1"),
        (b"", 400, "", ""),
        ([], 422, "", ""),
        (good | {"to": ["ada"]}, 422, "/to/0", "@"),
        (good | {"to": [f"a{n}@example.com" for n in range(51)]}, 422, "/to", "50"),
        (good | {"subject": "a\r\nBcc: eve@example.com"}, 422, "/subject", "CARRIAGE RETURN"),
        (good | {"subjekt": "x"}, 422, "/subjekt", "spelling"),
        (good | {"tags": ["x" * 65]}, 422, "/tags/0", "64"),
        (good | {"scheduled_at": "tomorrow"}, 422, "/scheduled_at", "RFC 3339"),
        (good | {"from": "someone@elsewhere.test"}, 403, "/from", "elsewhere.test"),
        ({"from": sender, "to": ["ada@example.com"], "subject": "Hello"}, 422, "", "html"),
    ]


@pytest.mark.parametrize("number", range(len(_garbage(""))))
def test_garbage_gets_a_problem_that_helps(sandbox: Sandbox, number: int) -> None:
    body, status, pointer, word = _garbage(sandbox.first["from"])[number]
    answer = sandbox.api("POST", "/v1/emails", body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["request_id"] == answer.headers["request-id"]
    places = [error["pointer"] for error in problem["errors"]]
    if pointer:
        assert pointer in places, problem
    told = problem["detail"] + " ".join(error["detail"] for error in problem["errors"])
    assert word in told, problem
    assert "Traceback" not in answer.body.decode()


def test_no_key_a_wrong_key_and_a_wrong_path(sandbox: Sandbox) -> None:
    url = sandbox.info["base_url"]
    for key in (None, "pm_live_wrong", sandbox.first["api_key"][:-1] + "0"):
        refused = call("GET", url + "/v1/emails", key=key)
        assert refused.status == 401
        assert "Authorization" in refused.json()["detail"] or "key" in refused.json()["detail"]
    assert sandbox.api("GET", "/v1/nothing").json()["code"] == "not_found"
    assert sandbox.api("PUT", "/v1/emails").status == 405


def _close(program: Program) -> int:
    program.close_stdin()
    return program.wait()


@pytest.mark.parametrize("stop", [_close, Program.stop], ids=["stdin closes", "SIGTERM"])
def test_stops_without_a_trace(stop: Callable[[Program], int]) -> None:
    with Program("sandbox", "--json") as program:
        info = json.loads(program.line())
        started = descendants(program.process.pid)
        assert len(started) >= 3, "PostgreSQL, Valkey and the worker"
        assert [path.name.startswith("penguinmails-sandbox-") for path in program.folder.iterdir()] == [True]
        body = {"from": info["organizations"][0]["from"], "to": ["a@b.test"], "subject": "Hello", "text": "Hello!"}
        sent = call("POST", info["base_url"] + "/v1/emails", body, key=info["organizations"][0]["api_key"])
        assert sent.status == 202
        assert stop(program) == 0, program.errors()
        assert eventually(lambda: not alive(started), "all processes gone")
        assert list(program.folder.iterdir()) == []
        assert program.rest() == []
        assert "Traceback" not in program.errors()


def test_killed_it_leaves_no_processes_behind() -> None:
    """Nobody can tidy up after SIGKILL but the children themselves."""
    with Program("sandbox", "--json") as program:
        program.line()
        started = descendants(program.process.pid)
        program.stop(signal.SIGKILL)
        assert eventually(lambda: not alive(started), "all processes gone")
