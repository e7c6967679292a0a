"""The order of `GET /v1/events`."""

from __future__ import annotations

from penguinmails_core.events.repository import EventFilter
from penguinmails_core.events.service import list_events
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from tests.fixtures.factories import make_tenant


async def test_transaction_ids_are_numbers_not_text(database: Database) -> None:
    tenant = await make_tenant(database)
    for xid in (9, 10, 99, 100, 700):
        await database.worker.execute(
            "insert into events (organization_id, id, mode, type, resource_id, sequence, payload, xid) "
            "values ($1, $2, 'live', 'email.queued', $2, 1, '{}', $3::text::xid8)",
            tenant.id,
            new_uuid(),
            str(xid),
        )
    async with database.tenant(tenant.id) as session:
        found, _ = await list_events(session, tenant.principal(), EventFilter(), after=None, limit=10)
    assert [event["xid"] for event in found] == [9, 10, 99, 100, 700]
