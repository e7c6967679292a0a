"""W7: nobody hands out more than they have. Every scope and every limit, by key and by person, over create, patch,
derive and rotate."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.api_keys import service
from penguinmails_core.api_keys.grants import Grant
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.errors import (
    Conflict,
    Forbidden,
    GrantExceeded,
    NotFound,
    Problem,
    Unauthenticated,
    Unprocessable,
)
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.doorbell import Doorbell
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models import ApiKey
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import OrganizationRole, scopes_of
from penguinmails_core.scopes import ALL_SCOPES, Scope, expand
from tests.fixtures.factories import Tenant, make_tenant, make_workspace
from tests.fixtures.people import make_member, make_role

SOON, LATER = utcnow() + timedelta(days=2), utcnow() + timedelta(days=3)
READS = [scope for scope in ALL_SCOPES if scope.endswith(":read")]


@dataclass
class World:
    database: Database
    tenant: Tenant

    async def key(self, scopes: list[str], **limits: Any) -> ApiKey:
        made, _ = await create_key(self.database, self.tenant.id, mode="live", name="k", scopes=scopes, **limits)
        return made

    def caller(self, key: ApiKey) -> Principal:
        return Principal(
            key.id, key.organization_id, key.workspace_id, self.tenant.workspace_id, key.mode, expand(key.scopes)
        )

    async def person(self, scopes: frozenset[str], workspace_id: UUID | None = None) -> Principal:
        """A member with these scopes; with a workspace, an admin of it whose session has no more than these."""
        role, places = None, {workspace_id: "admin"} if workspace_id is not None else None
        if places is None:
            role = await make_role(self.database, self.tenant.id, new_uuid().hex, sorted(scopes))
        member = await make_member(self.database, self.tenant.id, custom_role_id=role, workspaces=places)
        return replace(await member.principal(self.database, workspace_id), scopes=scopes)

    async def create(self, caller: Principal, values: Mapping[str, Any]) -> ApiKey:
        async with self.database.tenant(self.tenant.id) as session:
            return (await service.create(session, caller, {"name": "n", "scopes": ["api_keys:read"], **values}))[0]

    async def derive(self, caller: Principal, parent: ApiKey, values: Mapping[str, Any]) -> ApiKey:
        async with self.database.tenant(self.tenant.id) as session:
            wanted: dict[str, Any] = {"name": "n", "scopes": ["api_keys:read"], **values}
            return (await service.derive(session, caller, parent.id, wanted))[0]

    async def update(self, caller: Principal, key: ApiKey, values: Mapping[str, Any]) -> ApiKey:
        async with self.database.tenant(self.tenant.id) as session:
            return await service.update(session, caller, key.id, values)

    async def rotate(self, caller: Principal, key: ApiKey) -> ApiKey:
        async with self.database.tenant(self.tenant.id) as session:
            return (await service.rotate(session, caller, key.id))[0]


@pytest.fixture
async def world(database: Database) -> World:
    return World(database, await make_tenant(database))


async def refused(work: Any, constraint: str) -> GrantExceeded:
    with pytest.raises(GrantExceeded) as caught:
        await work
    assert constraint in [item["constraint"] for item in caught.value.extra["excess"]]
    assert f"/{constraint}" in [error.pointer for error in caught.value.errors]
    return caught.value


@pytest.mark.parametrize("scope", ALL_SCOPES)
async def test_every_scope_for_a_key(world: World, scope: Scope) -> None:
    """A caller with every scope but this one (and what implies it) cannot hand it out; one that has it can."""
    others = [str(one) for one in ALL_SCOPES if scope not in expand([one]) and one != Scope.API_KEYS_WRITE]
    key = await world.key([*others, "api_keys:write"])  # without it nobody gets this far
    caller = world.caller(key)
    weak = await world.key(["emails:read"])
    allowed = expand([scope]) <= caller.scopes
    works: list[Any] = [
        world.create(caller, {"scopes": [scope]}),
        world.update(caller, key, {"scopes": [*key.scopes, scope]}),
        world.update(caller, weak, {"scopes": ["emails:read", scope]}),
        world.derive(caller, key, {"scopes": [scope]}),
    ]
    for number, work in enumerate(works):
        if allowed or (number == 2 and scope == Scope.EMAILS_READ):  # it has that one already: nothing is widened
            await work
        else:
            problem = await refused(work, "scopes")
            assert str(scope) in problem.extra["excess_scopes"]


@pytest.mark.parametrize("role", OrganizationRole)
async def test_every_scope_for_a_person_of_each_role(world: World, role: OrganizationRole) -> None:
    person = await world.person(scopes_of(role) | {"api_keys:write", "api_keys:read"})
    wide = await world.key(list(ALL_SCOPES))
    for scope in ALL_SCOPES:
        weak = await world.key(["api_keys:read"])
        works: list[Any] = [
            world.create(person, {"scopes": [scope]}),
            world.update(person, weak, {"scopes": ["api_keys:read", scope]}),
            world.derive(person, wide, {"scopes": [scope]}),
        ]
        for work in works:
            if expand([scope]) <= person.scopes:
                await work
            else:
                await refused(work, "scopes")
    if scopes_of(role) >= set(ALL_SCOPES):
        assert (await world.rotate(person, wide)).rotated_at is not None
    else:
        await refused(world.rotate(person, wide), "scopes")


LIMITS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    # limit: (what the caller has, what goes beyond, what lies within)
    "allowed_ips": (
        ["192.0.2.0/24", "2001:db8::/32"],
        [None, ["192.0.0.0/16"], ["192.0.2.0/24", "198.51.100.1"], ["2001:db8::/31"], ["0.0.0.0/0"], ["::/0"]],
        [["192.0.2.0/24"], ["192.0.2.7"], ["2001:db8:1::/48", "192.0.2.128/25"]],
    ),
    "allowed_mailboxes": (
        ["a@one.test", "b@one.test"],
        [None, ["c@one.test"], ["a@one.test", "a@two.test"]],
        [["a@one.test"], ["B@ONE.test", "a@one.test"]],
    ),
    "allowed_domains": (
        ["one.test", "two.test"],
        [None, ["three.test"], ["sub.one.test"]],
        [["one.test"], ["TWO.test"]],
    ),
    "expires_at": (SOON, [None, LATER, SOON + timedelta(seconds=1)], [SOON, SOON - timedelta(days=1)]),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_every_limit_of_a_key(world: World, limit: str) -> None:
    """A caller with the limit can neither leave it behind nor stretch it; what is left out is inherited."""
    has, beyond, within = LIMITS[limit]
    key = await world.key(["api_keys:write", "emails:write"], **{limit: has})
    caller = world.caller(key)
    for value in beyond:
        await refused(world.create(caller, {limit: value}), limit)
        await refused(world.update(caller, key, {limit: value}), limit)
        narrow = await world.key(["api_keys:read"], **{limit: within[-1]})
        await refused(world.update(caller, narrow, {limit: value}), limit)
        if (limit, value) == ("expires_at", None):
            with pytest.raises(Unprocessable):
                await world.derive(caller, key, {limit: value})
        else:
            await refused(world.derive(caller, key, {limit: value}), limit)
    for value in within:
        made = await world.create(caller, {limit: value})
        child = await world.derive(caller, key, {limit: value})
        assert getattr(made, limit) == getattr(child, limit)
        assert getattr(made, limit) is not None
    inherited = await world.create(caller, {})
    assert getattr(inherited, limit) == getattr(key, limit)
    if limit != "expires_at":
        assert getattr(await world.derive(caller, key, {}), limit) == getattr(key, limit)
    assert getattr(await world.update(caller, key, {limit: within[-1]}), limit) is not None


async def test_a_cap_is_shared_or_not_given(world: World) -> None:
    """Ten keys with the cap of their maker would be ten times the cap."""
    key = await world.key(["api_keys:write", "emails:write"], max_sends_per_day=100)
    caller = world.caller(key)
    for value in (None, 101):
        await refused(world.create(caller, {"max_sends_per_day": value}), "max_sends_per_day")
        await refused(world.update(caller, key, {"max_sends_per_day": value}), "max_sends_per_day")
        await refused(world.derive(caller, key, {"max_sends_per_day": value}), "max_sends_per_day")
    sender: dict[str, Any] = {"scopes": ["emails:write"], "max_sends_per_day": 100}
    await refused(world.create(caller, sender), "max_sends_per_day")
    assert (await world.create(caller, {"scopes": ["emails:read"]})).max_sends_per_day == 100
    child = await world.derive(caller, key, sender)
    assert (child.parent_id, child.max_sends_per_day) == (key.id, 100)
    # Nor by way of another key's budget.
    other = await world.key(["emails:write"], max_sends_per_day=50)
    silent = await world.key(["emails:read"], max_sends_per_day=50)
    await refused(world.rotate(caller, other), "max_sends_per_day")
    await refused(world.derive(caller, other, sender | {"max_sends_per_day": 10}), "max_sends_per_day")
    await refused(world.update(caller, silent, {"scopes": ["emails:write"]}), "max_sends_per_day")
    assert (await world.rotate(caller, child)).rotated_at is not None
    assert (await world.rotate(caller, key)).rotated_at is not None
    # A child with a cap of its own has no way to its sibling's.
    sibling = await world.derive(caller, key, {"scopes": ["emails:write"], "max_sends_per_day": 20})
    capped = await world.derive(caller, key, {"scopes": ["emails:write", "api_keys:write"], "max_sends_per_day": 20})
    await refused(world.rotate(world.caller(capped), sibling), "max_sends_per_day")


async def test_mode_and_workspace(world: World) -> None:
    one, two = [await make_workspace(world.database, world.tenant.id, slug) for slug in ("one", "two")]
    free = world.caller(await world.key(["api_keys:write"]))
    await refused(world.create(free, {"mode": "test"}), "mode")
    assert (await world.create(free, {"workspace_id": one})).workspace_id == one
    bound_key = await world.key(["api_keys:write"], workspace_id=one)
    for bound in (world.caller(bound_key), await world.person(expand(["api_keys:write"]), one)):
        for workspace in (None, two):
            await refused(world.create(bound, {"workspace_id": workspace}), "workspace_id")
        assert (await world.create(bound, {})).workspace_id == one
        assert (await world.derive(bound, bound_key, {})).workspace_id == one
        with pytest.raises(NotFound):
            await world.derive(bound, world.tenant.live_key, {})
    person = await world.person(expand(["api_keys:write"]))
    assert (await world.create(person, {"mode": "test"})).mode == "test"
    assert (await world.create(person, {})).mode == "live"
    with pytest.raises(NotFound):
        await world.create(person, {"workspace_id": (await make_tenant(world.database, "Umbrella")).workspace_id})


async def test_a_wide_key_may_be_narrowed_and_renamed_by_a_weaker_one_but_not_widened(world: World) -> None:
    weak = world.caller(await world.key(["api_keys:write", "emails:read"], allowed_ips=["192.0.2.0/24"]))
    wide = await world.key(["emails:write", "events:read", "domains:read"])
    assert (await world.update(weak, wide, {"name": "new"})).name == "new"
    narrowed = await world.update(
        weak, wide, {"scopes": ["emails:write", "events:read"], "allowed_ips": ["10.0.0.0/8"]}
    )
    assert narrowed.scopes == ["emails:write", "events:read"]
    await refused(world.update(weak, wide, {"allowed_ips": None}), "allowed_ips")
    # It has emails:read itself, but the key as a whole would be free of its address limit.
    other = await world.key(["events:read"])
    await refused(world.update(weak, other, {"scopes": ["emails:read"]}), "allowed_ips")
    await refused(world.rotate(weak, wide), "scopes")


async def test_a_derived_key_stays_within_its_parents_whoever_changes_it(world: World) -> None:
    parent = await world.key(["emails:write"], allowed_domains=["one.test"], expires_at=SOON)
    owner = await world.person(frozenset(ALL_SCOPES))
    child = await world.derive(owner, parent, {"scopes": ["emails:read"]})
    assert (child.allowed_domains, child.mode, child.workspace_id) == (["one.test"], "live", None)
    assert child.expires_at is not None
    assert child.expires_at <= utcnow() + service.DEFAULT_DERIVED_LIFE
    await refused(world.update(owner, child, {"scopes": ["events:read"]}), "scopes")
    await refused(world.update(owner, child, {"allowed_domains": None}), "allowed_domains")
    await refused(world.update(owner, child, {"expires_at": LATER}), "expires_at")
    assert (await world.update(owner, child, {"expires_at": SOON})).expires_at == SOON
    assert (await world.update(owner, child, {"scopes": ["emails:write"]})).scopes == ["emails:write"]
    for end in (None, utcnow() + timedelta(days=31)):
        with pytest.raises(Unprocessable):
            await world.derive(owner, world.tenant.live_key, {"expires_at": end})
    # An earlier end of the parent is one of the child, too.
    earlier = utcnow() + timedelta(hours=1)
    await world.update(owner, parent, {"expires_at": earlier})
    async with world.database.tenant(world.tenant.id) as session:
        assert (await service.get(session, owner, child.id)).expires_at == earlier


async def test_a_line_is_five_keys_long(world: World) -> None:
    owner = await world.person(frozenset(ALL_SCOPES))
    key = await world.key(["emails:write", "api_keys:read"])
    for _ in range(4):
        key = await world.derive(owner, key, {})
    with pytest.raises(Conflict):
        await world.derive(owner, key, {})


async def test_who_made_it_is_kept(world: World) -> None:
    person = await world.person(expand(["api_keys:write"]))
    by_person = await world.create(person, {"scopes": ["api_keys:write"]})
    by_key = await world.create(world.caller(by_person), {})
    derived = await world.derive(world.caller(by_person), by_person, {})
    assert (by_person.created_by_user_id, by_person.created_by_key_id) == (person.user_id, None)
    for key in (by_key, derived):
        assert (key.created_by_user_id, key.created_by_key_id) == (person.user_id, by_person.id)


async def test_a_persons_keys_end_with_them(world: World) -> None:
    person, other = await world.person(expand(["api_keys:write"])), await world.person(expand(["api_keys:write"]))
    mine = await world.create(person, {"scopes": ["api_keys:write"]})
    through = await world.create(world.caller(mine), {})
    child = await world.derive(other, mine, {})
    kept = await world.create(other, {})
    assert person.user_id is not None
    async with world.database.tenant(world.tenant.id) as session:
        assert await service.revoke_keys_of_user(session, world.tenant.id, person.user_id) == 3
    async with world.database.tenant(world.tenant.id) as session:
        found = {key.id: key.revoked_at is not None for key in (await service.list_keys(session, other, limit=100))[0]}
        assert await service.revoke_keys_of_user(session, world.tenant.id, person.user_id) == 0
    assert [found[key.id] for key in (mine, through, child, kept)] == [True, True, True, False]
    rows = await world.database.worker.fetch(
        "select payload->>'reason' as reason from events where type = 'api_key.revoked' order by payload->>'reason'"
    )
    assert [row["reason"] for row in rows] == ["member_removed", "member_removed", "parent_revoked"]


async def test_an_app_makes_no_keys(world: World) -> None:
    """They would outlive its grant. It may read, narrow and revoke."""
    app = Principal(
        new_uuid(),
        world.tenant.id,
        None,
        world.tenant.workspace_id,
        "live",
        frozenset(ALL_SCOPES),
        PrincipalKind.OAUTH,
        new_uuid(),
        new_uuid(),
    )
    key = await world.key(["emails:write", "events:read"])
    works: list[Any] = [
        world.create(app, {}),
        world.derive(app, key, {"scopes": ["emails:read"]}),
        world.rotate(app, key),
        world.update(app, key, {"scopes": ["emails:write", "events:read", "domains:read"]}),
    ]
    for work in works:
        with pytest.raises(Forbidden):
            await work
    assert (await world.update(app, key, {"scopes": ["events:read"]})).scopes == ["events:read"]


async def test_a_key_that_has_just_ended_hands_out_nothing(world: World) -> None:
    """The request's credential may be some seconds old; what counts is the row."""
    key = await world.key(["api_keys:write", "emails:write"])
    caller = world.caller(key)
    await world.update(await world.person(frozenset(ALL_SCOPES)), key, {"scopes": ["api_keys:write"]})
    await refused(world.create(caller, {"scopes": ["emails:write"]}), "scopes")
    await service.revoke_key(world.database, Doorbell(), world.tenant.id, key.id)
    with pytest.raises(Unauthenticated):
        await world.create(caller, {})
    works: list[Any] = [
        world.rotate(caller, key),
        world.derive(caller, key, {}),
        world.update(caller, key, {"name": "x"}),
    ]
    for work in works:
        with pytest.raises(Problem) as caught:
            await work
        assert caught.value.status == 409


# ---------------------------------------------------------------- the algebra

_networks = st.none() | st.lists(
    st.builds(
        lambda start, bits: ipaddress.ip_network((start >> (32 - bits) << (32 - bits), bits)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 8),
    ),
    max_size=3,
).map(tuple)
_names = st.none() | st.frozensets(st.sampled_from("abcd"))
_grants = st.builds(
    Grant,
    scopes=st.frozensets(st.sampled_from(READS)),
    networks=_networks,
    mailboxes=_names,
    domains=_names,
    max_sends_per_day=st.none() | st.integers(1, 5),
    expires_at=st.none() | st.sampled_from([SOON, LATER]),
)


@given(_grants, _grants, st.integers(0, 2**32 - 1))
def test_what_two_grants_share_lies_within_both(one: Grant, other: Grant, address: int) -> None:
    shared = one.intersect(other)
    assert shared.excess(one) == []
    assert shared.excess(other) == []
    assert one.excess(one) == []
    ip = ipaddress.ip_address(address)

    def lets_in(grant: Grant) -> bool:
        return grant.networks is None or any(ip in network for network in grant.networks)

    assert lets_in(shared) == (lets_in(one) and lets_in(other))
    if not one.excess(other):
        assert lets_in(other) or not lets_in(one)
