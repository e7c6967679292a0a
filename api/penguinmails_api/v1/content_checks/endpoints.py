"""`/v1/content_checks`: what is wrong with a message before anybody gets it."""

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import get_context, operation
from penguinmails_api.v1.content_checks.schemas import AsSaid, ContentCheck, ContentCheckRequest, content_of
from penguinmails_core.scopes import Scope
from penguinmails_core.templates.sending import TemplateFiller

router = APIRouter(prefix="/v1/content_checks", tags=["content_checks"])


@router.post(
    "",
    summary="Check the content of a message",
    response_model=ContentCheck,
    **operation("content_checks_create", scope=Scope.TEMPLATES_READ, errors=(413, 415), idempotent=True, cost=5),
)
async def check_content(request: Request, body: ContentCheckRequest) -> Response:
    """Links, images, size, the way out, accessibility, how text and HTML agree, hosts on blocklists, and the rules of
    SpamAssassin: each finding with the place and a fix. Nothing is stored or sent."""
    context = get_context(request)
    services = context.services
    said: Any = body
    if body.template is not None:
        filler = TemplateFiller(services.database, services.renderer, context.caller, drafts=True)
        given = AsSaid(body.subject, body.html, body.text)
        said = await filler.fill(given, body.template, body.template.variables)
    # No transaction is open while others are asked.
    report = await services.content_checker.check(content_of(body, said))

    async def work(session: AsyncSession) -> ContentCheck:
        return ContentCheck.of(report)

    return await answer_once(request, work)
