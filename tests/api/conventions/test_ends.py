"""`Deprecation` and `Sunset`, on a router of the test's own: nothing real is deprecated."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from penguinmails_api.app import Api
from penguinmails_api.gateway import Gateway
from penguinmails_api.routing import operation
from penguinmails_api.services import Services
from penguinmails_api.v1.common import Resource
from tests.fixtures.client import ApiClient
from tests.fixtures.contract import Contract
from tests.fixtures.factories import Tenant

router = APIRouter(prefix="/v1/me", tags=["me"])


class Old(Resource):
    """An answer of the past."""

    id: str


@router.get(
    "/old",
    summary="The old way",
    **operation(
        "me_old",
        deprecated=datetime(2026, 11, 24, 12, tzinfo=UTC),
        sunset=datetime(2027, 11, 24, 12, tzinfo=UTC),
        successor="/v2/me",
    ),
)
async def old() -> Old:
    """Use the new one."""
    return Old(id="me")


async def test_an_end_is_announced_in_every_answer_and_in_the_document(services: Services, tenant: Tenant) -> None:
    application = Api()
    application.add(router)
    document = application.openapi()
    described = document["paths"]["/v1/me/old"]["get"]
    assert described["deprecated"] is True
    assert {"Deprecation", "Sunset"} <= set(described["responses"]["200"]["headers"])
    async with ApiClient(Gateway(application, services), tenant.key) as client:
        client.contract = Contract(document)
        for path, status in (("/v1/me/old", 200), ("/v1/me/old?fields=nonsense", 422)):
            response = await client.get(path)
            assert response.status_code == status
            assert response.headers["deprecation"] == "@1795521600"
            assert response.headers["sunset"] == "Wed, 24 Nov 2027 12:00:00 GMT"
            assert response.headers["link"] == '</v2/me>; rel="successor-version"'
        assert "deprecation" not in (await client.get("/v1/me")).headers
