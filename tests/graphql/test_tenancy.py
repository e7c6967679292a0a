"""Organization, workspaces, members, invitations and roles: what GraphQL says is what REST says."""

from __future__ import annotations

import pytest

from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.services import Services, Settings
from penguinmails_core.config import AuthSettings, DatabaseSettings, StackSettings
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.fixtures.factories import Tenant, make_domain, make_email, make_workspace
from tests.fixtures.people import make_member, sign_in
from tests.graphql.conftest import GraphClient, Statements, as_rest
from tests.identity.people import link_in_mail

ORGANIZATION = "id name timezone dateFormat currency eventRetentionDays createdAt updatedAt"
WORKSPACE = "id name slug status isDefault timezone archivedAt createdAt updatedAt"
MEMBER = "id userId email name role customRoleId customRoleName workspaces { workspaceId role } createdAt updatedAt"
INVITATION = """id email status mode role customRoleId customRoleName workspaces { workspaceId role } note invitedBy
  sentAt expiresAt acceptedAt revokedAt createdAt updatedAt"""
ROLE = "id kind role name description scopes createdAt updatedAt"


@pytest.fixture
def settings() -> Settings:
    """A server that sends mail of its own; password hashes at the least cost."""
    return Settings(
        stack=StackSettings(system_mail_from=LOCAL_SENDER),
        database=DatabaseSettings(pool_size=4, ingest_connections=1, worker_connections=4),
        auth=AuthSettings(argon2_memory=8, argon2_time=1),
    )


async def test_organization(graph: GraphClient, owner: GraphClient) -> None:
    data = await graph(f"{{ organization {{ {ORGANIZATION} }} organizations {{ id name role current }} }}")
    assert as_rest(data["organization"]) == (await graph.api.get("/v1/organization")).json()
    assert data["organizations"] == (await graph.api.get("/v1/organizations")).json()["data"]
    mine = await owner("{ organizations { name role current } }")
    assert mine["organizations"] == [{"name": "Acme", "role": "owner", "current": True}]
    update = f"""mutation ($input: UpdateOrganizationInput!) {{
      updateOrganization(input: $input) {{ organization {{ {ORGANIZATION} }} }} }}"""
    changed = await graph(update, input={"timezone": "Europe/Vienna", "dateFormat": "DAY_FIRST", "name": None})
    assert as_rest(changed["updateOrganization"]["organization"]) == (await graph.api.get("/v1/organization")).json()
    wrong = await graph.error(update, input={"currency": "euro"})
    assert wrong["errors"][0]["pointer"] == "/currency"
    own = data["organization"]["id"]
    node = await graph("query ($id: ID!) { node(id: $id) { ... on Organization { timezone } } }", id=own)
    assert node["node"] == {"timezone": "Europe/Vienna"}


async def test_viewer_says_what_me_says(graph: GraphClient, owner: GraphClient) -> None:
    query = """{ viewer { kind mode scopes boundToWorkspace appId app { id name } organization { id name }
      workspace { id name } apiKey { id name maxSendsPerDay allowedIps } user { id email name } } }"""
    limits = ("max_sends_per_day", "allowed_ips")
    for caller in (graph, owner):
        said = (await caller(query))["viewer"]
        rest = (await caller.api.get("/v1/me")).json()
        if rest["api_key"] is not None:
            rest["api_key"] = {name: rest["api_key"][name] for name in ("id", "name", *limits)}
        assert as_rest(said) == rest


async def test_workspaces(graph: GraphClient) -> None:
    create = f"""mutation ($name: String!, $key: String) {{
      createWorkspace(input: {{name: $name}}, idempotencyKey: $key) {{ workspace {{ {WORKSPACE} }} }} }}"""
    made = (await graph(create, name="North Wind", key="w"))["createWorkspace"]["workspace"]
    assert (await graph(create, name="North Wind", key="w"))["createWorkspace"]["workspace"] == made
    rest = (await graph.api.get(f"/v1/workspaces/{made['id']}")).json()
    assert as_rest(made) == rest | {"name": made["name"]}
    listed = await graph("{ workspaces(status: ACTIVE) { nodes { id isDefault } } }")
    assert [node["isDefault"] for node in listed["workspaces"]["nodes"]] == [False, True]
    update = "mutation ($i: UpdateWorkspaceInput!) { updateWorkspace(input: $i) { workspace { name timezone slug } } }"
    changed = await graph(update, i={"id": made["id"], "timezone": "Europe/Vienna"})
    assert changed["updateWorkspace"]["workspace"] == {
        "name": "North Wind",
        "timezone": "Europe/Vienna",
        "slug": "north-wind",
    }
    for name, status in (("archiveWorkspace", "ARCHIVED"), ("restoreWorkspace", "ACTIVE")):
        done = await graph(f"mutation ($id: ID!) {{ {name}(id: $id) {{ workspace {{ status }} }} }}", id=made["id"])
        assert done[name]["workspace"]["status"] == status
    gone = await graph("mutation ($id: ID!) { deleteWorkspace(id: $id) { id } }", id=made["id"])
    assert gone == {"deleteWorkspace": {"id": made["id"]}}


async def test_the_workspaces_of_a_page_cost_one_statement(
    graph: GraphClient, services: Services, database: Database, tenant: Tenant
) -> None:
    query = "{ domains { nodes { workspace { name } } } emails { nodes { workspace { name } } } }"
    for number in range(5):
        workspace = await make_workspace(database, tenant.id, f"w{number}")
        await make_domain(database, tenant, f"d{number}.example", workspace_id=workspace)
        await make_email(database, tenant)
    with Statements(services) as seen:
        data = await graph(query)
    names = {node["workspace"]["name"] for node in data["domains"]["nodes"]}
    assert names == {"w0", "w1", "w2", "w3", "w4"}
    loads = [text for text in seen.texts if "FROM workspaces" in text]
    assert len(loads) <= 2, "one for each of the lists"
    assert len(seen.texts) == len(loads) + 4, "domains and their keys, emails and their recipients"
    narrow = await graph('mutation { createApiKey(input: {name: "n", scopes: ["domains:read"]}) { secret } }')
    answer = await graph.as_(narrow["createApiKey"]["secret"]).ask("{ domains { nodes { workspace { name } } } }")
    assert {error["extensions"]["required_scope"] for error in answer["errors"]} == {"workspaces:read"}


async def test_members(graph: GraphClient, owner: GraphClient, database: Database, tenant: Tenant) -> None:
    workspace = await make_workspace(database, tenant.id, "north")
    person = await make_member(database, tenant.id, workspaces={workspace: "viewer"})
    member = ids.encode(Prefix.MEMBER, person.member_id)
    data = await graph(f"query ($id: ID!) {{ member(id: $id) {{ {MEMBER} }} }}", id=member)
    assert as_rest(data["member"]) == (await graph.api.get(f"/v1/members/{member}")).json()
    named = await graph(
        "query ($e: String) { members(filter: {role: [MEMBER], email: $e}) "
        "{ nodes { id workspaces { workspace { slug } } } } }",
        e=person.email.upper(),
    )
    assert named["members"]["nodes"] == [{"id": member, "workspaces": [{"workspace": {"slug": "north"}}]}]

    update = """mutation ($id: ID!, $p: PlaceInput!) {
      updateMember(id: $id, place: $p) { member { role workspaces { role } } } }"""
    places = [{"workspaceId": ids.encode(Prefix.WORKSPACE, workspace), "role": "ADMIN"}]
    changed = await owner(update, id=member, p={"workspaces": places})
    assert changed["updateMember"]["member"] == {"role": "MEMBER", "workspaces": [{"role": "ADMIN"}]}
    lifted = await owner(update, id=member, p={"role": "DEVELOPER"})
    assert lifted["updateMember"]["member"] == {"role": "DEVELOPER", "workspaces": None}
    assert (await graph.error(update, id=member, p={"role": "OWNER"}))["code"] == "owners_only"
    wrong = await owner.error(
        update, id=member, p={"role": "MEMBER", "workspaces": [{"workspaceId": "x", "role": "ADMIN"}]}
    )
    assert wrong["errors"][0]["pointer"] == "/workspaces/0/workspace_id"

    gone = await owner("mutation ($id: ID!) { removeMember(id: $id) { id } }", id=member)
    assert gone == {"removeMember": {"id": member}}
    assert (await graph.error("query ($id: ID!) { member(id: $id) { id } }", id=member))["status"] == 404


async def test_a_list_of_members_costs_the_same_statements_however_long(
    graph: GraphClient, services: Services, database: Database, tenant: Tenant
) -> None:
    workspace = await make_workspace(database, tenant.id, "north")
    counts = []
    for amount in (1, 8):
        for _ in range(amount):
            await make_member(database, tenant.id, workspaces={workspace: "viewer"})
        with Statements(services) as seen:
            data = await graph("{ members { nodes { email workspaces { workspace { name } } } } }")
        assert all(node["workspaces"] for node in data["members"]["nodes"])
        counts.append(len(seen.texts))
    assert counts[0] == counts[1]


async def test_an_invitation_from_mail_to_membership(
    graph: GraphClient, owner: GraphClient, services: Services, database: Database, stranger: Tenant
) -> None:
    await prepare_mail(services)
    create = f"""mutation ($input: CreateInvitationInput!, $key: String) {{
      createInvitation(input: $input, idempotencyKey: $key) {{ invitation {{ {INVITATION} }} }} }}"""
    wanted = {"email": "grace@example.com", "role": "VIEWER", "note": "Welcome!"}
    made = (await owner(create, input=wanted, key="i"))["createInvitation"]["invitation"]
    assert (await owner(create, input=wanted, key="i"))["createInvitation"]["invitation"] == made
    assert as_rest(made) == (await graph.api.get(f"/v1/invitations/{made['id']}")).json()
    assert (await owner.error(create, input=wanted))["status"] == 409
    again = "mutation ($id: ID!) { resendInvitation(id: $id) { invitation { id } } }"
    assert (await owner.error(again, id=made["id"]))["status"] == 409, "mailed a moment ago"

    token = (await link_in_mail(services, "grace@example.com")).partition("token=")[2]
    accept = """mutation ($token: String!, $key: String) { acceptInvitation(token: $token, idempotencyKey: $key)
      { organizationId organizationName memberId role } }"""
    assert (await graph.error(accept, token=token))["status"] == 403, "a key accepts nothing"
    assert (await owner.error(accept, token=token))["status"] == 403, "it is for another address"
    person = await make_member(database, stranger.id, email="grace@example.com")
    grace = GraphClient(await sign_in(services, graph.api, person.user_id, stranger.id))
    joined = (await grace(accept, token=token, key="a"))["acceptInvitation"]
    assert (joined["organizationName"], joined["role"]) == ("Acme", "VIEWER")
    for key in ("a", "b", None):
        assert (await grace(accept, token=token, key=key))["acceptInvitation"] == joined
    member = await owner("query ($id: ID!) { member(id: $id) { email role } }", id=joined["memberId"])
    assert member["member"] == {"email": "grace@example.com", "role": "VIEWER"}


async def test_invitations_that_are_taken_back(owner: GraphClient, services: Services) -> None:
    await prepare_mail(services)
    create = 'mutation { createInvitation(input: {email: "grace@example.com"}) { invitation { id role } } }'
    made = (await owner(create))["createInvitation"]["invitation"]
    assert made["role"] == "MEMBER"
    revoke = (
        "mutation ($id: ID!, $k: String) { revokeInvitation(id: $id, idempotencyKey: $k) { invitation { status } } }"
    )
    for key in ("r", "r", None):
        done = await owner(revoke, id=made["id"], k=key)
        assert done["revokeInvitation"]["invitation"]["status"] == "REVOKED"
    listed = await owner("{ invitations(status: REVOKED) { nodes { id } } }")
    assert listed["invitations"]["nodes"] == [{"id": made["id"]}]


async def test_roles(graph: GraphClient, owner: GraphClient) -> None:
    create = f"""mutation ($input: CreateRoleInput!, $key: String) {{
      createRole(input: $input, idempotencyKey: $key) {{ role {{ {ROLE} }} }} }}"""
    wanted = {"name": "Copywriter", "scopes": ["emails:write"], "description": "Writes"}
    made = (await owner(create, input=wanted, key="r"))["createRole"]["role"]
    assert (await owner(create, input=wanted, key="r"))["createRole"]["role"] == made
    rest = (await graph.api.get("/v1/roles")).json()["data"]
    data = await graph(f"query ($id: ID!) {{ roles {{ {ROLE} }} role(id: $id) {{ {ROLE} }} }}", id=made["id"])
    assert [as_rest(role) for role in data["roles"]] == rest
    assert data["role"] == made
    update = f"mutation ($input: UpdateRoleInput!) {{ updateRole(input: $input) {{ role {{ {ROLE} }} }} }}"
    changed = await owner(update, input={"id": made["id"], "description": None})
    assert changed["updateRole"]["role"]["description"] is None
    assert changed["updateRole"]["role"]["name"] == "Copywriter"
    many = await owner.error(update, input={"id": made["id"], "scopes": ["x"] * 101})
    assert many["errors"][0]["pointer"] == "/scopes"
    gone = await owner("mutation ($id: ID!) { deleteRole(id: $id) { id } }", id=made["id"])
    assert gone == {"deleteRole": {"id": made["id"]}}


async def test_handing_over_and_leaving(owner: GraphClient, database: Database, tenant: Tenant) -> None:
    leave = "mutation ($key: String) { leaveOrganization(idempotencyKey: $key) { organizationId } }"
    assert (await owner.error(leave))["code"] == "last_owner"
    person = await make_member(database, tenant.id, "admin")
    member = ids.encode(Prefix.MEMBER, person.member_id)
    transfer = (
        "mutation ($id: ID!, $c: String!) { transferOrganization(memberId: $id, confirm: $c) { member { role } } }"
    )
    assert (await owner.error(transfer, id=member, c="acme"))["errors"][0]["pointer"] == "/confirm"
    assert await owner(transfer, id=member, c="Acme") == {"transferOrganization": {"member": {"role": "OWNER"}}}
    left = await owner(leave, key="l")
    assert left == {"leaveOrganization": {"organizationId": ids.encode(Prefix.ORGANIZATION, tenant.id)}}
    assert (await owner.api.get("/v1/members")).status_code in (401, 403)


async def test_strangers_find_none_of_it(
    graph: GraphClient, database: Database, tenant: Tenant, stranger: Tenant
) -> None:
    person = await make_member(database, tenant.id, "viewer")
    member = ids.encode(Prefix.MEMBER, person.member_id)
    workspace = ids.encode(Prefix.WORKSPACE, tenant.workspace_id)
    organization = ids.encode(Prefix.ORGANIZATION, tenant.id)
    made = await graph('mutation { createRole(input: {name: "R", scopes: ["emails:read"]}) { role { id } } }')
    role = made["createRole"]["role"]["id"]
    other = graph.as_(stranger.key)
    for field in (
        f'member(id: "{member}") {{ id }}',
        f'workspace(id: "{workspace}") {{ id }}',
        f'role(id: "{role}") {{ id }}',
        *(f'node(id: "{node}") {{ id }}' for node in (member, workspace, organization)),
    ):
        assert (await other.error(f"{{ {field} }}"))["status"] == 404, field
    for mutation in (
        f'updateMember(id: "{member}", place: {{role: ADMIN}}) {{ member {{ id }} }}',
        f'removeMember(id: "{member}") {{ id }}',
        f'updateWorkspace(input: {{id: "{workspace}", name: "x"}}) {{ workspace {{ id }} }}',
        f'archiveWorkspace(id: "{workspace}") {{ workspace {{ id }} }}',
        f'deleteWorkspace(id: "{workspace}") {{ id }}',
        f'updateRole(input: {{id: "{role}", name: "x"}}) {{ role {{ id }} }}',
        f'deleteRole(id: "{role}") {{ id }}',
    ):
        assert (await other.error(f"mutation {{ {mutation} }}"))["status"] == 404, mutation
