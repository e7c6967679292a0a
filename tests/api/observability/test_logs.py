"""What log lines look like, and what they never hold."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.observability.logs import configure_logging, mask
from penguinmails_api.services import Services
from penguinmails_core.config import StackSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant

KEY = "pm_live_" + "a" * 38
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    def use(self, form: Literal["text", "json"]) -> None:
        configure_logging("info", form, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield Lines()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail to ada.lovelace+x@example.com failed", "mail to ***@example.com failed"),
        ("<ada@localhost>, bob@b.test", "<***@localhost>, ***@b.test"),
        ("postgresql://app:hunter2@db:5432/x", "postgresql://app:***@db:5432/x"),
        (f"Bearer {KEY}", "Bearer [redacted]"),
        (f"token={JWT}", "token=[redacted]"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[redacted]"),
        ("nothing to hide: key_01kaz6yzwhe1xrqm3c8s4q3m8r", "nothing to hide: key_01kaz6yzwhe1xrqm3c8s4q3m8r"),
    ],
)
def test_masks(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_secret_in_messages_arguments_extras_and_traces(lines: Lines, form: Literal["text", "json"]) -> None:
    lines.use(form)
    log = logging.getLogger("penguinmails_test")
    log.warning("no mail for %s with %s", "ada@example.com", KEY, extra={"who": f"ada@example.com {JWT}"})
    try:
        raise ValueError(f"ada@example.com {KEY}")
    except ValueError:
        log.exception("it failed")
    for secret in ("ada@", KEY, JWT):
        assert secret not in lines.text
    assert "***@example.com" in lines.text
    assert "Traceback" in lines.text


def test_a_json_line(lines: Lines) -> None:
    lines.use("json")
    logging.getLogger("penguinmails_test").warning("hello\n%s", "there", extra={"request_id": "req_1", "count": 3})
    (line,) = lines.objects
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "penguinmails_test",
        "message": "hello\nthere",
        "request_id": "req_1",
        "count": 3,
    }


async def test_the_access_log(lines: Lines, services: Services, tenant: Tenant) -> None:
    settings = replace(services.settings, stack=StackSettings(access_log=True))
    lines.use("json")
    async with ApiClient(create_gateway(replace(services, settings=settings)), tenant.key) as client:
        answer = await client.get("/v1/emails/msg_x", params={"fields": "secret-words"})
        await client.as_(None).get("/v1/me", params={"api_key": KEY})
    first, second = (line for line in lines.objects if line["logger"].endswith(".access"))
    assert first["request_id"] == answer.headers["request-id"]
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v1/emails/msg_x", answer.status_code)
    assert first["principal"] == ids.encode(Prefix.API_KEY, tenant.live_key.id)
    assert (second["status"], second["principal"], second["error_code"]) == (400, None, "key_in_query")
    assert tenant.key not in lines.text
    assert KEY not in lines.text
    assert "secret-words" not in lines.text


async def test_no_access_log_unless_asked_for(lines: Lines, client: ApiClient) -> None:
    lines.use("json")
    await client.get("/v1/me")
    assert lines.objects == []
