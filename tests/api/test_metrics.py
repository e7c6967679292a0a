"""What Prometheus sees."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Recipient, Tenant, make_email


async def scrape(client: ApiClient) -> dict[tuple[str, tuple[str, ...]], float]:
    text = (await client.as_(None).get("/metrics")).text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_template(client: ApiClient, database: Database, tenant: Tenant) -> None:
    for _ in range(3):
        email_id = await make_email(database, tenant)
        await client.get(f"/v1/emails/{ids.encode('msg', email_id)}")
    await client.get("/v1/emails/msg_x")
    await client.get("/v1/no/such/path")
    metrics = await scrape(client)
    assert metrics["penguinmails_http_requests_total", ("GET", "/v1/emails/{email_id}", "200")] == 3
    assert metrics["penguinmails_http_requests_total", ("GET", "/v1/emails/{email_id}", "404")] == 1
    assert metrics["penguinmails_http_requests_total", ("GET", "unmatched", "404")] == 1
    assert metrics["penguinmails_http_request_seconds_count", ("/v1/emails/{email_id}",)] == 4
    assert not any("msg_" in label for _, labels in metrics for label in labels)


async def test_an_unknown_method_is_not_a_label(client: ApiClient) -> None:
    for number in range(3):
        await client.request(f"X{number}", "/healthz")
    methods = {labels[0] for name, labels in await scrape(client) if name == "penguinmails_http_requests_total"}
    assert methods <= {"GET", "other"}


async def test_queue_depth_is_told_by_lane(
    client: ApiClient, services: Services, database: Database, tenant: Tenant
) -> None:
    await make_email(database, tenant, [Recipient("a@gmail.com"), Recipient("b@gmail.com"), Recipient("c@x.test")])
    await make_email(database, tenant, [Recipient("d@x.test", "delivered")])
    await make_email(database, tenant, [Recipient("e@x.test")], mode="test")
    metrics = await scrape(client)
    depth = {labels[0]: value for (name, labels), value in metrics.items() if name == "penguinmails_queue_depth"}
    assert depth == {
        "live/transactional/default/google": 2,
        "live/transactional/default/other": 1,
        "test/transactional/default/other": 1,
    }
    assert metrics["penguinmails_messages_accepted_total", ()] == 0
    assert metrics["penguinmails_webhook_deliveries_due", ()] == 0
