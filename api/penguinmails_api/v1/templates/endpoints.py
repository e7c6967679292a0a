"""`/v1/templates`: what messages say, in versions, and what they look like filled in."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Body, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.responses import as_response
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.emails.send import accept_rows, draft_of
from penguinmails_api.v1.emails.send_schemas import EmailAccepted, EmailCreate
from penguinmails_api.v1.templates.schemas import (
    Template,
    TemplateCreate,
    TemplateIdInPath,
    TemplateList,
    TemplateListQuery,
    TemplatePreview,
    TemplatePreviewRequest,
    TemplateTestSend,
    TemplateUpdate,
    TemplateVersion,
    TemplateVersionChoice,
    TemplateVersionCreate,
    TemplateVersionList,
    VersionIdInPath,
)
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.scopes import Scope
from penguinmails_core.templates import service
from penguinmails_core.templates.content import check_content, parts_of, render_content
from penguinmails_core.templates.sending import fill_test

TEST_TAG = "template_test"
router = APIRouter(prefix="/v1/templates", tags=["templates"])
READ, WRITE = Scope.TEMPLATES_READ, Scope.TEMPLATES_WRITE
ChoiceBody = Annotated[TemplateVersionChoice, Body(default_factory=TemplateVersionChoice)]  # it may be left out
PreviewBody = Annotated[TemplatePreviewRequest, Body(default_factory=TemplatePreviewRequest)]


@router.post(
    "",
    summary="Create a template",
    status_code=201,
    response_model=Template,
    **operation("templates_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_template(request: Request, body: TemplateCreate) -> Response:
    """A template with its first version, a draft unless `publish` is true. Everything is checked before it is stored:
    Liquid, MJML, and with samples for all variables that the whole can be filled in."""
    context = get_context(request)
    checked = await check_content(context.services.renderer, body.to_content())

    async def work(session: AsyncSession) -> Template:
        made = await service.create(
            session, context.caller, name=body.name, alias=body.alias, checked=checked, publish=body.publish
        )
        return Template.of(made)

    return await answer_once(request, work, status=201)


@router.get("", summary="List templates", **operation("templates_list", scope=READ, paginated=True))
async def list_templates(context: Context, query: Annotated[TemplateListQuery, Query()]) -> TemplateList:
    """The newest first, drafts too."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        found, has_more = await service.list_templates(session, context.caller, **query.place())
    return TemplateList.of(found, has_more, backwards=query.backwards)


async def _current(session: AsyncSession, context: RequestContext, template_id: UUID) -> Template:
    """As GET shows it, and nobody else changes it meanwhile."""
    return Template.of(await service.get_shown(session, context.caller, template_id, lock=True))


@router.get("/{template_id}", summary="Get a template", **operation("templates_get", scope=READ))
async def get_template(context: Context, template_id: TemplateIdInPath) -> Template:
    """One template; what it says is in its versions."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Template.of(await service.get_shown(session, context.caller, template_id))


@router.patch(
    "/{template_id}",
    summary="Change a template's names",
    **operation("templates_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_template(context: Context, template_id: TemplateIdInPath, body: TemplateUpdate) -> Template:
    """Its name and alias. What it says is changed by another version."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, template_id))
        return Template.of(await service.update(session, context.caller, template_id, body.changes()))


@router.delete(
    "/{template_id}",
    summary="Delete a template",
    status_code=204,
    **operation("templates_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_template(context: Context, template_id: TemplateIdInPath) -> None:
    """With all its versions. Messages that were accepted before keep their text and are sent."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        await match(context, lambda: _current(session, context, template_id))
        await service.delete(session, context.caller, template_id)


@router.post(
    "/{template_id}/versions",
    summary="Write another version of a template",
    status_code=201,
    response_model=TemplateVersion,
    **operation("templates_create_version", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_version(request: Request, template_id: TemplateIdInPath, body: TemplateVersionCreate) -> Response:
    """A draft: what is sent stays the same until it is published (`publish` does both). Versions are never changed."""
    context = get_context(request)
    checked = await check_content(context.services.renderer, body.to_content())

    async def work(session: AsyncSession) -> TemplateVersion:
        made = await service.add_version(session, context.caller, template_id, checked, publish=body.publish)
        return TemplateVersion.of(*made)

    return await answer_once(request, work, status=201)


@router.get(
    "/{template_id}/versions",
    summary="List a template's versions",
    **operation("templates_versions", scope=READ, paginated=True),
)
async def list_versions(
    context: Context, template_id: TemplateIdInPath, query: Annotated[TemplateListQuery, Query()]
) -> TemplateVersionList:
    """The newest first, with what they say."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        template, rows, has_more = await service.list_versions(session, context.caller, template_id, **query.place())
        return TemplateVersionList.of(template, rows, has_more, backwards=query.backwards)


@router.get(
    "/{template_id}/versions/{version_id}",
    summary="Get a version of a template",
    **operation("templates_version", scope=READ),
)
async def get_version(context: Context, template_id: TemplateIdInPath, version_id: VersionIdInPath) -> TemplateVersion:
    """What it says, and the variables it uses."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return TemplateVersion.of(*await service.get_version(session, context.caller, template_id, version_id))


@router.post(
    "/{template_id}/publish",
    summary="Publish a version of a template",
    response_model=Template,
    **operation("templates_publish", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def publish_template(request: Request, template_id: TemplateIdInPath, body: ChoiceBody) -> Response:
    """From now on it is what is sent. Messages that were accepted before keep the text they had."""
    context = get_context(request)

    async def work(session: AsyncSession) -> Template:
        return Template.of(await service.publish(session, context.caller, template_id, body.version))

    return await answer_once(request, work)


@router.post(
    "/{template_id}/rollback",
    summary="Go back to a version of a template",
    response_model=Template,
    **operation("templates_rollback", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def rollback_template(request: Request, template_id: TemplateIdInPath, body: ChoiceBody) -> Response:
    """To one that was published before: the last of them when none is named. No draft is sent by mistake."""
    context = get_context(request)

    async def work(session: AsyncSession) -> Template:
        return Template.of(await service.rollback(session, context.caller, template_id, body.version))

    return await answer_once(request, work)


@router.post(
    "/{template_id}/preview",
    summary="Preview a template",
    response_model=TemplatePreview,
    **operation("templates_preview", scope=READ, errors=(413, 415), idempotent=True),
)
async def preview_template(request: Request, template_id: TemplateIdInPath, body: PreviewBody) -> Response:
    """Subject, HTML and text as a recipient would get them. 422 names every variable that is missing. It changes
    nothing."""
    context = get_context(request)
    async with context.services.database.tenant(context.caller.organization_id) as session:
        version = await service.version_to_show(session, context.caller, template_id, body.version)
    # No transaction is open while another process renders.
    rendered = await render_content(
        context.services.renderer,
        parts_of(version),
        version.variables,
        body.variables if body.variables is not None else version.sample_variables,
        seed=body.seed,
        pointer="/variables",
        part_base="",
    )

    async def work(session: AsyncSession) -> TemplatePreview:
        return TemplatePreview.of(version.version, rendered)

    return await answer_once(request, work)


@router.post(
    "/{template_id}/send_test",
    summary="Send a test of a template",
    status_code=202,
    response_model=EmailAccepted,
    **operation("templates_send_test", scope=Scope.EMAILS_WRITE, errors=(413, 415), idempotent=True),
)
async def send_test(request: Request, template_id: TemplateIdInPath, body: TemplateTestSend) -> Response:
    """One message to look at, with `[Test]` before its subject and the tag `template_test`. It is sent like any other:
    it counts, and who is suppressed does not get it."""
    context = get_context(request)
    services = context.services
    filled = await fill_test(
        services.database, services.renderer, context.caller, template_id, body.version, body.variables, body.to
    )
    said = {"subject": filled.subject, "html": filled.html, "text": filled.text}
    email = EmailCreate.model_validate({"from": body.from_, "to": body.to, "tags": [TEST_TAG], **said})
    draft = await draft_of(context, email, utcnow(), "")
    answer = orjson.dumps(draft.answer())
    return as_response(await accept_rows(context, request.scope, await request.body(), [draft.rows], 202, answer))
