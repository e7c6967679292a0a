"""What the clients promise beyond the scenarios: settings, keys, raw answers, pages, options, logging, attachments."""

from __future__ import annotations

import asyncio
import base64
import datetime
import logging
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import penguinmails
import pytest
from penguinmails import (
    APIConnectionError,
    APIStatusError,
    AsyncPenguinMails,
    Attachment,
    NotFoundError,
    Page,
    PenguinMails,
    PenguinMailsError,
    RateLimitError,
    RawResponse,
)
from penguinmails._errors import parse_retry_after
from penguinmails._logging import redact
from penguinmails._request import backoff
from penguinmails.types import Email, EmailAccepted, EmailClass, EmailStatus, WebhookEndpointWithSecret

from tests.sdks.scripted_server import Reply, ScriptedServer

ROOT = Path(__file__).parents[3]
ACCEPTED = {
    "id": "msg_1",
    "status": "queued",
    "class": "transactional",
    "created_at": "2026-11-24T12:00:00Z",
    "scheduled_at": None,
}
OK = Reply(202, json=ACCEPTED)


def _email(number: int) -> dict[str, Any]:
    return {
        "id": f"msg_{number}",
        "status": "sent",
        "class": "transactional",
        "workspace_id": "ws_1",
        "from": {"address": "a@acme.test", "name": None},
        "reply_to": [],
        "subject": "Hi",
        "recipients": [],
        "tags": [],
        "metadata": {},
        "message_id": "msg_1@acme.test",
        "size_bytes": 1,
        "scheduled_at": None,
        "expires_at": "2026-11-27T12:00:00Z",
        "created_at": "2026-11-24T12:00:00Z",
    }


def _page(numbers: range, cursor: str | None) -> Reply:
    data = [_email(number) for number in numbers]
    return Reply(json={"data": data, "has_more": cursor is not None, "next_cursor": cursor})


def _send(client: PenguinMails, **more: Any) -> EmailAccepted:
    return client.emails.send(from_="a@acme.test", to="ada@example.com", subject="Hi", text="Hello", **more)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENGUINMAILS_API_KEY", "PENGUINMAILS_BASE_URL", "PENGUINMAILS_WEBHOOK_SECRET", "PENGUINMAILS_LOG"):
        monkeypatch.delenv(name, raising=False)


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "sdks" / "python" / "pyproject.toml").read_text())["project"]
    assert penguinmails.__version__ == project["version"]


def test_key_and_url_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([OK]) as server:
        monkeypatch.setenv("PENGUINMAILS_API_KEY", "pm_test_env\n")
        monkeypatch.setenv("PENGUINMAILS_BASE_URL", server.url + "/")
        with PenguinMails() as client:
            _send(client)
    assert server.requests[0].headers["authorization"] == "Bearer pm_test_env"
    assert server.requests[0].path == "/v1/emails"


def test_argument_wins_over_the_environment_and_the_path_of_the_url_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINMAILS_API_KEY", "pm_test_env")
    with ScriptedServer([OK]) as server, PenguinMails("pm_test_arg", base_url=server.url + "/mail/") as client:
        _send(client)
    assert server.requests[0].headers["authorization"] == "Bearer pm_test_arg"
    assert server.requests[0].path == "/mail/v1/emails"


@pytest.mark.parametrize("kind", [PenguinMails, AsyncPenguinMails])
def test_unusable_settings_are_refused_at_once(kind: type) -> None:
    with pytest.raises(PenguinMailsError, match="PENGUINMAILS_API_KEY"):
        kind()
    for key in ("", "  ", "pm live", "pm_\nx", "schlüssel"):
        with pytest.raises(PenguinMailsError, match="API key"):
            kind(key)
    for url in ("acme.test", "ftp://acme.test", "http://", "http://a.test/?x=1", "http://u:p@a.test", "http://[::1"):
        with pytest.raises(PenguinMailsError, match="base_url"):
            kind("pm_test_key", base_url=url)
    for settings in ({"timeout": 0}, {"timeout": -1}, {"max_retries": -1}):
        with pytest.raises(PenguinMailsError, match=next(iter(settings))):
            kind("pm_test_key", **settings)


def test_default_server_is_the_local_one() -> None:
    with PenguinMails("pm_test_key") as client:
        assert repr(client) == "PenguinMails('http://127.0.0.1:8025')"


def test_key_may_be_a_function_that_is_asked_for_every_try() -> None:
    keys = iter(["pm_test_1", "pm_test_2"])
    busy = Reply(503, {"Retry-After": "0"})
    with ScriptedServer([busy, OK]) as server, PenguinMails(lambda: next(keys), base_url=server.url) as client:
        _send(client)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer pm_test_1", "Bearer pm_test_2"]


async def test_asynchronous_key() -> None:
    async def key() -> str:
        await asyncio.sleep(0)
        return "pm_test_async"

    with ScriptedServer([OK]) as server:
        async with AsyncPenguinMails(key, base_url=server.url) as client:
            await client.emails.send(from_="a@acme.test", to="b@acme.test", subject="Hi")
    assert server.requests[0].headers["authorization"] == "Bearer pm_test_async"


def test_headers_of_a_request() -> None:
    with (
        ScriptedServer([OK]) as server,
        PenguinMails("pm_test_key", base_url=server.url, default_headers={"X-App": "shop", "X-B": "1"}) as client,
    ):
        _send(client, extra_headers={"x-b": "2"})
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith(f"penguinmails-python/{penguinmails.__version__} python/3.")
    assert (headers["x-app"], headers["x-b"]) == ("shop", "2")
    assert headers["penguinmails-version"]
    assert uuid.UUID(headers["idempotency-key"].removeprefix("auto_")).version == 4


def test_two_sends_have_two_keys() -> None:
    with ScriptedServer([OK, OK]) as server, PenguinMails("pm_test_key", base_url=server.url) as client:
        _send(client)
        _send(client)
    first, second = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second


def test_values_become_json() -> None:
    when = datetime.datetime(2026, 12, 24, 18, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    with ScriptedServer([OK]) as server, PenguinMails("pm_test_key", base_url=server.url) as client:
        sent = client.emails.send(
            from_="a@acme.test",
            to=("b@acme.test", "c@acme.test"),
            subject="Hi",
            scheduled_at=when,
            class_=EmailClass.CAMPAIGN,
            attachments=[{"filename": "a.bin", "content": b"\x00\xff"}],
            cc=None,
        )
    assert isinstance(sent, EmailAccepted)
    assert sent.created_at == datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    body = server.requests[0].json
    assert body == {
        "from": "a@acme.test",
        "to": ["b@acme.test", "c@acme.test"],
        "subject": "Hi",
        "scheduled_at": "2026-12-24T18:00:00+01:00",
        "class": "campaign",
        "attachments": [{"filename": "a.bin", "content": base64.b64encode(b"\x00\xff").decode()}],
    }


def test_mistakes_are_found_before_anything_is_sent() -> None:
    with ScriptedServer([]) as server, PenguinMails("pm_test_key", base_url=server.url) as client:
        with pytest.raises(TypeError, match="unexpected keyword argument 'form'"):
            _send(client, form="x")
        with pytest.raises(TypeError, match="idempotency_key"):
            client.emails.get("msg_1", idempotency_key="x")  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="scheduled_at: give a datetime with a timezone"):
            _send(client, scheduled_at=datetime.datetime(2026, 1, 1))  # noqa: DTZ001
        with pytest.raises(TypeError, match=r"metadata\.a: a object cannot be sent"):
            _send(client, metadata={"a": object()})
        for identifier in ("", ".", ".."):
            with pytest.raises(ValueError, match="email_id is an id"):
                client.emails.get(identifier)
    assert server.requests == []


def test_raw_response() -> None:
    with (
        ScriptedServer([OK, OK, _page(range(2), None)]) as server,
        PenguinMails("pm_test_key", base_url=server.url) as client,
    ):
        first = client.emails.with_raw_response.send(from_="a@acme.test", to="b@acme.test", subject="Hi")
        assert isinstance(first, RawResponse)
        assert (first.status_code, first.request_id, first.headers["content-type"]) == (
            202,
            "req_1",
            "application/json",
        )
        assert first.parse().id == "msg_1"
        assert client.with_raw_response.emails.send(from_="a@a.test", to="b@a.test", subject="Hi").status_code == 202
        page = client.emails.with_raw_response.list()
        assert page.request_id == "req_3"
        assert isinstance(page.parse(), Page)
        assert [email.id for email in page.parse()] == ["msg_0", "msg_1"]


async def test_raw_response_async() -> None:
    with ScriptedServer([OK, _page(range(1), "c"), _page(range(1, 2), None)]) as server:
        async with AsyncPenguinMails("pm_test_key", base_url=server.url) as client:
            sent = await client.emails.with_raw_response.send(from_="a@acme.test", to="b@acme.test", subject="Hi")
            assert (sent.request_id, sent.parse().id) == ("req_1", "msg_1")
            page = await client.with_raw_response.emails.list()
            assert page.status_code == 200
            assert [email.id async for email in page.parse()] == ["msg_0", "msg_1"]


def test_pages_are_fetched_when_they_are_needed() -> None:
    with (
        ScriptedServer([_page(range(2), "a"), _page(range(2, 4), "b")]) as server,
        PenguinMails("pm_test_key", base_url=server.url) as client,
    ):
        page = client.emails.list(tag="x")
        assert (len(page), page.has_more, page.next_cursor) == (2, True, "a")
        assert [email.id for email in page.data] == ["msg_0", "msg_1"]
        assert len(server.requests) == 1
        seen = []
        for email in page:
            seen.append(email.id)
            if email.id == "msg_2":
                break
        assert seen == ["msg_0", "msg_1", "msg_2"]
    assert [request.query for request in server.requests] == [[("tag", "x")], [("after", "a"), ("tag", "x")]]


def test_pages_one_by_one() -> None:
    script = [_page(range(2), "a"), _page(range(2, 3), None)]
    with ScriptedServer(script * 2) as server, PenguinMails("pm_test_key", base_url=server.url) as client:
        second = client.emails.list().next_page()
        assert second is not None
        assert [email.id for email in second.data] == ["msg_2"]
        assert second.next_page() is None
        assert [len(page) for page in client.emails.list().pages()] == [2, 1]


async def test_pages_async() -> None:
    script = [_page(range(2), "a"), _page(range(2, 3), None)]
    with ScriptedServer(script * 3) as server:
        async with AsyncPenguinMails("pm_test_key", base_url=server.url) as client:
            lazy = client.emails.list()
            assert server.requests == []
            page = await lazy
            assert (len(page), bool(page), page.has_more) == (2, True, True)
            second = await page.next_page()
            assert second is not None
            assert await second.next_page() is None
            assert [len(page) async for page in client.emails.list().pages()] == [2, 1]
            assert [email.id async for email in client.emails.list()] == ["msg_0", "msg_1", "msg_2"]


def test_with_options_shares_connections_and_changes_nothing_else() -> None:
    busy = Reply(503, {"Retry-After": "0"})
    with (
        ScriptedServer([busy, busy, OK]) as server,
        PenguinMails("pm_test_key", base_url=server.url, max_retries=0, default_headers={"a": "1"}) as client,
    ):
        patient = client.with_options(max_retries=2, default_headers={"b": "2"}, api_key="pm_test_other")
        _send(patient)
        patient.close()  # the connections belong to the first client
        with pytest.raises(APIStatusError):
            _send(client)
    assert [request.headers.get("b") for request in server.requests] == ["2", "2", "2", None]
    assert {request.headers["a"] for request in server.requests} == {"1"}
    assert server.requests[0].headers["authorization"] == "Bearer pm_test_other"
    assert server.requests[3].headers["authorization"] == "Bearer pm_test_key"


def test_own_http_client_stays_open() -> None:
    with ScriptedServer([OK, OK]) as server, httpx.Client(headers={"x-mine": "1"}) as http:
        with PenguinMails("pm_test_key", base_url=server.url, http_client=http) as client:
            _send(client)
        assert not http.is_closed
        _send(PenguinMails("pm_test_key", base_url=server.url, http_client=http))
    assert server.requests[0].headers["x-mine"] == "1"


def test_unreachable_server_is_named() -> None:
    with ScriptedServer([]) as server:
        url = server.url
    client = PenguinMails("pm_test_key", base_url=url, max_retries=0)
    with client, pytest.raises(APIConnectionError, match=url) as caught:
        _send(client)
    assert caught.value.__cause__ is not None


def test_a_hundred_sends_at_once() -> None:
    async def run(url: str) -> int:
        async with AsyncPenguinMails("pm_test_key", base_url=url) as client:
            sends = (client.emails.send(from_="a@a.test", to="b@a.test", subject=str(n)) for n in range(100))
            return len(await asyncio.gather(*sends))

    with ScriptedServer([OK] * 100) as server:
        assert asyncio.run(run(server.url)) == 100
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 100


def test_error_text_is_for_people() -> None:
    problem = {
        "type": "/problems/not_found",
        "title": "There is no such thing here",
        "status": 404,
        "code": "not_found",
        "detail": "No email msg_9.",
        "errors": [{"pointer": "email_id", "code": "unknown", "detail": "not there"}, "garbage"],
    }
    with (
        ScriptedServer([Reply(404, json=problem), Reply(429, {"Retry-After": "999"}, text="slow down")]) as server,
        PenguinMails("pm_test_key", base_url=server.url) as client,
    ):
        with pytest.raises(NotFoundError) as caught:
            client.emails.get("msg_9")
        assert str(caught.value) == ("404 not_found: No email msg_9.\n  email_id: not there (unknown) [request req_1]")
        with pytest.raises(RateLimitError) as limited:
            client.emails.get("msg_9")
    assert limited.value.retry_after == 999
    assert "slow down" in str(limited.value)
    assert limited.value.body == "slow down"


@pytest.mark.parametrize("body", [None, [], 3, "x", {"errors": 3, "code": 4}])
def test_strange_error_bodies(body: Any) -> None:
    with (
        ScriptedServer([Reply(404, json=body)]) as server,
        PenguinMails("pm_test_key", base_url=server.url) as client,
        pytest.raises(NotFoundError) as caught,
    ):
        client.emails.get("msg_9")
    assert (caught.value.code, caught.value.errors) == ("", [])
    assert "404" in str(caught.value)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert parse_retry_after("3") == 3
    assert parse_retry_after("0.5") == 0.5
    assert parse_retry_after("-3") == 0
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    found = parse_retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert found is not None
    assert 50 < found <= 60
    for value in (None, "", "soon", "nan", "inf", "Tue, 99 Foo"):
        assert parse_retry_after(value) is None


def test_backoff_doubles_up_to_eight_seconds_less_a_quarter_at_most() -> None:
    for attempt, most in [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 8), (60, 8)]:
        delays = {backoff(attempt) for _ in range(50)}
        assert all(0.75 * most <= delay <= most for delay in delays)
        assert len(delays) > 1


def test_attachments(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"%PDF-")
    made = Attachment.from_path(tmp_path / "report.pdf")
    assert made == {"filename": "report.pdf", "content": "JVBERi0=", "content_type": "application/pdf"}
    inline = Attachment.from_bytes(b"x", filename="logo.unknownkind", content_id="logo")
    assert inline == {"filename": "logo.unknownkind", "content": "eA==", "content_id": "logo"}
    renamed = Attachment.from_path(str(tmp_path / "report.pdf"), filename="r.bin", content_type="text/x")
    assert (renamed["filename"], renamed["content_type"]) == ("r.bin", "text/x")
    with pytest.raises(FileNotFoundError):
        Attachment.from_path(tmp_path / "none")


def test_models_keep_what_they_do_not_know() -> None:
    email = Email.from_dict({**_email(1), "status": "teleported", "color": "blue"})
    assert email.status == "teleported"
    assert isinstance(email.status, EmailStatus)
    assert EmailStatus("teleported") is not EmailStatus.SENT
    assert "teleported" not in [status.value for status in EmailStatus]
    assert email.additional_properties == {"color": "blue"}
    assert email.to_dict()["from"] == {"address": "a@acme.test", "name": None}
    assert Email.from_dict(email.to_dict()) == email


def test_secrets_are_not_in_the_representation() -> None:
    endpoint = WebhookEndpointWithSecret.from_dict(
        {
            "id": "whe_1",
            "url": "https://acme.test/hook",
            "secret": "whsec_topsecret",
            "events": ["email.*"],
            "status": "enabled",
            "description": None,
            "metadata": {},
            "disabled_reason": None,
            "failing_since": None,
            "previous_secret_expires_at": None,
            "workspace_id": None,
            "filter": None,
            "payload": "full",
            "headers": {},
            "secret_header_names": [],
            "signature": "hmac",
            "public_key": None,
            "schema_version": 1,
            "client_certificate": None,
            "throttle": None,
            "concurrency": None,
            "fifo": None,
            "consumer": None,
            "destination": {
                "access_key_id": None,
                "jetstream": None,
                "max_length": None,
                "region": None,
                "secret_set": False,
                "stream": None,
                "subject": None,
                "type": "http",
                "username": None,
            },
            "health": {
                "state": "healthy",
                "failing_since": None,
                "consecutive_failures": 0,
                "retry_at": None,
                "throttled_since": None,
                "next_probe_at": None,
            },
            "created_at": "2026-11-24T12:00:00Z",
            "updated_at": "2026-11-24T12:00:00Z",
        }
    )
    assert endpoint.secret == "whsec_topsecret"
    assert "topsecret" not in repr(endpoint)


@pytest.fixture
def _log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="penguinmails"):
        yield caplog


def test_log_has_neither_keys_nor_addresses(_log: pytest.LogCaptureFixture) -> None:  # noqa: PT019
    with (
        ScriptedServer([OK, _page(range(1), None)]) as server,
        PenguinMails("pm_test_topsecret", base_url=server.url) as client,
    ):
        client.emails.send(from_="Ada <ada@acme.test>", to="bob@acme.test", subject="Hi", text="pm_live_topsecret")
        client.emails.list(to="bob@acme.test")
    text = "\n".join(record.getMessage() for record in _log.records if record.name == "penguinmails")
    assert "POST /v1/emails -> 202 (req_1, try 1)" in text
    assert "b***@acme.test" in text
    assert "b***%40acme.test" in text
    for secret in ("topsecret", "ada@", "bob@", "bob%40"):
        assert secret not in text


def test_redaction() -> None:
    assert redact("pm_live_abc123 and whsec_QUJD= go") == "pm_live_*** and whsec_*** go"
    assert redact("Bearer abc.def") == "Bearer ***"
    assert redact('{"to":["ada@example.com","a@b.c"]}') == '{"to":["a***@example.com","a***@b.c"]}'
    assert redact("grüße@例え.jp") == "g***@例え.jp"
    assert redact("nothing to hide") == "nothing to hide"


def test_log_variable_shows_the_log() -> None:
    code = "import penguinmails, logging; logging.getLogger('penguinmails').info('hello ada@example.com')"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env={"PENGUINMAILS_LOG": "debug"}, capture_output=True, text=True, check=True)
    assert "penguinmails INFO hello a***@example.com" in shown.stderr
    silent = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    assert silent.stderr == ""


def test_import_loads_no_models() -> None:
    code = "import sys, penguinmails; print([name for name in sys.modules if '_generated.models' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
