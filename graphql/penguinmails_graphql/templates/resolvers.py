"""`templates`, `template`, `templateVersions`, `templateVersion` and `previewTemplate`."""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.templates import service
from penguinmails_core.templates.content import parts_of, render_content
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.relay import Connection, connect, page_of, uuid_of
from penguinmails_graphql.templates.inputs import values_of
from penguinmails_graphql.templates.types import Template, TemplatePreview, TemplateVersion

READ = Scope.TEMPLATES_READ


@strawberry.type
class TemplatesQuery:
    @strawberry.field(description="The newest first, drafts too.")
    async def templates(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Template]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)

        async def work(session: AsyncSession) -> tuple[list[service.Shown], bool]:
            return await service.list_templates(session, caller, limit=page.limit, after=page.after, before=page.before)

        found, has_more = await info.context.read(work)
        return connect(page, found, has_more, Template.of, lambda item: item.row.id)

    @strawberry.field(description="One template; what it says is in its versions.")
    async def template(self, info: Info, id: strawberry.ID) -> Template:
        return await fetch_template(info, id)

    @strawberry.field(description="Versions of one template, the newest first.")
    async def template_versions(
        self,
        info: Info,
        template_id: strawberry.ID,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[TemplateVersion]:
        caller, page = caller_of(info, READ), page_of(first, after, last, before)
        wanted = uuid_of(Prefix.TEMPLATE, template_id, "template")

        async def work(session: AsyncSession) -> tuple[models.Template, list[models.TemplateVersion], bool]:
            return await service.list_versions(
                session, caller, wanted, limit=page.limit, after=page.after, before=page.before
            )

        template, rows, has_more = await info.context.read(work)
        return connect(page, rows, has_more, lambda row: TemplateVersion.of(template, row), lambda row: row.id)

    @strawberry.field(description="What a version says, and the variables it uses.")
    async def template_version(self, info: Info, template_id: strawberry.ID, id: strawberry.ID) -> TemplateVersion:
        caller = caller_of(info, READ)
        wanted = uuid_of(Prefix.TEMPLATE, template_id, "template")
        version_id = uuid_of(Prefix.TEMPLATE_VERSION, id, "version of the template")

        async def work(session: AsyncSession) -> tuple[models.Template, models.TemplateVersion]:
            return await service.get_version(session, caller, wanted, version_id)

        return TemplateVersion.of(*await info.context.read(work))

    @strawberry.field(description="What a recipient would get. An error names every variable that is missing.")
    async def preview_template(
        self,
        info: Info,
        id: strawberry.ID,
        version: int | None = None,
        variables: Annotated[
            JSON | None, strawberry.argument(description="The template's sample values when left out.")
        ] = None,
        seed: str = "",
    ) -> TemplatePreview:
        caller, wanted = caller_of(info, READ), uuid_of(Prefix.TEMPLATE, id, "template")
        given = values_of(variables, "variables") if variables is not None else None

        async def work(session: AsyncSession) -> models.TemplateVersion:
            return await service.version_to_show(session, caller, wanted, version)

        row = await info.context.read(work)
        rendered = await render_content(
            info.context.services.renderer,
            parts_of(row),
            row.variables,
            given if given is not None else row.sample_variables,
            seed=seed,
            pointer="/variables",
            part_base="",
        )
        return TemplatePreview.of(row.version, rendered)


async def fetch_template(info: Info, node_id: strawberry.ID) -> Template:
    caller = caller_of(info, READ)
    template_id = uuid_of(Prefix.TEMPLATE, node_id, "template")

    async def work(session: AsyncSession) -> service.Shown:
        return await service.get_shown(session, caller, template_id)

    return Template.of(await info.context.read(work))
