"""What was promised is still kept: the examples of each released document are sent to this server, and its answers are
judged by that document, not by today's."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from penguinmails_core.kit.db import Database
from tests.conftest import ROOT
from tests.contract.completeness import Document, operations, resolve
from tests.fixtures.contract import Contract
from tests.fixtures.factories import Tenant, make_domain

RELEASED = sorted((ROOT / "openapi" / "released").glob("v*-*.json"))
CURRENT = sorted((ROOT / "openapi").glob("v*.json"))
_ID = re.compile(r"\b([a-z]{2,6})_[0-7][0-9a-hjkmnp-tv-z]{25}\b")


class Replay:
    """Sends one operation after the other. Ids that answers mention are used in the paths of later ones."""

    def __init__(self, http: httpx.AsyncClient, document: Document) -> None:
        self.http = http
        self.document = document
        self.contract = Contract(document)
        self.known: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()

    async def run(self) -> None:
        for method, path, operation in sorted(operations(self.document), key=_order):
            await self._send(method, path, operation)

    async def _send(self, method: str, path: str, operation: Document) -> None:
        real = re.sub(r"\{(\w+)\}", lambda found: self._argument(operation, found[1]), path)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = json.dumps(content["example"]).encode() if content else b""
        headers = {"Content-Type": "application/json"} if content else {}
        response = await self.http.request(method.upper(), real, content=body, headers=headers)
        self.statuses[response.status_code] += 1
        received = {name.lower(): value for name, value in response.headers.items()}
        answer = self._known_events(operation, response.content)
        self.contract.check(method.upper(), real, body, response.status_code, received, answer)
        if response.is_success:
            self.known |= {found[1]: found[0] for found in _ID.finditer(response.text)}

    def _known_events(self, operation: Document, answer: bytes) -> bytes:
        """Without events that came later: more types may be added, the contract says, and clients pass them over."""
        if operation["operationId"] != "events_list":
            return answer
        page = json.loads(answer)
        known = self.document["webhooks"]
        page["data"] = [event for event in page.get("data", ()) if event["type"] in known]
        return json.dumps(page).encode()

    def _argument(self, operation: Document, name: str) -> str:
        for entry in operation.get("parameters", []):
            parameter = resolve(self.document, entry)
            if parameter["name"] == name:
                told = [parameter.get("example"), *parameter["schema"].get("examples", [])]
                prefix = re.match(r"\^([a-z]+)_", parameter["schema"].get("pattern", ""))
                if not prefix and told[-1] is not None:
                    return str(told[-1])
                if prefix:
                    return self.known.get(prefix[1], f"{prefix[1]}_01kaz6yzwhe1xrqm3c8s4q3m8r")
        return "not_found"


def _order(entry: tuple[str, str, Document]) -> tuple[int, int, str]:
    """Things are made before they are read, changed and deleted."""
    method, path, _ = entry
    return (method == "delete", path.count("{") + (method != "post"), path)


@pytest.mark.parametrize("path", [*RELEASED, *CURRENT], ids=lambda path: path.name)
async def test_examples_are_answered_as_was_promised(
    path: Path, services: Services, database: Database, tenant: Tenant
) -> None:
    await make_domain(database, tenant, "acme.test")  # from which the examples send
    transport = httpx.ASGITransport(create_gateway(services), client=("127.0.0.1", 40000))
    headers = {"Authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as http:
        replay = Replay(http, json.loads(path.read_text()))
        await replay.run()
    count = sum(replay.statuses.values())
    assert count == sum(1 for _ in operations(replay.document))
    succeeded = sum(times for status, times in replay.statuses.items() if status < 300)
    assert succeeded > count / 2, f"most examples should do something: {dict(replay.statuses)}"


async def test_a_promise_that_is_not_kept_is_found(services: Services, tenant: Tenant) -> None:
    document: dict[str, Any] = json.loads(CURRENT[0].read_text())
    content = document["paths"]["/v1/me"]["get"]["responses"]["200"]["content"]["application/json"]
    resolve(document, content["schema"])["required"].append("gone")
    transport = httpx.ASGITransport(create_gateway(services), client=("127.0.0.1", 40000))
    headers = {"Authorization": f"Bearer {tenant.key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as http:
        with pytest.raises(AssertionError, match="'gone' is a required property"):
            await Replay(http, document).run()


async def test_events_that_came_later_are_no_broken_promise(services: Services, tenant: Tenant) -> None:
    document: dict[str, Any] = json.loads(CURRENT[0].read_text())
    replay = Replay(httpx.AsyncClient(), document)
    kept: dict[str, Any] = {"data": [{"type": "email.sent"}], "has_more": False}
    later = {**kept, "data": [*kept["data"], {"type": "moon.landed"}]}
    for operation_id, expected in (("events_list", kept), ("emails_list", later)):
        answer = replay._known_events({"operationId": operation_id}, json.dumps(later).encode())
        assert json.loads(answer) == expected
    await replay.http.aclose()
