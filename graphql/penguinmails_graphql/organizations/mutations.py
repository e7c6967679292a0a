"""Change, hand over and leave the organization."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS, KEYS, TOKENS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members import manage
from penguinmails_core.members.manage import MemberView
from penguinmails_core.organizations import own, settings
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.members.types import Member, MemberPayload
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.organizations.types import DateFormat, Organization
from penguinmails_graphql.relay import argument_id, given


@strawberry.input(description="Only what is given is changed.")
class UpdateOrganizationInput:
    name: str | None = strawberry.UNSET
    timezone: str | None = strawberry.field(
        default=strawberry.UNSET, description="A name of the IANA time zone database."
    )
    date_format: DateFormat | None = strawberry.UNSET
    currency: str | None = strawberry.field(default=strawberry.UNSET, description="A code of ISO 4217.")
    event_retention_days: int | None = strawberry.field(default=strawberry.UNSET, description="1 to 90.")

    def values(self) -> dict[str, Any]:
        """None of them can be null, so null is the same as not given."""
        found = given(self, "name", "timezone", "date_format", "currency", "event_retention_days")
        return {name: value for name, value in found.items() if value is not None}


@strawberry.type
class OrganizationPayload:
    organization: Organization


@strawberry.type(description="The organization that is left, for good until somebody invites again.")
class LeaveOrganizationPayload:
    organization_id: strawberry.ID


@strawberry.type
class OrganizationsMutation:
    @strawberry.mutation(description="Its name, and how dashboards show times, dates and money.")
    async def update_organization(self, info: Info, input: UpdateOrganizationInput) -> OrganizationPayload | None:
        caller, values = caller_of(info, Scope.ORGANIZATIONS_WRITE), input.values()

        async def work(session: AsyncSession) -> models.Organization:
            return await settings.update(session, caller, values)

        return OrganizationPayload(organization=Organization.of(await info.context.write(work, EVENTS)))

    @strawberry.mutation(
        description="For a person who is signed in, or an app that acts for one: they own it, with a default "
        "workspace. The session, or token, stays where it is. Needs no scope; an app needs `organizations:write`."
    )
    async def create_organization(
        self, info: Info, name: str, idempotency_key: IdempotencyKey = None
    ) -> OrganizationPayload | None:
        caller, services = info.context.principal, info.context.services

        async def work(session: AsyncSession) -> models.Organization:
            most = services.organizations_per_person
            return await own.create(session, services.database.worker, caller, name, most=most)

        async def load(session: AsyncSession, made: str) -> models.Organization:
            return await own.get(session, ids.decode(Prefix.ORGANIZATION, made))

        row = await once(
            info.context,
            "createOrganization",
            idempotency_key,
            {"name": name},
            work,
            name=lambda row: ids.encode(Prefix.ORGANIZATION, row.id),
            load=load,
        )
        return OrganizationPayload(organization=Organization.of(row))

    @strawberry.mutation(
        description="The member becomes an owner and the caller, who must be one and signed in, an admin."
    )
    async def transfer_organization(
        self,
        info: Info,
        member_id: strawberry.ID,
        confirm: Annotated[
            str, strawberry.argument(description="The name of the organization, exactly as it is written.")
        ],
        idempotency_key: IdempotencyKey = None,
    ) -> MemberPayload | None:
        caller = await fresh_caller_of(info, Scope.ORGANIZATIONS_WRITE)
        target = argument_id(Prefix.MEMBER, member_id, "/memberId")
        assert target is not None

        async def work(session: AsyncSession) -> MemberView:
            return await manage.transfer(session, caller, target, confirm)

        async def load(session: AsyncSession, _: str) -> MemberView:
            return await manage.get(session, caller, target)

        asked = {"member_id": str(member_id), "confirm": confirm}
        view = await once(
            info.context,
            "transferOrganization",
            idempotency_key,
            asked,
            work,
            TOKENS,
            EVENTS,
            name=lambda _: str(member_id),
            load=load,
        )
        return MemberPayload(member=Member.of(view))

    @strawberry.mutation(
        description="Ends the membership of the person who is signed in, their keys and what they granted to apps. "
        "Needs no scope."
    )
    async def leave_organization(
        self, info: Info, idempotency_key: IdempotencyKey = None
    ) -> LeaveOrganizationPayload | None:
        caller = info.context.principal
        await info.context.sudo()

        async def work(session: AsyncSession) -> str:
            await manage.leave(session, caller)
            return ids.encode(Prefix.ORGANIZATION, caller.organization_id)

        async def load(_: AsyncSession, name: str) -> str:
            return name

        left = await once(
            info.context, "leaveOrganization", idempotency_key, {}, work, KEYS, TOKENS, EVENTS, name=str, load=load
        )
        await info.context.services.identity.sessions.leave_organization(caller.id, caller.organization_id)
        return LeaveOrganizationPayload(organization_id=strawberry.ID(left))
