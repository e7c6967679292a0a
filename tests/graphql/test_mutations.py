"""Changing: through the same services, in one transaction each, once per idempotency key."""

from __future__ import annotations

import pytest

from penguinmails_api.services import Services
from penguinmails_core.audit.actor import Actor
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.limits import service as limits
from tests.fixtures.factories import Recipient, Tenant, make_domain, make_email
from tests.graphql.conftest import GraphClient

SEND = """mutation ($input: SendEmailInput!, $key: String) {
  sendEmail(input: $input, idempotencyKey: $key) { email { id status subject recipients { address kind } } } }"""
MESSAGE = {"from": "Acme <hello@acme.test>", "to": ["ada@example.com"], "subject": "Hi", "text": "Hello"}


@pytest.fixture
async def domain(database: Database, tenant: Tenant) -> None:
    await make_domain(database, tenant, "acme.test")


@pytest.mark.usefixtures("domain")
async def test_send(graph: GraphClient, database: Database) -> None:
    data = await graph(SEND, input=MESSAGE | {"cc": ["bob@example.com"], "metadata": {"order": "1"}, "tags": ["t"]})
    email = data["sendEmail"]["email"]
    assert email["status"] == "QUEUED"
    assert [item["kind"] for item in email["recipients"]] == ["to", "cc"]
    rest = (await graph.api.get(f"/v1/emails/{email['id']}")).json()
    assert rest["metadata"] == {"order": "1"}
    assert (await graph.api.get(f"/v1/emails/{email['id']}/content")).json()["text"] == "Hello"
    assert await database.worker.fetchval("select count(*) from events") == 2


@pytest.mark.usefixtures("domain")
async def test_a_key_sends_once(graph: GraphClient, database: Database) -> None:
    first = await graph(SEND, input=MESSAGE, key="k1")
    again = await graph(SEND, input=MESSAGE, key="k1")
    assert again == first
    assert await database.worker.fetchval("select count(*) from email_messages") == 1
    problem = await graph.error(SEND, input=MESSAGE | {"subject": "Other"}, key="k1")
    assert problem["code"] == "idempotency_key_reused"
    rest = await graph.api.post("/v1/emails", json=MESSAGE, idempotency_key="k1")
    assert rest.status_code == 422
    assert (await graph.error(SEND, input=MESSAGE, key="not a key"))["code"] == "invalid_idempotency_key"


@pytest.mark.usefixtures("domain")
async def test_many_are_accepted_together_or_not_at_all(graph: GraphClient, database: Database) -> None:
    query = "mutation ($inputs: [SendEmailInput!]!) { sendEmails(inputs: $inputs) { emails { subject } } }"
    inputs = [MESSAGE | {"subject": f"Number {number}"} for number in range(3)]
    data = await graph(query, inputs=inputs)
    assert [item["subject"] for item in data["sendEmails"]["emails"]] == ["Number 0", "Number 1", "Number 2"]
    problem = await graph.error(query, inputs=[MESSAGE, MESSAGE | {"to": ["nobody"]}])
    assert problem["errors"][0]["pointer"] == "/inputs/1/to/0"
    assert await database.worker.fetchval("select count(*) from email_messages") == 3


async def test_what_cannot_be_sent_is_said_by_field(graph: GraphClient) -> None:
    problem = await graph.error(SEND, input=MESSAGE)
    assert problem["code"] == "domain_not_verified"
    assert problem["errors"][0]["pointer"] == "/from"
    wrong = await graph.error(SEND, input=MESSAGE | {"metadata": {"order": 1}})
    assert wrong["errors"][0]["pointer"] == "/metadata"


async def test_cancel_reschedule_retry(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    waiting = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    at = "2030-01-01T00:00:00Z"
    later = await graph.error(
        "mutation ($id: ID!, $at: DateTime!) { rescheduleEmail(id: $id, scheduledAt: $at) { email { id } } }",
        id=waiting,
        at=at,
    )
    assert later["errors"][0]["code"] == "too_far_ahead"
    cancel = "mutation ($id: ID!, $key: String) { cancelEmail(id: $id, idempotencyKey: $key) { email { status } } }"
    assert (await graph(cancel, id=waiting, key="c"))["cancelEmail"]["email"]["status"] == "CANCELLED"
    assert (await graph(cancel, id=waiting, key="c"))["cancelEmail"]["email"]["status"] == "CANCELLED"
    failed = ids.encode(Prefix.EMAIL, await make_email(database, tenant, [Recipient("a@b.example", "failed")]))
    retry = "mutation ($id: ID!) { retryEmail(id: $id) { email { status } } }"
    assert (await graph(retry, id=failed))["retryEmail"]["email"]["status"] == "QUEUED"
    problem = await graph.error(retry, id=waiting)
    assert (problem["status"], problem["code"]) == (409, "conflict")


async def test_mutations_run_in_order_and_see_each_other(
    graph: GraphClient, database: Database, tenant: Tenant
) -> None:
    name = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    data = await graph(
        f'mutation {{ a: cancelEmail(id: "{name}") {{ email {{ status events {{ type }} }} }} '
        f'b: cancelEmail(id: "{name}") {{ email {{ status events {{ type }} }} }} }}'
    )
    assert data["a"]["email"]["status"] == data["b"]["email"]["status"] == "CANCELLED"
    assert [item["type"] for item in data["b"]["email"]["events"]] == ["email.queued", "email.cancelled"]


async def test_one_that_fails_does_not_stop_the_others(graph: GraphClient, database: Database, tenant: Tenant) -> None:
    name = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    answer = await graph.ask(
        f'mutation {{ a: cancelEmail(id: "x") {{ email {{ id }} }} '
        f'b: cancelEmail(id: "{name}") {{ email {{ status }} }} }}'
    )
    assert answer["data"] == {"a": None, "b": {"email": {"status": "CANCELLED"}}}
    assert [error["path"] for error in answer["errors"]] == [["a"]]


async def test_a_stranger_changes_nothing(
    graph: GraphClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    name = ids.encode(Prefix.EMAIL, await make_email(database, tenant))
    endpoint = await graph(
        'mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/a", events: ["*"]}) '
        "{ webhookEndpoint { id } } }"
    )
    hook = endpoint["createWebhookEndpoint"]["webhookEndpoint"]["id"]
    other = graph.as_(stranger.key)
    for mutation in (
        f'cancelEmail(id: "{name}") {{ email {{ id }} }}',
        f'retryEmail(id: "{name}") {{ email {{ id }} }}',
        f'deleteWebhookEndpoint(id: "{hook}") {{ id }}',
        f'rotateWebhookSecret(id: "{hook}") {{ secret }}',
        f'testWebhookEndpoint(id: "{hook}") {{ eventId }}',
        f'updateWebhookEndpoint(input: {{id: "{hook}", status: DISABLED}}) {{ webhookEndpoint {{ id }} }}',
    ):
        assert (await other.error(f"mutation {{ {mutation} }}"))["status"] == 404, mutation


async def test_webhook_endpoints(graph: GraphClient) -> None:
    create = """mutation ($key: String) {
      createWebhookEndpoint(input: {url: "https://hooks.example.com/a", events: ["email.*"], metadata: {team: "a"}},
        idempotencyKey: $key) { secret webhookEndpoint { id url status metadata } } }"""
    made = (await graph(create, key="w"))["createWebhookEndpoint"]
    assert made["secret"].startswith("whsec_")
    again = (await graph(create, key="w"))["createWebhookEndpoint"]
    assert again == made | {"secret": None}, "a replay knows no secret"
    hook = made["webhookEndpoint"]["id"]
    tested = await graph(f'mutation {{ testWebhookEndpoint(id: "{hook}") {{ eventId deliveryId }} }}')
    data = await graph(
        f'{{ webhookEndpoint(id: "{hook}") {{ deliveries {{ nodes {{ id eventType attempts {{ number }} }} }} }} '
        "webhookEndpoints { nodes { id } } }"
    )
    [delivery] = data["webhookEndpoint"]["deliveries"]["nodes"]
    assert delivery["id"] == tested["testWebhookEndpoint"]["deliveryId"]
    assert delivery["eventType"] == "webhook.test"
    assert data["webhookEndpoints"]["nodes"] == [{"id": hook}]
    changed = await graph(
        f'mutation {{ updateWebhookEndpoint(input: {{id: "{hook}", description: "Orders", status: DISABLED}}) '
        "{ webhookEndpoint { description status events } } }"
    )
    assert changed["updateWebhookEndpoint"]["webhookEndpoint"] == {
        "description": "Orders",
        "status": "DISABLED",
        "events": ["email.*"],
    }
    rotated = await graph(f'mutation {{ rotateWebhookSecret(id: "{hook}") {{ secret }} }}')
    assert rotated["rotateWebhookSecret"]["secret"] != made["secret"]
    assert await graph(f'mutation {{ deleteWebhookEndpoint(id: "{hook}") {{ id }} }}') == {
        "deleteWebhookEndpoint": {"id": hook}
    }


async def test_suppressions(graph: GraphClient) -> None:
    add = """mutation ($key: String) {
      suppressAddress(input: {address: "Ada@Example.com", note: "asked"}, idempotencyKey: $key)
        { suppression { id address reason status note } } }"""
    made = (await graph(add, key="s"))["suppressAddress"]["suppression"]
    assert made["address"] == "ada@example.com"
    assert (await graph(add, key="s"))["suppressAddress"]["suppression"] == made
    assert (await graph.error(add))["status"] == 409
    check = await graph(
        'query { checkAddresses(addresses: ["ada@example.com", "bob@example.com", "x"]) { suppressed reason error } }'
    )
    assert [item["suppressed"] for item in check["checkAddresses"]] == [True, False, False]
    assert check["checkAddresses"][2]["error"]
    many = await graph(
        'mutation { suppressAddresses(inputs: [{address: "bob@example.com"}, {address: "ada@example.com"}, '
        '{address: "x"}]) { results { created error suppression { address } } } }'
    )
    assert [item["created"] for item in many["suppressAddresses"]["results"]] == [True, False, False]
    name = made["id"]
    lifted = await graph(f'mutation {{ liftSuppression(id: "{name}") {{ suppression {{ status }} }} }}')
    assert lifted["liftSuppression"]["suppression"]["status"] == "LIFTED"
    back = await graph(f'mutation {{ restoreSuppression(id: "{name}") {{ suppression {{ status }} }} }}')
    assert back["restoreSuppression"]["suppression"]["status"] == "ACTIVE"
    data = await graph('{ suppressions(filter: {text: "ada"}) { nodes { address } } }')
    assert data["suppressions"]["nodes"] == [{"address": "ada@example.com"}]


@pytest.mark.usefixtures("domain")
async def test_sends_and_requests_come_from_the_budget_of_rest(
    graph: GraphClient, tenant: Tenant, services: Services
) -> None:
    for name, value in (("max_emails_per_day", 5), ("api_requests_per_minute", 1), ("api_burst", 20)):
        await limits.override(services.database, Actor.operator(tenant.id), name, value, reason="a test")
    services.limits.forget()
    query = "mutation ($inputs: [SendEmailInput!]!) { sendEmails(inputs: $inputs) { emails { subject } } }"
    await graph(query, inputs=[MESSAGE] * 3)
    assert (await graph.api.get("/v1/me")).headers["ratelimit-remaining"] == str(20 - 2 - 1)
    refused = await graph.error(query, inputs=[MESSAGE] * 3)
    assert (refused["code"], refused["violated_policies"]) == ("send_quota_exceeded", ["sends-day"])
    assert (await graph.api.post("/v1/emails/batch", json={"emails": [MESSAGE] * 2})).status_code == 202
