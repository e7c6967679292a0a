"""Schemathesis with every check it has, on a fixed seed and a small budget; `make fuzz` invents thousands more."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penguinmails_api.app import api, create_gateway
from penguinmails_api.gateway import Gateway
from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import DatabaseSettings, StackSettings
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.contract.fuzz import fuzz
from tests.fixtures.factories import Tenant


async def started(gateway: Gateway) -> ApiServer:
    server = ApiServer(gateway, "127.0.0.1", 0)
    server.bind()
    await server.start()
    return server


@pytest.fixture
def settings() -> Settings:
    """With mail of the server's own, which invitations need."""
    return Settings(
        stack=StackSettings(system_mail_from=LOCAL_SENDER),
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=3),
    )


@pytest.fixture
async def url(services: Services) -> AsyncIterator[str]:
    await prepare_mail(services)
    server = await started(create_gateway(services))
    try:
        yield server.url
    finally:
        await server.stop()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("document", "cases"), [("/openapi.json", 1000), ("/openapi/v2.json", 100)])
async def test_every_answer_is_as_documented(url: str, tenant: Tenant, document: str, cases: int) -> None:
    outcome = await fuzz(url, tenant.key, seed=20261124, examples=4, document=document)
    assert outcome.status == 0, outcome.output[-8000:]
    assert outcome.cases > cases, outcome.output[-2000:]


async def test_an_answer_that_is_not_as_documented_is_found(
    services: Services, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document says that /v1/me has a field that it does not have."""
    changed: dict[str, Any] = copy.deepcopy(api().openapi())
    reference = changed["paths"]["/v1/me"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    me = changed["components"]["schemas"][reference.rpartition("/")[2]]
    me["properties"]["ghost"] = {"type": "string"}
    me["required"] = [*me["required"], "ghost"]
    monkeypatch.setattr(api(), "openapi_schema", changed)
    server = await started(create_gateway(services))
    try:
        only = ["--include-operation-id", "me_get"]
        outcome = await fuzz(server.url, tenant.key, seed=1, examples=2, phases=["coverage"], arguments=only)
    finally:
        await server.stop()
    assert outcome.status == 1, outcome.output[-3000:]
    assert "ghost" in outcome.output
