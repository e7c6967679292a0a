"""Whom a person is in an organization."""

from __future__ import annotations

import pytest

from penguinmails_core.errors import NotAMember
from penguinmails_core.kit.db import Database
from penguinmails_core.members.service import memberships_of, principal_for
from penguinmails_core.organizations.service import create_organization, create_organization_for
from penguinmails_core.principal import PrincipalKind
from penguinmails_core.roles import ORGANIZATION_ROLES, OrganizationRole, scopes_of
from penguinmails_core.scopes import ALL_SCOPES
from tests.fixtures.factories import make_workspace
from tests.fixtures.people import make_member, make_role, make_user


async def test_the_maker_of_an_organization_owns_it(database: Database) -> None:
    user_id = await make_user(database, "ada@example.com")
    async with database.worker.acquire() as connection, connection.transaction():
        made = await create_organization_for(connection, user_id, "Acme")
    async with database.tenant(made.id) as session:
        principal = await principal_for(session, user_id, made.id)
    assert (principal.kind, principal.id, principal.user_id) == (PrincipalKind.SESSION, user_id, user_id)
    assert (principal.workspace_id, principal.default_workspace_id) == (None, made.default_workspace_id)
    assert principal.scopes == frozenset(ALL_SCOPES)
    assert principal.mode == "live"
    (membership,) = await memberships_of(database.worker, user_id)
    assert (membership.organization_id, membership.organization_name, membership.role) == (made.id, "Acme", "owner")


async def test_memberships_span_organizations_and_stay_apart(database: Database) -> None:
    user_id = await make_user(database, "ada@example.com")
    made = []
    for name in ("Acme", "Umbrella"):
        async with database.worker.acquire() as connection, connection.transaction():
            made.append(await create_organization_for(connection, user_id, name))
    strangers = await create_organization(database, "Strangers")
    assert [m.organization_id for m in await memberships_of(database.worker, user_id)] == [m.id for m in made]
    async with database.tenant(strangers.id) as session:
        with pytest.raises(NotAMember):
            await principal_for(session, user_id, strangers.id)
    async with database.tenant(made[0].id) as session:  # bound to another organization than asked for
        with pytest.raises(NotAMember):
            await principal_for(session, user_id, made[1].id)


@pytest.mark.parametrize("role", ORGANIZATION_ROLES)
async def test_a_role_gives_its_scopes(database: Database, role: OrganizationRole) -> None:
    organization = await create_organization(database, "Acme")
    person = await make_member(database, organization.id, role)
    assert (await person.principal(database)).scopes == scopes_of(role)


async def test_a_custom_role_gives_its_own_scopes_of_this_moment(database: Database) -> None:
    organization = await create_organization(database, "Acme")
    role_id = await make_role(database, organization.id, "Sender", ["emails:write"])
    person = await make_member(database, organization.id, custom_role_id=role_id)
    assert (await person.principal(database)).scopes == {"emails:write", "emails:read"}
    await database.worker.execute("update roles set scopes = '{events:read}'")
    assert (await person.principal(database)).scopes == {"events:read"}


async def test_a_limited_member_is_bound_to_one_of_its_workspaces(database: Database) -> None:
    organization = await create_organization(database, "Acme")
    one, two, three = [await make_workspace(database, organization.id, slug) for slug in ("one", "two", "three")]
    person = await make_member(database, organization.id, workspaces={one: "viewer", two: "admin"})
    first = await person.principal(database)
    assert (first.workspace_id, first.default_workspace_id) == (one, one)
    assert "emails:write" not in first.scopes
    chosen = await person.principal(database, two)
    assert chosen.workspace_id == two
    assert "api_keys:write" in chosen.scopes
    for foreign in (three, organization.default_workspace_id):
        assert (await person.principal(database, foreign)).workspace_id == one


async def test_a_limited_member_without_a_workspace_sees_nothing_rather_than_all(database: Database) -> None:
    organization = await create_organization(database, "Acme")
    workspace = await make_workspace(database, organization.id, "one")
    person = await make_member(database, organization.id, workspaces={workspace: "member"})
    await database.worker.execute("delete from workspaces where id = $1", workspace)
    with pytest.raises(NotAMember, match="no workspace"):
        await person.principal(database)


async def test_others_choose_where_new_things_go(database: Database) -> None:
    organization = await create_organization(database, "Acme")
    other = await create_organization(database, "Umbrella")
    workspace = await make_workspace(database, organization.id, "one")
    person = await make_member(database, organization.id, "developer")
    chosen = await person.principal(database, workspace)
    assert (chosen.workspace_id, chosen.target_workspace_id) == (None, workspace)
    foreign = await person.principal(database, other.default_workspace_id)
    assert foreign.target_workspace_id == organization.default_workspace_id
