"""Where a person works: another organization, another workspace, and never one that they do not see."""

from __future__ import annotations

from penguinmails_api.services import Services
from penguinmails_core.kit import ids
from tests.fixtures.factories import Tenant, make_tenant, make_workspace
from tests.identity.people import Person, Surfer, make_person

PAGE = "/account/organizations"


async def _limit(services: Services, tenant: Tenant, person: Person, *slugs: str) -> dict[str, str]:
    """Limits a member to new workspaces; returns their ids by slug."""
    made = {}
    worker = services.database.worker
    await worker.execute("update members set role = 'member', limited = true where user_id = $1", person.id)
    for slug in slugs:
        workspace_id = await make_workspace(services.database, tenant.id, slug)
        await worker.execute(
            "insert into workspace_members (organization_id, member_id, workspace_id, role) "
            "select organization_id, id, $2, 'member' from members where user_id = $1",
            person.id,
            workspace_id,
        )
        made[slug] = ids.encode("ws", workspace_id)
    return made


async def test_a_limited_member_changes_between_workspaces(
    services: Services, tenant: Tenant, surfer: Surfer, ada: Person
) -> None:
    grace = await make_person(services, "grace@example.com", organization_id=tenant.id, role="member")
    places = await _limit(services, tenant, grace, "north", "south")
    hidden = ids.encode("ws", await make_workspace(services.database, tenant.id, "secret"))
    await surfer.sign_in(grace)
    me = (await surfer.get("/v1/me")).json()
    assert (me["workspace"]["id"], me["bound_to_workspace"]) == (places["north"], True)
    page = await surfer.get(PAGE)
    assert "south" in page.text
    assert "secret" not in page.text
    switched = await surfer.post("/account/workspaces/switch", {"workspace": places["south"]}, page=PAGE)
    assert switched.headers["location"] == f"{PAGE}?notice=workspace-switched"
    assert (await surfer.get("/v1/me")).json()["workspace"]["id"] == places["south"]
    for wrong in (hidden, ids.encode("ws", tenant.workspace_id), "nonsense"):
        answer = await surfer.post("/account/workspaces/switch", {"workspace": wrong}, page=PAGE)
        assert answer.status_code == 404, wrong
    await services.database.worker.execute(
        "delete from workspace_members where workspace_id = $1", ids.decode("ws", places["south"])
    )
    me = (await surfer.get("/v1/me")).json()
    assert me["workspace"]["id"] == places["north"], "taken away is taken away, whatever the session says"


async def test_others_choose_where_new_things_go(
    services: Services, tenant: Tenant, surfer: Surfer, ada: Person
) -> None:
    north = ids.encode("ws", await make_workspace(services.database, tenant.id, "north"))
    await surfer.sign_in(ada)
    await surfer.post("/account/workspaces/switch", {"workspace": north}, page=PAGE)
    me = (await surfer.get("/v1/me")).json()
    assert (me["workspace"]["id"], me["bound_to_workspace"]) == (north, False)


async def test_another_organization_begins_at_its_default(
    services: Services, tenant: Tenant, surfer: Surfer, ada: Person
) -> None:
    north = ids.encode("ws", await make_workspace(services.database, tenant.id, "north"))
    other = await make_tenant(services.database, "Umbrella")
    await services.database.worker.execute(
        "insert into members (organization_id, id, user_id, role) values ($1, $2, $3, 'viewer')",
        other.id,
        ids.new_uuid(),
        ada.id,
    )
    await surfer.sign_in(ada)
    await surfer.post("/account/workspaces/switch", {"workspace": north}, page=PAGE)
    await surfer.post(f"{PAGE}/switch", {"organization": ids.encode("org", other.id)}, page=PAGE)
    me = (await surfer.get("/v1/me")).json()
    assert (me["organization"]["name"], me["workspace"]["id"]) == ("Umbrella", ids.encode("ws", other.workspace_id))
