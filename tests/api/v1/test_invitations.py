"""`/v1/invitations`: asked, mailed, accepted once by the right person, and never to more than who asks has."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import DatabaseSettings, StackSettings
from penguinmails_core.invitations.repository import forget
from penguinmails_core.invitations.service import MAX_OPEN
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.system_mail.budget import ASKED
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.api.v1.people import World, member_path
from tests.fixtures.client import ApiClient, problem
from tests.fixtures.factories import make_tenant, make_workspace
from tests.fixtures.people import make_role, make_user, sign_in
from tests.identity.people import link_in_mail, system_mail

PATH = "/v1/invitations"
GRACE = "grace@example.com"


@pytest.fixture
def settings() -> Settings:
    return Settings(
        stack=StackSettings(system_mail_from=LOCAL_SENDER),
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=3),
    )


@pytest.fixture
async def world(services: Services, world: World) -> World:
    await prepare_mail(services)
    return world


async def token_of(world: World, email: str = GRACE) -> str:
    path = await link_in_mail(world.services, email)
    assert path.startswith("/invitation?")
    return parse_qs(urlsplit(path).query)["token"][0]


async def invite(browser: ApiClient, email: str = GRACE, **members: Any) -> dict[str, Any]:
    response = await browser.post(PATH, json={"email": email, **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def accept(world: World, token: str, email: str = GRACE) -> Any:
    """As a new user who belongs to an organization of their own."""
    home = await make_tenant(world.services.database, "Home")
    browser = await sign_in(world.services, world.client, await make_user(world.services.database, email), home.id)
    await world.services.database.worker.execute(
        "insert into members (organization_id, id, user_id, role) select $1, $2, id, 'owner' from users "
        "where lower(email) = lower($3)",
        home.id,
        ids.new_uuid(),
        email,
    )
    return browser, await browser.post(f"{PATH}/accept", json={"token": token})


async def test_an_invitation_is_mailed_and_shown_without_its_token(world: World, database: Database) -> None:
    owner, browser = await world.join("owner", email="ada@acme.test")
    made = await invite(browser, "Grace@Example.com", role="developer", note="Welcome!\nSee you on Monday.")
    assert (made["email"], made["role"], made["status"], made["mode"]) == (
        "Grace@example.com",
        "developer",
        "pending",
        "live",
    )
    assert made["invited_by"] == ids.encode("usr", owner.user_id)
    assert made["workspaces"] is None
    assert (await browser.get(f"{PATH}/{made['id']}")).json() == made
    assert (await browser.get(PATH)).json()["data"] == [made]
    (text,) = await system_mail(world.services, "Grace@example.com")
    for part in ("ada@acme.test", "Acme", "developer", "See you on Monday.", "seven days"):
        assert part in text
    token = await token_of(world, "Grace@example.com")
    assert token not in str(made)
    kept = await database.worker.fetchval("select token_hash from invitations")
    assert len(kept) == 32
    log = await browser.get("/v1/audit_logs")
    assert token not in log.text
    assert log.json()["data"][0]["action"] == "invitation.created"


async def test_accepting_makes_a_member_once(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    made = await invite(owner, role="developer")
    token = await token_of(world)
    assert await database.worker.fetchval("select count(*) from members") == 1, "a pending one takes no seat"
    browser, answer = await accept(world, token)
    joined = answer.json()
    assert (joined["organization_name"], joined["role"]) == ("Acme", "developer")
    again = await browser.post(f"{PATH}/accept", json={"token": token})
    assert again.json() == joined
    assert (await owner.get(f"/v1/members/{joined['member_id']}")).json()["email"] == GRACE
    assert (await owner.get(f"{PATH}/{made['id']}")).json()["status"] == "accepted"
    mine = (await browser.get("/v1/organizations")).json()["data"]
    assert [(item["name"], item["role"], item["current"]) for item in mine] == [
        ("Home", "owner", True),
        ("Acme", "developer", False),
    ]
    actions = [item["action"] for item in (await owner.get("/v1/audit_logs")).json()["data"]]
    assert actions.count("invitation.accepted") == 1
    problem(await owner.post(PATH, json={"email": GRACE}), 409, "conflict")
    problem(await owner.post(f"{PATH}/{made['id']}/revoke"), 409, "conflict")
    problem(await owner.post(f"{PATH}/{made['id']}/resend"), 409, "conflict")


async def test_two_browsers_at_the_same_moment_make_one_member(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    await invite(owner)
    token = await token_of(world)
    home = await make_tenant(database, "Home")
    user_id = await make_user(database, GRACE)
    await database.worker.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'owner')",
        home.id,
        ids.new_uuid(),
        user_id,
    )
    browsers = [await sign_in(world.services, world.client, user_id, home.id) for _ in range(2)]
    answers = await asyncio.gather(*(b.post(f"{PATH}/accept", json={"token": token}) for b in browsers))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    count = "select count(*) from members where organization_id = $1 and user_id = $2"
    assert await database.worker.fetchval(count, world.tenant.id, user_id) == 1
    accepted = "select count(*) from audit_logs where action = 'invitation.accepted'"
    assert await database.worker.fetchval(accepted) == 1


async def test_a_link_is_for_one_address(world: World) -> None:
    _, owner = await world.join("owner")
    await invite(owner)
    token = await token_of(world)
    _, answer = await accept(world, token, "mallory@example.com")
    document = problem(answer, 403, "forbidden")
    assert GRACE not in str(document)
    _, answer = await accept(world, token, "GRACE@example.com")
    assert answer.status_code == 200


async def test_a_replay_of_accepting_has_its_key_in_the_new_organization(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    await invite(owner)
    token = await token_of(world)
    browser, _ = await accept(world, "x" * 43)
    first = await browser.post(f"{PATH}/accept", json={"token": token}, idempotency_key="one")
    again = await browser.post(f"{PATH}/accept", json={"token": token}, idempotency_key="one")
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    kept = await database.worker.fetch("select organization_id from idempotency_keys where key = 'one'")
    assert [row["organization_id"] for row in kept] == [world.tenant.id]


@pytest.mark.parametrize("token", ["nonsense", "x" * 43])
async def test_unknown_links_have_expired(world: World, token: str) -> None:
    _, answer = await accept(world, token)
    problem(answer, 404, "link_expired")


async def test_keys_do_not_accept(world: World) -> None:
    problem(await world.client.post(f"{PATH}/accept", json={"token": "x" * 43}), 403, "forbidden")


async def test_revoked_expired_and_replaced_links_are_void(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    made = await invite(owner)
    first = await token_of(world)
    revoked = await owner.post(f"{PATH}/{made['id']}/revoke")
    assert revoked.json()["status"] == "revoked"
    assert (await owner.post(f"{PATH}/{made['id']}/revoke")).json() == revoked.json()
    problem(await owner.post(f"{PATH}/{made['id']}/resend"), 409, "conflict")
    browser, answer = await accept(world, first)
    problem(answer, 404, "link_expired")

    again = await invite(owner)
    second = await token_of(world)
    await database.worker.execute(
        "update invitations set expires_at = now() - interval '1 s', sent_at = now() - "
        "interval '7 d' where accepted_at is null and revoked_at is null"
    )
    assert (await owner.get(f"{PATH}/{again['id']}")).json()["status"] == "expired"
    problem(await browser.post(f"{PATH}/accept", json={"token": second}), 404, "link_expired")

    resent = await owner.post(f"{PATH}/{again['id']}/resend")
    assert resent.json()["status"] == "pending"
    third = await token_of(world)
    assert third != second
    problem(await browser.post(f"{PATH}/accept", json={"token": second}), 404, "link_expired")
    assert (await browser.post(f"{PATH}/accept", json={"token": third})).status_code == 200


async def test_resending_waits_a_minute(world: World) -> None:
    _, owner = await world.join("owner")
    made = await invite(owner)
    answer = await owner.post(f"{PATH}/{made['id']}/resend")
    problem(answer, 409, "conflict")
    assert answer.headers["retry-after"] == "60"


async def test_one_pending_for_each_address(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    made = await invite(owner)
    document = problem(await owner.post(PATH, json={"email": GRACE.upper()}), 409, "conflict")
    assert document["invitation_id"] == made["id"]
    await database.worker.execute("update invitations set expires_at = now() - interval '1 s'")
    again = await invite(owner)
    assert [item["id"] for item in (await owner.get(PATH)).json()["data"]] == [again["id"]]
    answers = await asyncio.gather(*(owner.post(PATH, json={"email": "new@example.com"}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_lists_by_status(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    made = {name: await invite(owner, f"{name}@example.com") for name in ("pending", "revoked", "expired")}
    await owner.post(f"{PATH}/{made['revoked']['id']}/revoke")
    await database.worker.execute("update invitations set expires_at = now() where email like 'expired%'")
    for status, invitation in made.items():
        found = (await owner.get(PATH, params={"status": status})).json()["data"]
        assert [item["id"] for item in found] == [invitation["id"]], status


async def test_a_replay_and_a_rehearsal_mail_nothing(world: World) -> None:
    _, owner = await world.join("owner")
    body = {"email": GRACE}
    rehearsed = await owner.post(f"{PATH}?dry_run=true", json=body)
    assert rehearsed.status_code == 201
    assert (await owner.get(PATH)).json()["data"] == []
    for _ in range(2):
        assert (await owner.post(PATH, json=body, idempotency_key="one")).status_code == 201
    assert len(await system_mail(world.services, GRACE)) == 1


async def test_test_mode_mails_nobody_and_nobody_accepts(world: World, database: Database) -> None:
    test = world.client.as_(world.tenant.test)
    made = await invite(test)
    assert made["mode"] == "test"
    assert await system_mail(world.services, GRACE) == []
    assert (await world.client.get(PATH)).json()["data"] == [], "live keys do not see it"
    assert (await test.post(f"{PATH}/{made['id']}/revoke")).json()["status"] == "revoked"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/email"),
        ({"email": "grace"}, "/email"),
        ({"email": "Grace <grace@example.com>"}, "/email"),
        ({"email": GRACE, "role": "king"}, "/role"),
        ({"email": GRACE, "note": "x" * 501}, "/note"),
        ({"email": GRACE, "note": "\u202e"}, "/note"),
        ({"email": GRACE, "role": "viewer", "workspaces": []}, "/workspaces"),
        ({"email": GRACE, "colour": 1}, "/colour"),
    ],
)
async def test_a_bad_invitation_names_its_field(world: World, body: dict[str, Any], pointer: str) -> None:
    _, owner = await world.join("owner")
    document = problem(await owner.post(PATH, json=body), 422, "validation_failed")
    assert document["errors"][0]["pointer"].startswith(pointer)


class TestWhoMay:
    async def test_only_owners_invite_owners_and_admins(self, world: World) -> None:
        _, owner = await world.join("owner")
        _, admin = await world.join("admin")
        for role in ("owner", "admin"):
            for caller in (admin, world.client):
                problem(await caller.post(PATH, json={"email": GRACE, "role": role}), 403, "owners_only")
        made = await invite(owner, role="admin")
        for action in ("revoke", "resend"):
            problem(await admin.post(f"{PATH}/{made['id']}/{action}"), 403, "owners_only")
        assert (await invite(admin, "new@example.com", role="developer"))["role"] == "developer"

    async def test_nobody_invites_beyond_their_own_scopes(self, world: World, database: Database) -> None:
        manager = await make_role(database, world.tenant.id, "People", ["members:write", "emails:read"])
        strong = await make_role(database, world.tenant.id, "Strong", ["api_keys:write"])
        _, browser = await world.join(custom_role_id=manager)
        for body in ({"role": "viewer"}, {"custom_role_id": ids.encode("rol", strong)}):
            problem(await browser.post(PATH, json={"email": GRACE, **body}), 403, "grant_exceeded")
        made = await invite(browser, custom_role_id=ids.encode("rol", manager))
        assert (made["role"], made["custom_role_name"]) == ("custom", "People")

    async def test_a_workspace_admin_invites_to_that_workspace(self, world: World, database: Database) -> None:
        one, two = [await make_workspace(database, world.tenant.id, slug) for slug in ("one", "two")]
        _, owner = await world.join("owner")
        _, boss = await world.join(workspaces={one: "admin"})
        made = await invite(boss)
        assert made["workspaces"] == [{"workspace_id": ids.encode("ws", one), "role": "member"}]
        elsewhere = [{"workspace_id": ids.encode("ws", two), "role": "viewer"}]
        for body in ({"workspaces": None}, {"workspaces": elsewhere}):
            problem(await boss.post(PATH, json={"email": "b@example.com", **body}), 403, "grant_exceeded")
        other = await invite(owner, "c@example.com", workspaces=elsewhere)
        problem(await boss.get(f"{PATH}/{other['id']}"), 404, "not_found")
        assert [item["id"] for item in (await boss.get(PATH)).json()["data"]] == [made["id"]]
        _, answer = await accept(world, await token_of(world))
        joined = await owner.get(f"/v1/members/{answer.json()['member_id']}")
        assert joined.json()["workspaces"] == made["workspaces"]

    async def test_what_was_offered_may_be_gone(self, world: World, database: Database) -> None:
        one, two = [await make_workspace(database, world.tenant.id, slug) for slug in ("one", "two")]
        _, owner = await world.join("owner")
        both = [{"workspace_id": ids.encode("ws", workspace), "role": "member"} for workspace in (one, two)]
        await invite(owner, workspaces=both)
        await invite(owner, "b@example.com", workspaces=both[:1])
        tokens = [await token_of(world, email) for email in (GRACE, "b@example.com")]
        assert (await owner.delete(f"/v1/workspaces/{both[0]['workspace_id']}")).status_code == 204
        _, answer = await accept(world, tokens[0])
        joined = await owner.get(f"/v1/members/{answer.json()['member_id']}")
        assert joined.json()["workspaces"] == both[1:]
        _, answer = await accept(world, tokens[1], "b@example.com")
        problem(answer, 409, "conflict")

    async def test_a_removed_member_cannot_come_back_with_the_old_link(self, world: World) -> None:
        _, owner = await world.join("owner")
        await invite(owner)
        token = await token_of(world)
        browser, answer = await accept(world, token)
        assert (await owner.delete(f"/v1/members/{answer.json()['member_id']}")).status_code == 204
        problem(await browser.post(f"{PATH}/accept", json={"token": token}), 404, "link_expired")

    async def test_who_is_a_member_already_keeps_the_place(self, world: World, database: Database) -> None:
        _, owner = await world.join("owner")
        await invite(owner, role="developer")
        token = await token_of(world)
        person, browser = await world.join("viewer", email=GRACE)
        assert (await browser.post(f"{PATH}/accept", json={"token": token})).json()["role"] == "viewer"
        assert (await owner.get(member_path(person))).json()["role"] == "viewer"


async def test_there_is_a_limit(world: World, database: Database) -> None:
    await database.worker.execute(
        "insert into invitations (organization_id, id, mode, email, role, token_hash, expires_at) "
        "select $1, gen_random_uuid(), 'live', n || '@example.com', 'viewer', sha256(n::text::bytea), "
        "now() + interval '1 day' from generate_series(1, $2::int) n",
        world.tenant.id,
        MAX_OPEN,
    )
    _, owner = await world.join("owner")
    assert problem(await owner.post(PATH, json={"email": GRACE}), 409, "conflict")["limit"] == MAX_OPEN


async def test_ended_ones_are_forgotten(world: World, database: Database) -> None:
    _, owner = await world.join("owner")
    for name in ("old", "new"):
        await invite(owner, f"{name}@example.com")
    await database.worker.execute("update invitations set expires_at = now() - interval '91 d' where email like 'old%'")
    assert await forget(database.worker, timedelta(days=90), 100) == 1
    assert [item["email"] for item in (await owner.get(PATH)).json()["data"]] == ["new@example.com"]


class TestWithoutMail:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=3))

    async def test_an_invitation_that_cannot_be_mailed_is_refused(self, world: World) -> None:
        _, owner = await world.join("owner")
        problem(await owner.post(PATH, json={"email": GRACE}), 503, "unavailable")
        assert (await owner.get(PATH)).json()["data"] == []


class TestFlooding:
    """An invitation is a way to make us mail somebody."""

    async def test_one_address_is_not_mailed_again_and_again(self, world: World) -> None:
        _, owner = await world.join("owner")
        for _ in range(ASKED[0].most):
            made = await invite(owner)
            assert (await owner.post(f"{PATH}/{made['id']}/revoke")).status_code == 200
            assert (await owner.post(f"{PATH}?dry_run=true", json={"email": GRACE})).status_code == 201
        refused = await owner.post(PATH, json={"email": GRACE})
        document = problem(refused, 429, "rate_limit_exceeded")
        assert document["violated_policies"] == ["system-mail"]
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        pending = (await owner.get(PATH, params={"status": "pending"})).json()["data"]
        assert pending == [], "an invitation that is not mailed is none"
        await invite(owner, "alan@example.com")
        await world.services.identity.notices.drain()
        assert len(await system_mail(world.services, GRACE)) == ASKED[0].most
