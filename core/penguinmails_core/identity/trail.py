"""Sign-ins and changes of credentials in the audit log of every organization that the person belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.identity import repository
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import Prefix


async def tell(
    connection: Connection,
    user_id: UUID,
    action: str,
    *,
    passkey_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Call it last in the transaction of the change. In the order of ids, so that two people of the same organizations
    cannot wait for each other."""
    rows = await repository.organizations_of(connection, user_id)
    resource = Resource(Prefix.PASSKEY, passkey_id) if passkey_id is not None else Resource(Prefix.USER, user_id)
    for organization_id in sorted(row["id"] for row in rows):
        await audit.record_on(connection, Actor.user(organization_id, user_id), action, resource, before, after)
