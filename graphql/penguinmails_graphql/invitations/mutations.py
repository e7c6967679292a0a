"""Ask people to join, and join."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson
import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import Forbidden, Unavailable
from penguinmails_core.invitations import accepting, mails, service
from penguinmails_core.invitations.accepting import Accepted
from penguinmails_core.invitations.service import InvitationView, Letter
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import PrincipalKind
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import GraphContext, Info, caller_of
from penguinmails_graphql.invitations.types import AcceptInvitationPayload, Invitation
from penguinmails_graphql.members.inputs import PlaceInput
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import uuid_of

WRITE = Scope.MEMBERS_WRITE
Mailed = Callable[[AsyncSession], Awaitable[tuple[InvitationView, Letter | None]]]


@strawberry.input(description="Who is asked to join, and to which place: a `MEMBER` of all workspaces unless told.")
class CreateInvitationInput(PlaceInput):
    email: str = strawberry.field(description="An address without a name.")
    note: str | None = strawberry.field(default=None, description="Stands in the mail, as plain text.")


@strawberry.type
class InvitationPayload:
    invitation: Invitation


@strawberry.type
class InvitationsMutation:
    @strawberry.mutation(description="Mails a link that is good once, for seven days.")
    async def create_invitation(
        self, info: Info, input: CreateInvitationInput, idempotency_key: IdempotencyKey = None
    ) -> InvitationPayload | None:
        caller = caller_of(info, WRITE)
        given = input.place() | {"email": input.email, "note": input.note}

        async def work(session: AsyncSession) -> tuple[InvitationView, Letter | None]:
            return await service.create(session, caller, given)

        return await _mailed(info, "createInvitation", idempotency_key, given, work)

    @strawberry.mutation(description="With a new link, good for seven days from now; the one before is void.")
    async def resend_invitation(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> InvitationPayload | None:
        caller, invitation_id = caller_of(info, WRITE), _invitation_id(id)

        async def work(session: AsyncSession) -> tuple[InvitationView, Letter | None]:
            return await service.resend(session, caller, invitation_id)

        return await _mailed(info, "resendInvitation", idempotency_key, {"id": str(id)}, work)

    @strawberry.mutation(description="Its link is void at once. Twice is once.")
    async def revoke_invitation(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> InvitationPayload | None:
        caller, invitation_id = caller_of(info, WRITE), _invitation_id(id)

        async def work(session: AsyncSession) -> InvitationView:
            return await service.revoke(session, caller, invitation_id)

        async def load(session: AsyncSession, _: str) -> InvitationView:
            return await service.get(session, caller, invitation_id)

        asked = {"id": str(id)}
        view = await once(
            info.context, "revokeInvitation", idempotency_key, asked, work, EVENTS, name=lambda _: str(id), load=load
        )
        return InvitationPayload(invitation=Invitation.of(view))

    @strawberry.mutation(
        description="For the person that it was sent to, signed in. Repeating it is harmless. Needs no scope."
    )
    async def accept_invitation(
        self, info: Info, token: str, idempotency_key: IdempotencyKey = None
    ) -> AcceptInvitationPayload | None:
        caller, database = info.context.principal, info.context.services.database
        if caller.kind is not PrincipalKind.SESSION:
            raise Forbidden("People accept invitations, signed in; a key or an app cannot.")
        found = await accepting.find(database, caller.id, token)

        async def work(session: AsyncSession) -> Accepted:
            return await accepting.take(session, found, caller.id)

        async def load(_: AsyncSession, stored: str) -> Accepted:
            said = orjson.loads(stored)
            return Accepted(**said | {name: UUID(said[name]) for name in ("organization_id", "member_id")})

        accepted = await once(
            info.context,
            "acceptInvitation",
            idempotency_key,
            {"token": token},
            work,
            EVENTS,
            name=lambda accepted: orjson.dumps(asdict(accepted), default=str).decode(),
            load=load,
            organization_id=found.organization_id,
        )
        return AcceptInvitationPayload.of(accepted)


def _invitation_id(node_id: strawberry.ID) -> UUID:
    return uuid_of(Prefix.INVITATION, node_id, "invitation")


async def _mailed(info: Info, mutation: str, key: str | None, asked: dict[str, Any], make: Mailed) -> InvitationPayload:
    """An invitation that cannot be mailed is none; the mail leaves after the commit, and not for a replay."""
    context, caller = info.context, info.context.principal
    letters: list[Letter] = []

    async def work(session: AsyncSession) -> InvitationView:
        view, letter = await make(session)
        await _admit_mail(context, letter)
        if letter is not None:
            letters.append(letter)
        return view

    async def load(session: AsyncSession, name: str) -> InvitationView:
        return await service.get(session, caller, ids.decode(Prefix.INVITATION, name))

    def name_of(view: InvitationView) -> str:
        return ids.encode(Prefix.INVITATION, view.row.id)

    view = await once(context, mutation, key, asked, work, EVENTS, name=name_of, load=load)
    services = context.services
    for letter in letters:
        mail = mails.invitation(letter, mails.link(services.public.base, letter))
        services.identity.notices.post(letter.to, mail, charged=True)
    return InvitationPayload(invitation=Invitation.of(view))


async def _admit_mail(context: GraphContext, letter: Letter | None) -> None:
    """As in REST."""
    notices = context.services.identity.notices
    if context.principal.mode == "live" and not notices.enabled:
        raise Unavailable("This server sends no mail of its own: its operator must set PENGUINMAILS_SYSTEM_MAIL_FROM.")
    if letter is not None:
        await notices.admit(letter.to, context.principal.organization_id)
