"""SQL of templates."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.kit.pages import newest_first
from penguinmails_core.models import Template, TemplateVersion
from penguinmails_core.principal import Principal


def _visible(principal: Principal) -> list[ColumnElement[bool]]:
    conditions = [Template.organization_id == principal.organization_id, Template.mode == principal.mode]
    if principal.workspace_id is not None:
        conditions.append(Template.workspace_id == principal.workspace_id)
    return conditions


async def count_for_update(session: AsyncSession, organization_id: UUID) -> int:
    """How many templates the organization has, in both modes; others who ask wait for this transaction."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('templates ' || :organization, 0))"),
        {"organization": str(organization_id)},
    )
    query = select(func.count()).select_from(Template).where(Template.organization_id == organization_id)
    return await session.scalar(query) or 0


async def get(session: AsyncSession, principal: Principal, template_id: UUID, *, lock: bool = False) -> Template | None:
    query = select(Template).where(*_visible(principal), Template.id == template_id)
    return await session.scalar(query.with_for_update() if lock else query)


async def find_alias(session: AsyncSession, principal: Principal, workspace_id: UUID, alias: str) -> Template | None:
    query = select(Template).where(*_visible(principal), Template.workspace_id == workspace_id, Template.alias == alias)
    return await session.scalar(query)


async def list_templates(
    session: AsyncSession, principal: Principal, *, limit: int, after: UUID | None, before: UUID | None
) -> list[Template]:
    """Up to `limit`, the newest first: those older than `after`, or the nearest newer than `before`."""
    return await newest_first(session, select(Template).where(*_visible(principal)), Template.id, limit, after, before)


async def delete_template(session: AsyncSession, template: Template) -> None:
    """With its versions."""
    await session.execute(
        delete(Template).where(Template.organization_id == template.organization_id, Template.id == template.id)
    )


def _of(template: Template) -> list[ColumnElement[bool]]:
    return [
        TemplateVersion.organization_id == template.organization_id,
        TemplateVersion.template_id == template.id,
    ]


async def get_version(
    session: AsyncSession, template: Template, *, version_id: UUID | None = None, number: int | None = None
) -> TemplateVersion | None:
    """By one of both."""
    wanted = TemplateVersion.id == version_id if version_id is not None else TemplateVersion.version == number
    return await session.scalar(select(TemplateVersion).where(*_of(template), wanted))


async def list_versions(
    session: AsyncSession, template: Template, *, limit: int, after: UUID | None, before: UUID | None
) -> list[TemplateVersion]:
    """As `list_templates`."""
    return await newest_first(
        session, select(TemplateVersion).where(*_of(template)), TemplateVersion.id, limit, after, before
    )


async def mark_published(session: AsyncSession, version: TemplateVersion) -> None:
    """The first time counts."""
    await session.execute(
        update(TemplateVersion)
        .where(
            TemplateVersion.organization_id == version.organization_id,
            TemplateVersion.id == version.id,
            TemplateVersion.published_at.is_(None),
        )
        .values(published_at=func.now())
    )
    await session.refresh(version)


async def numbers_of(session: AsyncSession, templates: Sequence[Template]) -> dict[tuple[UUID, int], UUID]:
    """Ids of versions by template and number: the latest and the published one of each."""
    wanted = {
        (template.id, number)
        for template in templates
        for number in (template.latest_version, template.published_version)
        if number is not None
    }
    if not wanted:
        return {}
    rows = await session.execute(
        select(TemplateVersion.template_id, TemplateVersion.version, TemplateVersion.id).where(
            TemplateVersion.organization_id == templates[0].organization_id,
            TemplateVersion.template_id.in_({template_id for template_id, _ in wanted}),
            TemplateVersion.version.in_({number for _, number in wanted}),
        )
    )
    return {(template_id, number): found for template_id, number, found in rows if (template_id, number) in wanted}
