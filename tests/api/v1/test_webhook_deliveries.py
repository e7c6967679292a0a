"""`/v1/webhook_deliveries`: search over all endpoints, by indexes; attempts with their parts; a file that is safe to
open."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import WebhookDelivery
from penguinmails_core.webhook_deliveries import repository, service
from penguinmails_core.webhook_deliveries.repository import Filter
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Recipient, Tenant, make_email

PATH = "/v1/webhook_deliveries"
_made = 0
COLUMNS = ("status", "event_type", "last_status_code", "last_error")


async def endpoint(client: ApiClient) -> str:
    body = {"url": "https://hooks.example.com/in", "events": ["*"]}
    made: str = (await client.post("/v1/webhook_endpoints", json=body)).json()["id"]
    return made


async def deliver(
    database: Database,
    tenant: Tenant,
    endpoint_id: str,
    *,
    event_id: UUID | None = None,
    age: timedelta = timedelta(0),
    **values: Any,
) -> str:
    """A delivery as the engine leaves it; returns its id."""
    delivery_id = uuid_from(utcnow() - age)
    row = {"status": "delivered", "event_type": "email.sent", "last_status_code": 204, "last_error": None} | values
    await database.worker.execute(
        "insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, created_at, "
        f"{', '.join(COLUMNS)}) values ($1, $2, $3, $4, now(), now() - $5::interval, $6, $7, $8, $9)",
        *(tenant.id, delivery_id, ids.decode("whe", endpoint_id), event_id or new_uuid(), age),
        *(row[name] for name in COLUMNS),
    )
    return ids.encode("whd", delivery_id)


def uuid_from(moment: datetime) -> UUID:
    """A UUIDv7 of that time, and later than the one before."""
    global _made
    _made += 1
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | _made)


async def found(client: ApiClient, query: str = "") -> list[str]:
    response = await client.get(f"{PATH}?{query}")
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["data"]]


async def test_every_filter(client: ApiClient, database: Database, tenant: Tenant) -> None:
    one, two = await endpoint(client), await endpoint(client)
    email_id = await make_email(database, tenant, [Recipient("ada@example.com")])
    event = (await client.get("/v1/events?types=email.*")).json()["data"][0]["id"]
    mailed = await deliver(database, tenant, one, event_id=ids.decode("evt", event), event_type="email.queued")
    failed = await deliver(
        database, tenant, one, status="exhausted", last_status_code=503, last_error="status: the receiver answered 503"
    )
    late = await deliver(
        database,
        tenant,
        two,
        status="pending",
        last_status_code=None,
        last_error="timeout: no answer",
        age=timedelta(hours=2),
    )
    domain = await deliver(database, tenant, two, event_type="domain.created")
    assert await found(client) == [domain, failed, mailed, late]
    hour_ago = (await database.worker.fetchval("select now() - interval '1 hour'")).isoformat().replace("+00:00", "Z")
    for query, expected in (
        (f"endpoint_id={one}", [failed, mailed]),
        ("status=exhausted", [failed]),
        ("status=exhausted&status=pending", [late, failed]),
        ("status=delivered", [domain, mailed]),
        (f"event_id={event}", [mailed]),
        (f"email_id={ids.encode('msg', email_id)}", [mailed]),
        ("types=domain.*", [domain]),
        ("types=email.queued&types=domain.created", [domain, mailed]),
        ("types=*", [domain, late, failed, mailed]),
        ("status_code=503", [failed]),
        ("status_code=204&status_code=503", [domain, failed, mailed]),
        ("error=timeout", [late]),
        ("error=timeout&error=status", [late, failed]),
        (f"until={hour_ago}", [late]),
        (f"since={hour_ago}", [domain, failed, mailed]),
        (f"endpoint_id={two}&status=delivered", [domain]),
        (f"endpoint_id={two}&status_code=503", []),
    ):
        assert sorted(await found(client, query)) == sorted(expected), query


async def test_pages(client: ApiClient, database: Database, tenant: Tenant) -> None:
    hook = await endpoint(client)
    made = [await deliver(database, tenant, hook) for _ in range(5)][::-1]
    first = (await client.get(f"{PATH}?limit=2")).json()
    second = (await client.get(f"{PATH}?limit=2&after={first['next_cursor']}")).json()
    assert [row["id"] for row in first["data"] + second["data"]] == made[:4]
    last = (await client.get(f"{PATH}?limit=2&after={second['next_cursor']}")).json()
    assert ([row["id"] for row in last["data"]], last["has_more"], last["next_cursor"]) == (made[4:], False, None)
    back = (await client.get(f"{PATH}?limit=1&before={first['next_cursor']}")).json()
    assert [row["id"] for row in back["data"]] == made[:1]


async def test_what_is_wrong_is_named(client: ApiClient) -> None:
    for query, pointer in (
        ("status=lost", "status"),
        ("event_id=evt_x", "event_id"),
        ("email_id=rcp_x", "email_id"),
        ("types=email.lost", "types"),
        ("status_code=99", "status_code"),
        ("error=time%20out", "error"),
        ("since=yesterday", "since"),
        ("color=red", "color"),
    ):
        document = problem(await client.get(f"{PATH}?{query}"), 422, "validation_failed")
        assert document["errors"][0]["pointer"].startswith(pointer), query
    problem(await client.get(f"{PATH}?endpoint_id={ids.encode('whe', new_uuid())}"), 404, "not_found")


async def test_others_see_none_of_it(client: ApiClient, database: Database, tenant: Tenant, stranger: Tenant) -> None:
    hook = await endpoint(client)
    delivery = await deliver(database, tenant, hook)
    for key in (stranger.key, tenant.test):
        other = client.as_(key)
        assert await found(other) == []
        problem(await other.get(f"{PATH}/{delivery}"), 404, "not_found")
        problem(await other.get(f"{PATH}/{delivery}/attempts"), 404, "not_found")
        assert (await other.get(f"{PATH}/export/csv")).headers["export-total"] == "0"


async def test_attempts_with_their_parts(client: ApiClient, database: Database, tenant: Tenant) -> None:
    hook = await endpoint(client)
    delivery = await deliver(database, tenant, hook)
    detail = {
        "dns_ms": 1.5,
        "connect_ms": 10.25,
        "tls_ms": 20.0,
        "first_byte_ms": 30.5,
        "total_ms": 70.1,
        "remote_address": "192.0.2.80",
        "tls_version": "TLSv1.3",
        "reused": False,
        "request_headers": {"webhook-id": "evt_1", "x-token": "(hidden)"},
        "response_headers": {"server": "nginx"},
    }
    for number, value in ((1, None), (2, detail)):
        await database.worker.execute(
            "insert into webhook_attempts (organization_id, id, delivery_id, endpoint_id, number, started_at, "
            "duration_ms, status_code, detail) values ($1, $2, $3, $4, $5, now(), 71, 204, $6)",
            *(tenant.id, new_uuid(), ids.decode("whd", delivery), ids.decode("whe", hook), number, value),
        )
    first, second = (await client.get(f"{PATH}/{delivery}/attempts")).json()["data"]
    assert set(first["timing"].values()) == {None}
    assert (first["remote_address"], first["request_headers"]) == (None, {})
    assert second["timing"] == {name: detail[name] for name in second["timing"]}
    assert (second["remote_address"], second["connection_reused"]) == ("192.0.2.80", False)
    assert second["request_headers"] == detail["request_headers"]
    assert second["response_headers"] == {"server": "nginx"}
    whole = (await client.get(f"{PATH}/{delivery}?expand=endpoint")).json()
    assert whole["attempts"] == [first, second]
    assert whole["endpoint"]["id"] == hook


async def test_a_file_that_is_safe_to_open(
    client: ApiClient, database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PAGE", 2)
    hook = await endpoint(client)
    made = [await deliver(database, tenant, hook) for _ in range(4)]
    made.append(await deliver(database, tenant, hook, status="exhausted", last_error='=HYPERLINK("https://evil")'))
    response = await client.get(f"{PATH}/export/csv")
    assert response.headers["export-total"] == "5"
    assert "attachment" in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["id"] for row in rows] == made[::-1]
    assert rows[0]["last_error"] == '\'=HYPERLINK("https://evil")'
    assert (rows[1]["last_error"], rows[1]["status"]) == ("", "delivered")
    some = await client.get(f"{PATH}/export/csv?status=exhausted")
    assert len(some.text.splitlines()) == 2
    assert (await client.get(f"{PATH}/export/csv?types=domain.*")).text.count("\r\n") == 1


@pytest.fixture
async def many(client: ApiClient, database: Database, tenant: Tenant) -> str:
    """Forty thousand deliveries as a busy organization has them: few of them have failed. Returns the endpoint."""
    hook = await endpoint(client)
    await database.worker.execute(
        """
        insert into webhook_deliveries (organization_id, id, endpoint_id, event_id, event_created_at, event_type,
          status, last_status_code, last_error)
        select $1, gen_random_uuid(), $2, gen_random_uuid(), now(),
          case when n % 4000 = 0 then 'domain.created' else 'email.sent' end,
          case when n % 1000 = 0 then 'exhausted' else 'delivered' end,
          case when n % 1000 = 0 then 503 else 204 end,
          case when n % 1000 = 0 then 'status: 503' end
        from generate_series(1, 40000) n""",
        tenant.id,
        ids.decode("whe", hook),
    )
    await database.worker.execute("set role none; analyze webhook_deliveries; set role penguinmails_worker")
    return hook


async def test_an_index_serves_each_filter(many: str, database: Database, tenant: Tenant) -> None:
    """What is rare is found by an index that has it; what is frequent on the way down the primary key."""
    endpoint_id = ids.decode("whe", many)
    for wanted, index in (
        (Filter(), "pk_webhook_deliveries"),
        (Filter(statuses=["delivered"]), "pk_webhook_deliveries"),
        (Filter(statuses=["exhausted"]), "ix_webhook_deliveries_ended"),
        (Filter(status_codes=[503]), "ix_webhook_deliveries_code"),
        (Filter(errors=["status"]), "ix_webhook_deliveries_error"),
        (Filter(types=["domain.created"]), "ix_webhook_deliveries_type"),
        (Filter(event_id=new_uuid()), "uq_webhook_deliveries_organization_id_endpoint_id_event_id"),
        (Filter(endpoint_id=endpoint_id), "pk_webhook_deliveries"),
    ):
        query = repository.page(repository.search(tenant.id, [endpoint_id], wanted), limit=21)
        assert await _indexes(database, tenant, query) == {index}, wanted


async def _indexes(database: Database, tenant: Tenant, query: Any) -> set[str]:
    """The indexes of a plan; raises AssertionError when the table is read as a whole."""
    sql = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]
    async with database.tenant(tenant.id) as session:
        plan = await session.scalar(text("explain (format json) " + sql.replace(":", "\\:")))
    found: set[str] = set()

    def walk(node: Any) -> None:
        assert node["Node Type"] != "Seq Scan" or node["Relation Name"] != WebhookDelivery.__tablename__, node
        if "Index Name" in node:
            found.add(node["Index Name"])
        for part in node.get("Plans", ()):
            walk(part)

    walk((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"])
    return found
