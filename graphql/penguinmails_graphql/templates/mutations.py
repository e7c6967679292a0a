"""Make, change, publish and delete templates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.emails.compose import compose
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.templates import service
from penguinmails_core.templates.content import check_content
from penguinmails_core.templates.sending import fill_test
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.emails.inputs import SendEmailInput
from penguinmails_graphql.emails.mutations import EmailPayload, accept_drafts
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, uuid_of
from penguinmails_graphql.templates.inputs import (
    CreateTemplateInput,
    CreateTemplateVersionInput,
    SendTemplateTestInput,
    UpdateTemplateInput,
    values_of,
)
from penguinmails_graphql.templates.types import Template, TemplateVersion

WRITE = Scope.TEMPLATES_WRITE
Choose = Callable[[AsyncSession, Principal, UUID, int | None], Awaitable[service.Shown]]
Made = tuple[models.Template, models.TemplateVersion]


@strawberry.type
class TemplatePayload:
    template: Template


@strawberry.type
class TemplateVersionPayload:
    version: TemplateVersion


@strawberry.type
class TemplatesMutation:
    @strawberry.mutation(description="A template with its first version. All of it is checked before it is stored.")
    async def create_template(
        self, info: Info, input: CreateTemplateInput, idempotency_key: IdempotencyKey = None
    ) -> TemplatePayload | None:
        caller = caller_of(info, WRITE)
        checked = await check_content(info.context.services.renderer, input.content.to_content())

        async def work(session: AsyncSession) -> service.Shown:
            return await service.create(
                session, caller, name=input.name, alias=input.alias, checked=checked, publish=input.publish
            )

        async def load(session: AsyncSession, name: str) -> service.Shown:
            return await service.get_shown(session, caller, ids.decode(Prefix.TEMPLATE, name))

        found = await once(
            info.context, "createTemplate", idempotency_key, asdict(input), work, name=_name_of, load=load
        )
        return TemplatePayload(template=Template.of(found))

    @strawberry.mutation(description="Its name and alias. What it says is changed by another version.")
    async def update_template(self, info: Info, input: UpdateTemplateInput) -> TemplatePayload | None:
        caller, changes = caller_of(info, WRITE), input.changes()
        template_id = uuid_of(Prefix.TEMPLATE, input.id, "template")

        async def work(session: AsyncSession) -> service.Shown:
            return await service.update(session, caller, template_id, changes)

        return TemplatePayload(template=Template.of(await info.context.write(work)))

    @strawberry.mutation(description="With all its versions. What was accepted before keeps its text and is sent.")
    async def delete_template(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        template_id = uuid_of(Prefix.TEMPLATE, id, "template")

        async def work(session: AsyncSession) -> None:
            await service.delete(session, caller, template_id)

        await info.context.write(work)
        return DeletedPayload(id=id)

    @strawberry.mutation(description="Another version; versions are never changed.")
    async def create_template_version(
        self, info: Info, input: CreateTemplateVersionInput, idempotency_key: IdempotencyKey = None
    ) -> TemplateVersionPayload | None:
        caller = caller_of(info, WRITE)
        template_id = uuid_of(Prefix.TEMPLATE, input.template_id, "template")
        checked = await check_content(info.context.services.renderer, input.content.to_content())

        async def work(session: AsyncSession) -> Made:
            return await service.add_version(session, caller, template_id, checked, publish=input.publish)

        async def load(session: AsyncSession, name: str) -> Made:
            return await service.get_version(session, caller, template_id, ids.decode(Prefix.TEMPLATE_VERSION, name))

        made = await once(
            info.context,
            "createTemplateVersion",
            idempotency_key,
            asdict(input),
            work,
            name=lambda made: ids.encode(Prefix.TEMPLATE_VERSION, made[1].id),
            load=load,
        )
        return TemplateVersionPayload(version=TemplateVersion.of(*made))

    @strawberry.mutation(description="From now on this version is what is sent; the latest when none is named.")
    async def publish_template(
        self, info: Info, id: strawberry.ID, version: int | None = None, idempotency_key: IdempotencyKey = None
    ) -> TemplatePayload | None:
        return await _choose(info, "publishTemplate", id, version, idempotency_key, service.publish)

    @strawberry.mutation(description="Back to a version that was published before; the last one when none is named.")
    async def rollback_template(
        self, info: Info, id: strawberry.ID, version: int | None = None, idempotency_key: IdempotencyKey = None
    ) -> TemplatePayload | None:
        return await _choose(info, "rollbackTemplate", id, version, idempotency_key, service.rollback)

    @strawberry.mutation(description="One message to look at, with `[Test]` before its subject.")
    async def send_template_test(
        self, info: Info, input: SendTemplateTestInput, idempotency_key: IdempotencyKey = None
    ) -> EmailPayload | None:
        caller, services = caller_of(info, Scope.EMAILS_WRITE), info.context.services
        template_id = uuid_of(Prefix.TEMPLATE, input.id, "template")
        given = values_of(input.variables, "variables") if input.variables is not None else None
        filled = await fill_test(
            services.database, services.renderer, caller, template_id, input.version, given, input.to
        )
        message = SendEmailInput(
            from_=input.from_,
            to=[input.to],
            subject=filled.subject,
            html=filled.html,
            text=filled.text,
            tags=["template_test"],
        ).to_message()
        draft = await compose(caller, message, services.domains, services.draft_limits, now=utcnow())
        [email] = await accept_drafts(info, "sendTemplateTest", [draft], idempotency_key, asdict(input))
        return EmailPayload(email=email)


async def _choose(
    info: Info, mutation: str, node_id: strawberry.ID, version: int | None, key: str | None, choose: Choose
) -> TemplatePayload:
    caller = caller_of(info, WRITE)
    template_id = uuid_of(Prefix.TEMPLATE, node_id, "template")

    async def work(session: AsyncSession) -> service.Shown:
        return await choose(session, caller, template_id, version)

    async def load(session: AsyncSession, _: str) -> service.Shown:
        return await service.get_shown(session, caller, template_id)

    asked = {"id": str(node_id), "version": version}
    found = await once(info.context, mutation, key, asked, work, name=_name_of, load=load)
    return TemplatePayload(template=Template.of(found))


def _name_of(found: service.Shown) -> str:
    return ids.encode(Prefix.TEMPLATE, found.row.id)
