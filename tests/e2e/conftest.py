"""One running sandbox for the tests that only talk to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.program import Program
from tests.e2e.wire import Answer, call, eventually


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A `sandbox --json` that runs. `info` is what it said, `first` and `second` are its organizations."""

    program: Program
    info: dict[str, Any]

    @property
    def first(self) -> dict[str, str]:
        organization: dict[str, str] = self.info["organizations"][0]
        return organization

    @property
    def second(self) -> dict[str, str]:
        organization: dict[str, str] = self.info["organizations"][1]
        return organization

    def api(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        """A request with the first organization's key, or another one. ``Idempotency_Key="x"`` adds that header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(method, self.info["base_url"] + path, body, key=key or self.first["api_key"], headers=named)

    def send(self, to: str, *, key: str | None = None, **fields: Any) -> str:
        """Send a short message from the first organization; its id."""
        body = {"from": self.first["from"], "to": [to], "subject": "Hello", "text": "Hello!"} | fields
        answer = self.api("POST", "/v1/emails", body, key=key)
        assert answer.status == 202, answer.body
        return str(answer.json()["id"])

    def inbox(self, to: str) -> list[dict[str, Any]]:
        """What the inbox has for a recipient, the newest first."""
        found: list[dict[str, Any]] = call("GET", f"{self.info['inbox_url']}/api/messages?to={to}").json()["data"]
        return found

    def mail(self, to: str) -> dict[str, Any]:
        """The one mail for a recipient, in full, once it is there."""
        found = eventually(lambda: self.inbox(to), f"mail for {to}")
        assert len(found) == 1
        message: dict[str, Any] = call("GET", f"{self.info['inbox_url']}/api/messages/{found[0]['id']}").json()
        return message

    def event_types(self, email_id: str, *, key: str | None = None) -> list[str]:
        answer = self.api("GET", f"/v1/emails/{email_id}/events", key=key)
        assert answer.status == 200, answer.body
        return sorted(event["type"] for event in answer.json()["data"])


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Program("sandbox", "--json") as program:
        yield Sandbox(program, json.loads(program.line()))
        program.close_stdin()
        assert program.wait() == 0, program.errors()
        assert program.rest() == [], "standard output holds one line and nothing else"
