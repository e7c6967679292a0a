"""Templates: make and change them, publish a version and take it back, fill one in.

Works in the caller's transaction. Contents are checked before it (`content.check_content`), since that is work of
another process. All functions raise `NotFound` for what the caller may not see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Resource
from penguinmails_core.errors import Conflict, FieldError, NotFound, Unprocessable
from penguinmails_core.kit.ids import Prefix, new_uuid
from penguinmails_core.kit.pages import cut
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.models import Template, TemplateVersion
from penguinmails_core.principal import Principal
from penguinmails_core.templates import repository
from penguinmails_core.templates.content import Checked, refusal

MAX_TEMPLATES = 5000
MAX_VERSIONS = 1000
MAX_NAME = 100
MAX_ALIAS = 64
ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Shown:
    """A template and the ids of its latest and its published version."""

    row: Template
    latest_id: UUID
    published_id: UUID | None


def _name_errors(name: str | None, alias: str | None) -> list[FieldError]:
    errors = text_errors("/name", name, most=MAX_NAME) if name is not None else []
    if alias is not None and not ALIAS.fullmatch(alias):
        detail = (
            f"An alias has lower-case letters, digits, `-` and `_`, {MAX_ALIAS} at most, and begins and ends with a "
            "letter or a digit."
        )
        errors.append(FieldError("/alias", "invalid_alias", detail))
    return errors


async def create(
    session: AsyncSession,
    principal: Principal,
    *,
    name: str,
    alias: str | None,
    checked: Checked,
    publish: bool = False,
) -> Shown:
    """A template with its first version. Raises `Unprocessable`, and `Conflict` when the alias is taken in the
    workspace or there are 5,000 templates."""
    if errors := _name_errors(name, alias):
        raise refusal(errors)
    if await repository.count_for_update(session, principal.organization_id) >= MAX_TEMPLATES:
        raise Conflict(
            f"An organization has at most {MAX_TEMPLATES} templates, test ones included. Delete one first.",
            extra={"limit": MAX_TEMPLATES},
        )
    template = Template(
        organization_id=principal.organization_id,
        id=new_uuid(),
        workspace_id=principal.target_workspace_id,
        mode=principal.mode,
        name=name.strip(),
        alias=alias,
        latest_version=1,
    )
    await _free(session, principal, template, alias)
    session.add(template)
    await _flush(session, alias)
    version = await _add_version(session, template, checked, 1)
    if publish:
        await _publish(session, template, version)
    await session.refresh(template)
    await _record(session, principal, "created", template, None, _facts(template))
    return await shown(session, template)


async def _free(session: AsyncSession, principal: Principal, template: Template, alias: str | None) -> None:
    if alias is None:
        return
    found = await repository.find_alias(session, principal, template.workspace_id, alias)
    if found is not None and found.id != template.id:
        raise _taken(alias)


def _taken(alias: str | None) -> Conflict:
    return Conflict(f"Another template of the workspace has the alias {alias}.")


async def _flush(session: AsyncSession, alias: str | None) -> None:
    try:
        await session.flush()
    except IntegrityError:  # somebody else was faster
        raise _taken(alias) from None


async def _add_version(session: AsyncSession, template: Template, checked: Checked, number: int) -> TemplateVersion:
    content = checked.content
    version = TemplateVersion(
        organization_id=template.organization_id,
        id=new_uuid(),
        template_id=template.id,
        version=number,
        **content.parts(),
        variables=content.declared(),
        sample_variables=dict(content.sample_variables),
        used=list(checked.used),
        note=content.note.strip() if content.note else None,
    )
    session.add(version)
    await session.flush()
    await session.refresh(version)
    return version


async def _publish(session: AsyncSession, template: Template, version: TemplateVersion) -> None:
    if template.published_version != version.version:
        template.previous_version = template.published_version
        template.published_version = version.version
    template.updated_at = func.now()
    await session.flush()
    await repository.mark_published(session, version)


async def shown(session: AsyncSession, template: Template) -> Shown:
    return (await shown_many(session, [template]))[0]


async def shown_many(session: AsyncSession, templates: Sequence[Template]) -> list[Shown]:
    found = await repository.numbers_of(session, templates)
    return [
        Shown(
            row,
            found[row.id, row.latest_version],
            found[row.id, row.published_version] if row.published_version is not None else None,
        )
        for row in templates
    ]


async def get(session: AsyncSession, principal: Principal, template_id: UUID, *, lock: bool = False) -> Template:
    template = await repository.get(session, principal, template_id, lock=lock)
    if template is None:
        raise NotFound("There is no such template.")
    return template


async def get_shown(session: AsyncSession, principal: Principal, template_id: UUID, *, lock: bool = False) -> Shown:
    return await shown(session, await get(session, principal, template_id, lock=lock))


async def list_templates(
    session: AsyncSession,
    principal: Principal,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[list[Shown], bool]:
    """A page, the newest first, and whether there is more in the direction of travel."""
    found = await repository.list_templates(session, principal, limit=limit + 1, after=after, before=before)
    page, has_more = cut(found, limit, backwards=before is not None)
    return await shown_many(session, page), has_more


async def update(session: AsyncSession, principal: Principal, template_id: UUID, changes: Mapping[str, Any]) -> Shown:
    """`changes` holds only what is to be changed: name, alias. What a template says is changed by another version."""
    if errors := _name_errors(changes.get("name"), changes.get("alias")):
        raise refusal(errors)
    template = await get(session, principal, template_id, lock=True)
    before = _facts(template)
    if "alias" in changes:
        await _free(session, principal, template, changes["alias"])
        template.alias = changes["alias"]
    if "name" in changes:
        template.name = changes["name"].strip()
    template.updated_at = func.now()
    await _flush(session, template.alias)
    await session.refresh(template)
    if _facts(template) != before:
        await _record(session, principal, "updated", template, before, _facts(template))
    return await shown(session, template)


async def delete(session: AsyncSession, principal: Principal, template_id: UUID) -> None:
    """With its versions. What was accepted before has its own text and is sent."""
    template = await get(session, principal, template_id, lock=True)
    await repository.delete_template(session, template)
    await _record(session, principal, "deleted", template, _facts(template), None)


async def add_version(
    session: AsyncSession, principal: Principal, template_id: UUID, checked: Checked, *, publish: bool = False
) -> tuple[Template, TemplateVersion]:
    """The next version: a draft, unless it is to be published at once. Raises `Conflict` at 1,000 versions."""
    template = await get(session, principal, template_id, lock=True)
    if template.latest_version >= MAX_VERSIONS:
        raise Conflict(
            f"A template has at most {MAX_VERSIONS} versions. Make a new template.", extra={"limit": MAX_VERSIONS}
        )
    before = _facts(template)
    template.latest_version += 1
    template.updated_at = func.now()
    await session.flush()
    version = await _add_version(session, template, checked, template.latest_version)
    if publish:
        await _publish(session, template, version)
    await session.refresh(template)
    await _record(session, principal, "published" if publish else "updated", template, before, _facts(template))
    return template, version


async def get_version(
    session: AsyncSession, principal: Principal, template_id: UUID, version_id: UUID
) -> tuple[Template, TemplateVersion]:
    template = await get(session, principal, template_id)
    version = await repository.get_version(session, template, version_id=version_id)
    if version is None:
        raise NotFound("There is no such version of the template.")
    return template, version


async def list_versions(
    session: AsyncSession,
    principal: Principal,
    template_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
) -> tuple[Template, list[TemplateVersion], bool]:
    """A page, the newest first."""
    template = await get(session, principal, template_id)
    found = await repository.list_versions(session, template, limit=limit + 1, after=after, before=before)
    page, has_more = cut(found, limit, backwards=before is not None)
    return template, page, has_more


async def publish(session: AsyncSession, principal: Principal, template_id: UUID, number: int | None = None) -> Shown:
    """From the commit on this version is what is sent; the latest one when none is named."""
    template = await get(session, principal, template_id, lock=True)
    version = await _version(session, template, number or template.latest_version)
    return await _publish_and_record(session, principal, template, version, "published")


async def rollback(session: AsyncSession, principal: Principal, template_id: UUID, number: int | None = None) -> Shown:
    """Back to a version that was published before: the one before the present one when none is named. Raises
    `Conflict` when there is none."""
    template = await get(session, principal, template_id, lock=True)
    wanted = number or template.previous_version
    if wanted is None:
        raise Conflict("No other version of the template was published before.")
    version = await _version(session, template, wanted)
    if version.published_at is None:
        raise Conflict(f"Version {wanted} was never published. Publish it instead.")
    return await _publish_and_record(session, principal, template, version, "rolled_back")


async def _publish_and_record(
    session: AsyncSession, principal: Principal, template: Template, version: TemplateVersion, verb: str
) -> Shown:
    before = _facts(template)
    await _publish(session, template, version)
    await session.refresh(template)
    if _facts(template) != before:
        await _record(session, principal, verb, template, before, _facts(template))
    return await shown(session, template)


async def _version(session: AsyncSession, template: Template, number: int) -> TemplateVersion:
    version = await repository.get_version(session, template, number=number)
    if version is None:
        detail = f"The template has no version {number}; the latest is {template.latest_version}."
        raise Unprocessable(detail, errors=[FieldError("/version", "unknown_version", detail)])
    return version


async def version_to_show(
    session: AsyncSession, principal: Principal, template_id: UUID, number: int | None = None
) -> TemplateVersion:
    """For previews and tests: the latest one when none is named, published or not."""
    template = await get(session, principal, template_id)
    return await _version(session, template, number or template.latest_version)


def _facts(template: Template) -> dict[str, Any]:
    return audit.facts(template, "name", "alias", "latest_version", "published_version", "mode")


async def _record(
    session: AsyncSession,
    principal: Principal,
    verb: str,
    template: Template,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    resource = Resource(Prefix.TEMPLATE, template.id, template.workspace_id)
    await audit.record(session, principal, f"template.{verb}", resource, before, after)
