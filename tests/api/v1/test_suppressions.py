"""`/v1/suppressions`: who is not mailed, through the gateway."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from penguinmails_api.app import create_gateway
from penguinmails_api.services import Services
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import rfc3339, utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.scopes import Scope
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import Tenant, make_workspace

PATH = "/v1/suppressions"


async def suppress(client: ApiClient, address: str = "ada@example.com", **members: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"address": address, **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def addresses(client: ApiClient, **params: Any) -> list[str]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    return [item["address"] for item in response.json()["data"]]


async def told(database: Database, kind: str = "suppression.%") -> list[Any]:
    return list(
        await database.worker.fetch("select * from events where type like $1 order by xid::text::int8, id", kind)
    )


async def test_an_address_is_suppressed_in_the_form_that_is_compared(client: ApiClient, tenant: Tenant) -> None:
    made = await suppress(client, "Ada@Bücher.Example", reason="unsubscribe", note="by phone")
    assert made["address"] == "ada@xn--bcher-kva.example"
    assert (made["reason"], made["status"], made["note"]) == ("unsubscribe", "active", "by phone")
    assert made["created_by"] == ids.encode(Prefix.API_KEY, tenant.live_key.id)
    assert made["evidence"] is None
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"data": [made], "has_more": False, "next_cursor": None}


async def test_changes_are_told(client: ApiClient, database: Database) -> None:
    made = await suppress(client)
    await client.delete(f"{PATH}/{made['id']}")
    await client.delete(f"{PATH}/{made['id']}")  # changes nothing
    await client.post(f"{PATH}/{made['id']}/restore")
    rows = await told(database)
    assert [row["type"] for row in rows] == ["suppression.created", "suppression.lifted", "suppression.restored"]
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert {row["payload"]["suppression_id"] for row in rows} == {made["id"]}
    assert rows[1]["payload"]["consent"] is False
    assert {row["workspace_id"] for row in rows} == {None}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/address"),
        ({"address": "nobody"}, "/address"),
        ({"address": "Ada <ada@example.com>"}, "/address"),
        ({"address": "ada@example.com", "reason": "spite"}, "/reason"),
        ({"address": "ada@example.com", "note": "a\0b"}, "/note"),
        ({"address": "ada@example.com", "note": "x" * 501}, "/note"),
        ({"address": "ada@example.com", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"address": "ada@example.com", "expires": None}, "/expires"),
    ],
)
async def test_what_is_wrong_is_named(client: ApiClient, body: dict[str, Any], pointer: str) -> None:
    document = problem(await client.post(PATH, json=body), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]


async def test_a_suppressed_address_is_a_conflict_that_names_the_suppression(client: ApiClient) -> None:
    made = await suppress(client)
    document = problem(await client.post(PATH, json={"address": "ADA@example.com"}), 409, "conflict")
    assert document["suppression_id"] == made["id"]


async def test_one_with_an_end_gives_way_to_one_that_lasts_longer(client: ApiClient) -> None:
    soon, later = utcnow() + timedelta(days=1), utcnow() + timedelta(days=2)
    short = await suppress(client, expires_at=rfc3339(soon))
    longer = await suppress(client, expires_at=rfc3339(later))
    again = {"address": "ada@example.com", "expires_at": rfc3339(soon)}
    problem(await client.post(PATH, json=again), 409, "conflict")
    assert (await client.get(f"{PATH}/{short['id']}")).json()["status"] == "lifted"
    assert (await client.get(f"{PATH}/{longer['id']}")).json()["status"] == "active"


async def test_one_that_has_ended_is_in_nobodys_way(client: ApiClient, database: Database) -> None:
    ended = await suppress(client, expires_at=rfc3339(utcnow() + timedelta(days=1)))
    await database.worker.execute("update suppressions set expires_at = now() - interval '1 hour'")
    assert await addresses(client) == []
    assert await addresses(client, status="expired") == ["ada@example.com"]
    checked = (await client.post(f"{PATH}/check", json={"addresses": ["ada@example.com"]})).json()
    assert checked["data"][0]["suppressed"] is False
    made = await suppress(client)
    old = (await client.get(f"{PATH}/{ended['id']}")).json()
    assert (old["status"], old["lifted_at"]) == ("lifted", old["expires_at"])
    problem(await client.post(f"{PATH}/{ended['id']}/restore"), 409, "conflict")
    assert made["expires_at"] is None


async def test_a_lift_keeps_the_record_and_can_be_taken_back(client: ApiClient) -> None:
    made = await suppress(client)
    lifted = (await client.delete(f"{PATH}/{made['id']}")).json()
    assert (lifted["status"], lifted["lifted_by"]) == ("lifted", made["created_by"])
    assert lifted["lifted_at"] is not None
    assert await addresses(client) == []
    assert await addresses(client, status="lifted") == ["ada@example.com"]
    assert (await client.post(f"{PATH}/{made['id']}/restore")).json() == made
    problem(await client.post(f"{PATH}/{made['id']}/restore"), 409, "conflict")


async def test_a_lift_is_not_taken_back_over_a_newer_suppression(client: ApiClient) -> None:
    made = await suppress(client)
    await client.delete(f"{PATH}/{made['id']}")
    newer = await suppress(client)
    problem(await client.post(f"{PATH}/{made['id']}/restore"), 409, "conflict")
    assert (await client.get(f"{PATH}/{made['id']}")).json()["status"] == "lifted"
    assert (await client.get(f"{PATH}/{newer['id']}")).json()["status"] == "active"


@pytest.mark.parametrize("reason", ["unsubscribe", "complaint"])
async def test_the_wish_of_a_person_is_lifted_with_their_consent_only(
    client: ApiClient, database: Database, reason: str
) -> None:
    made = await suppress(client, reason=reason)
    document = problem(await client.delete(f"{PATH}/{made['id']}"), 409, "conflict")
    assert "consent=true" in document["detail"]
    assert (await client.delete(f"{PATH}/{made['id']}", params={"consent": "true"})).json()["status"] == "lifted"
    [row] = await told(database, "suppression.lifted")
    assert row["payload"]["consent"] is True


async def test_many_at_once_each_with_a_result_of_its_own(client: ApiClient, database: Database) -> None:
    known = await suppress(client, "known@example.com")
    items = [
        {"address": "a@example.com", "reason": "hard_bounce"},
        {"address": "no address"},
        {"address": "KNOWN@example.com"},
        {"address": "A@example.com"},
        {"address": "b@example.com", "expires_at": "2020-01-01T00:00:00Z"},
    ]
    response = await client.post(f"{PATH}/batch", json={"suppressions": items})
    assert response.status_code == 207
    answer = response.json()
    assert [item["status"] for item in answer["data"]] == [201, 422, 200, 200, 422]
    assert (answer["created"], answer["existing"], answer["failed"]) == (1, 2, 2)
    assert answer["data"][2]["suppression"] == known
    assert answer["data"][3]["suppression"] == answer["data"][0]["suppression"]
    pointers = [item["problem"]["errors"][0]["pointer"] for item in answer["data"] if item["problem"]]
    assert pointers == ["/suppressions/1/address", "/suppressions/4/expires_at"]
    assert len(await told(database, "suppression.created")) == 2


async def test_a_thousand_are_taken_and_checked_and_no_more(client: ApiClient) -> None:
    many = [f"person{number}@example.com" for number in range(1000)]
    body = {"suppressions": [{"address": address} for address in many]}
    answer = (await client.post(f"{PATH}/batch", json=body, idempotency_key="import-1")).json()
    assert answer["created"] == 1000
    again = await client.post(f"{PATH}/batch", json=body, idempotency_key="import-1")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == answer
    checked = (await client.post(f"{PATH}/check", json={"addresses": many})).json()["data"]
    assert all(item["suppressed"] for item in checked)
    too_many = {"suppressions": [*body["suppressions"], {"address": "x@example.com"}]}
    problem(await client.post(f"{PATH}/batch", json=too_many), 422, "validation_failed")
    problem(await client.post(f"{PATH}/check", json={"addresses": [*many, "x@x.example"]}), 422, "validation_failed")


async def test_check_says_yes_no_and_what_is_no_address(client: ApiClient) -> None:
    made = await suppress(client, reason="complaint")
    asked = ["Ada@Example.com", "bob@example.com", "nobody"]
    data = (await client.post(f"{PATH}/check", json={"addresses": asked})).json()["data"]
    assert [item["address"] for item in data] == asked
    assert [item["suppressed"] for item in data] == [True, False, False]
    assert (data[0]["reason"], data[0]["suppression"]) == ("complaint", made)
    assert data[1]["error"] is None
    assert "@" in data[2]["error"]


async def test_the_list_is_filtered_and_paged(client: ApiClient) -> None:
    for name, reason in (("ada", "manual"), ("bob", "complaint"), ("cy_d", "manual")):
        await suppress(client, f"{name}@example.com", reason=reason)
    assert await addresses(client, reason="manual") == ["cy_d@example.com", "ada@example.com"]
    assert await addresses(client, address="ADA@Example.com") == ["ada@example.com"]
    assert await addresses(client, q="Y_D@ex") == ["cy_d@example.com"]
    assert await addresses(client, q="y%d") == []
    assert await addresses(client, created_after=rfc3339(utcnow() + timedelta(minutes=1))) == []
    assert len(await addresses(client, created_before=rfc3339(utcnow() + timedelta(minutes=1)))) == 3
    first = (await client.get(PATH, params={"limit": 2})).json()
    assert first["has_more"]
    second = (await client.get(PATH, params={"limit": 2, "after": first["next_cursor"]})).json()
    assert [item["address"] for item in first["data"] + second["data"]] == [
        "cy_d@example.com",
        "bob@example.com",
        "ada@example.com",
    ]
    back = (await client.get(PATH, params={"limit": 2, "before": second["data"][0] and first["next_cursor"]})).json()
    assert [item["address"] for item in back["data"]] == ["cy_d@example.com"]
    problem(await client.get(PATH, params={"address": "nobody"}), 422, "validation_failed")
    problem(await client.get(PATH, params={"adress": "a@b.example"}), 422, "validation_failed")


async def test_what_the_mail_system_saw_is_shown(client: ApiClient, tenant: Tenant, database: Database) -> None:
    evidence = {"email_id": None, "code": 550, "enhanced_code": "5.1.1", "reply": "no such user"}
    await database.worker.execute(
        "insert into suppressions (organization_id, id, address, reason, evidence) values ($1, $2, $3, $4, $5)",
        tenant.id,
        new_uuid(),
        "ada@example.com",
        "hard_bounce",
        evidence,
    )
    [item] = (await client.get(PATH)).json()["data"]
    assert (item["evidence"]["code"], item["evidence"]["remote_host"]) == (550, None)
    assert item["created_by"] is None


async def test_test_mode_has_a_list_of_its_own(client: ApiClient, tenant: Tenant) -> None:
    tester = client.as_(tenant.test)
    made = await suppress(tester)
    assert await addresses(client) == []
    problem(await client.get(f"{PATH}/{made['id']}"), 404, "not_found")
    await suppress(client)
    assert await addresses(tester) == ["ada@example.com"]


async def test_nobody_reaches_another_organizations_suppressions(client: ApiClient, stranger: Tenant) -> None:
    made = await suppress(client)
    other = client.as_(stranger.key)
    assert await addresses(other) == []
    for request in (
        other.get(f"{PATH}/{made['id']}"),
        other.delete(f"{PATH}/{made['id']}"),
        other.post(f"{PATH}/{made['id']}/restore"),
    ):
        problem(await request, 404, "not_found")
    checked = (await other.post(f"{PATH}/check", json={"addresses": ["ada@example.com"]})).json()
    assert checked["data"][0]["suppressed"] is False
    await suppress(other)
    assert (await client.get(f"{PATH}/{made['id']}")).json()["status"] == "active"


async def test_a_key_of_a_workspace_sees_and_lifts_what_came_from_there(
    client: ApiClient, tenant: Tenant, database: Database
) -> None:
    workspace = await make_workspace(database, tenant.id, "brand")
    _, key = await create_key(
        database,
        tenant.id,
        mode="live",
        name="bound",
        scopes=[Scope.SUPPRESSIONS_WRITE],
        workspace_id=workspace,
    )
    bound = client.as_(key)
    everybodys = await suppress(client, "ada@example.com")
    own = await suppress(bound, "bob@example.com")
    assert own["workspace_id"] == ids.encode(Prefix.WORKSPACE, workspace)
    assert await addresses(bound) == ["bob@example.com"]
    problem(await bound.delete(f"{PATH}/{everybodys['id']}"), 404, "not_found")
    # It holds for them all the same, and they are told so.
    [ada] = (await bound.post(f"{PATH}/check", json={"addresses": ["ada@example.com"]})).json()["data"]
    assert (ada["suppressed"], ada["suppression"]) == (True, None)
    document = problem(await bound.post(PATH, json={"address": "ada@example.com"}), 409, "conflict")
    assert "suppression_id" not in document
    [item] = (await bound.post(f"{PATH}/batch", json={"suppressions": [{"address": "ada@example.com"}]})).json()["data"]
    assert (item["status"], item["suppression"]) == (200, None)


async def test_scopes_are_asked_for(services: Services, tenant: Tenant, database: Database) -> None:
    _, key = await create_key(database, tenant.id, mode="live", name="reader", scopes=[Scope.SUPPRESSIONS_READ])
    async with ApiClient(create_gateway(services), key) as reader:
        assert (await reader.get(PATH)).status_code == 200
        document = problem(await reader.post(PATH, json={"address": "ada@example.com"}), 403, "missing_scope")
        assert document["required_scope"] == "suppressions:write"


def span(start: timedelta, end: timedelta, **members: Any) -> dict[str, Any]:
    now = utcnow()
    return {"from": rfc3339(now + start), "to": rfc3339(now + end), **members}


async def test_a_span_of_time_is_undone(client: ApiClient, tenant: Tenant, database: Database) -> None:
    for number, reason in enumerate(("hard_bounce", "hard_bounce", "manual", "complaint", "unsubscribe")):
        await suppress(client, f"a{number}@example.com", reason=reason)
    old = await suppress(client, "old@example.com", reason="hard_bounce")
    query = "update suppressions set created_at = now() - interval '2 hours' where id = $1"
    await database.worker.execute(query, ids.decode(Prefix.SUPPRESSION, old["id"]))
    body = span(timedelta(hours=-1), timedelta(hours=1))

    tried = await client.post(f"{PATH}/undo?dry_run=true", json=body)
    assert tried.json() == {"lifted": 2, "has_more": False}
    assert len(await addresses(client)) == 6
    done = await client.post(f"{PATH}/undo", json=body, headers={"Idempotency-Key": "outage"})
    assert done.json() == {"lifted": 2, "has_more": False}
    again = await client.post(f"{PATH}/undo", json=body, headers={"Idempotency-Key": "outage"})
    assert again.json() == done.json()
    assert sorted(await addresses(client)) == ["a2@example.com", "a3@example.com", "a4@example.com", "old@example.com"]
    assert len(await told(database, "suppression.lifted")) == 2
    [entry] = await database.worker.fetch("select * from audit_logs where action = 'suppression.undone'")
    assert entry["organization_id"] == tenant.id

    manual = await client.post(f"{PATH}/undo", json=body | {"reasons": ["manual", "hard_bounce"]})
    assert manual.json() == {"lifted": 1, "has_more": False}


async def test_what_a_person_wished_is_not_undone_in_bulk(client: ApiClient) -> None:
    await suppress(client, reason="complaint")
    for reason in ("complaint", "unsubscribe"):
        body = span(timedelta(hours=-1), timedelta(hours=1), reasons=["hard_bounce", reason])
        document = problem(await client.post(f"{PATH}/undo", json=body), 422, "validation_failed")
        assert [error["pointer"] for error in document["errors"]] == ["/reasons"]
    assert await addresses(client) == ["ada@example.com"]


async def test_a_span_ends_after_it_starts(client: ApiClient) -> None:
    body = span(timedelta(0), timedelta(hours=-1))
    document = problem(await client.post(f"{PATH}/undo", json=body), 422, "validation_failed")
    assert [error["pointer"] for error in document["errors"]] == ["/to"]
