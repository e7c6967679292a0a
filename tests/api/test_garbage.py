"""Every operation of the specification is given what nobody should send. It answers as documented, and never 5xx."""

from __future__ import annotations

from typing import Any

import pytest

from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.api.things import PATHS
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant, make_email

TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "null",
    "true",
    "1e999",
    "9" * 400,
    "x" * 5000,
    "\u202e\u0000".replace("\u0000", "\u0001"),
    "🐧",
    "' or 1=1 --",
    "../../etc/passwd",
    "%25s%n",
    "{{7*7}}",
    "<script>",
    "a\r\nSet-Cookie: x=1",
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Av____________________________________________",
    "msg_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz",
]
BODIES: list[Any] = [
    [],
    {},
    "x",
    0,
    True,
    [[[[]]]],
    {"scheduled_at": 1e300},
    {"scheduled_at": "9999-12-31T23:59:59-23:59"},
    {"scheduled_at": "0001-01-01T00:00:00+23:59"},
    {"scheduled_at": "2026-12-24T18:00:00Z", "scheduled_at\u0000": "x"},
    {"": "", "a" * 10_000: {}},
]

OPERATIONS = [
    (method.upper(), path, operation)
    for path, entry in PATHS.items()
    for method, operation in entry.items()
    if path.startswith(("/v1/", "/v2/", "/graphql"))
]
NAMES = [f"{path[1:3]}-{operation['operationId']}" for _, path, operation in OPERATIONS]


@pytest.fixture
async def email_id(database: Database, tenant: Tenant) -> str:
    return ids.encode("msg", await make_email(database, tenant))


def fill(path: str, value: str) -> str:
    start, _, rest = path.partition("{")
    return start + value + fill(rest.partition("}")[2], ids.encode("att", ids.new_uuid())) if rest else path


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
async def test_parameters(client: ApiClient, email_id: str, method: str, path: str, operation: dict[str, Any]) -> None:
    names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter.get("in") == "query"]
    for name in [*names, "unheard_of"]:
        for text in TEXTS:
            response = await client.request(method, fill(path, email_id), params=[(name, text)])
            assert response.status_code < 500, f"{name}={text!r}: {response.text}"
            assert name != "unheard_of" or response.status_code >= 400


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
async def test_ids(client: ApiClient, method: str, path: str, operation: dict[str, Any]) -> None:
    if "{" not in path:
        return
    for text in TEXTS:
        if "/" in text or not text or text.startswith("<") or not text.isprintable():
            continue
        response = await client.request(method, fill(path, text))
        assert response.status_code in (404, 405, 422), f"{text!r}: {response.text}"


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
async def test_bodies(client: ApiClient, email_id: str, method: str, path: str, operation: dict[str, Any]) -> None:
    if method == "GET":
        return
    for body in BODIES:
        response = await client.request(method, fill(path, email_id), json=body)
        assert response.status_code < 500, f"{body!r}: {response.text}"
