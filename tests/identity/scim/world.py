"""What tests of SCIM start from."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.models import ScimToken

BASE = "http://localhost:8025/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


async def make_token(services: Services, organization_id: UUID, connection: str, **columns: Any) -> str:
    secret = "pm_scim_" + new_uuid().hex
    async with services.database.tenant(organization_id) as session:
        session.add(
            ScimToken(
                organization_id=organization_id,
                id=new_uuid(),
                connection_id=ids.decode(Prefix.SSO_CONNECTION, connection),
                name="t",
                hash=sha256(secret.encode()).digest(),
                **columns,
            )
        )
    return secret


def user(name: str = "grace", **members: Any) -> dict[str, Any]:
    return {
        "schemas": [USER],
        "userName": f"{name}@example.com",
        "displayName": name.title(),
        "emails": [{"value": f"{name}@example.com", "type": "work", "primary": True}],
        "active": True,
        **members,
    }


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


async def create_user(scim: httpx.AsyncClient, name: str = "grace", **members: Any) -> dict[str, Any]:
    answer = await scim.post("/Users", json=user(name, **members))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def create_group(scim: httpx.AsyncClient, name: str, *members: dict[str, Any]) -> dict[str, Any]:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": member["id"]} for member in members]}
    answer = await scim.post("/Groups", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def role_of(services: Services, email: str) -> str | None:
    role: str | None = await services.database.worker.fetchval(
        "select m.role from members m join users u on u.id = m.user_id where u.email = $1", email
    )
    return role
