"""Keys: made once, shown once, and never stronger than the key that made them."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from penguinmails_core.api_keys.repository import list_for_organization
from penguinmails_core.api_keys.service import create_key, revoke_key
from penguinmails_core.errors import NotFound, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import api_key_well_formed
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.organizations.service import create_organization
from tests.fixtures.factories import make_tenant


async def test_only_the_hash_is_kept(database: Database) -> None:
    organization = await create_organization(database, "Acme")
    key, plain = await create_key(database, organization.id, mode="test", name="ci")
    assert plain.startswith("pm_test_")
    assert api_key_well_formed(plain)
    row = await database.worker.fetchrow("select * from api_keys where id = $1", key.id)
    assert row["hash"] == hashlib.sha256(plain.encode()).digest()
    assert plain not in str(dict(row))
    assert plain[12:-4] not in row["hint"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"mode": "prod"}, "/mode"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["emails:read", "emails:own"]}, "/scopes/1"),
        ({"allowed_ips": ["192.0.2.1", "office"]}, "/allowed_ips/1"),
        ({"expires_at": utcnow() - timedelta(seconds=1)}, "/expires_at"),
    ],
)
async def test_what_cannot_be_is_named(database: Database, change: dict[str, object], pointer: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        await create_key(database, ids.new_uuid(), **({"mode": "live", "name": "k"} | change))  # type: ignore[arg-type]
    assert [error.pointer for error in caught.value.errors] == [pointer]


async def test_a_foreign_workspace_does_not_exist(database: Database) -> None:
    ours, theirs = await make_tenant(database), await make_tenant(database, "Umbrella")
    with pytest.raises(NotFound):
        await create_key(database, ours.id, mode="live", name="k", workspace_id=theirs.workspace_id)


async def test_revoking_is_for_good_and_for_the_owner_only(database: Database) -> None:
    ours, theirs = await make_tenant(database), await make_tenant(database, "Umbrella")
    with pytest.raises(NotFound):
        await revoke_key(database, Doorbell(), theirs.id, ours.live_key.id)
    first = await revoke_key(database, Doorbell(), ours.id, ours.live_key.id)
    again = await revoke_key(database, Doorbell(), ours.id, ours.live_key.id)
    assert first.revoked_at == again.revoked_at is not None
    async with database.tenant(ours.id) as session:
        assert [key.revoked_at is None for key in await list_for_organization(session, ours.id)] == [True, False]


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
async def test_an_organization_needs_a_name(database: Database, name: str) -> None:
    with pytest.raises(Unprocessable):
        await create_organization(database, name)
