"""`/v1/domains/{id}/reports` and `/dmarc_sources`: what receivers say of mail in the domain's name."""

import asyncio
import binascii
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.domains.report_schemas import (
    DmarcSources,
    DmarcSourcesQuery,
    DomainReport,
    DomainReportCreate,
)
from penguinmails_api.v1.domains.schemas import DomainIdInPath
from penguinmails_core.domains import manage
from penguinmails_core.domains.reports import service
from penguinmails_core.domains.reports.reading import Report, read
from penguinmails_core.domains.reports.unpacking import UnreadableReport
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/domains", tags=["domains"])


@router.post(
    "/{domain_id}/reports",
    summary="Hand in a report",
    status_code=201,
    response_model=DomainReport,
    **operation("domains_add_report", scope=Scope.DOMAINS_WRITE, errors=(413, 415), idempotent=True),
)
async def add_report(request: Request, domain_id: DomainIdInPath, body: DomainReportCreate) -> Response:
    """An aggregate DMARC report or a TLS report about the domain, or about the domain above it. One that was there
    already is not counted twice."""
    context = get_context(request)
    caller = context.caller
    manage.require_live(caller)
    async with context.services.database.tenant(caller.organization_id) as session:
        await manage.get(session, caller, domain_id)  # nobody has us read for a domain that is not theirs
    report = await _read(body.content)

    async def work(session: AsyncSession) -> DomainReport:
        return DomainReport.of(await service.take(session, caller, domain_id, report))

    return await answer_once(request, work, status=201)


@router.get(
    "/{domain_id}/dmarc_sources",
    summary="List who sends in a domain's name",
    **operation("domains_dmarc_sources", scope=Scope.DOMAINS_READ),
)
async def dmarc_sources(
    context: Context, domain_id: DomainIdInPath, query: Annotated[DmarcSourcesQuery, Query()]
) -> DmarcSources:
    """By the reports that were handed in: each server with what passed, and whether a stricter policy would hit nobody
    of yours."""
    policy = context.services.dns_policy
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return DmarcSources.of(await service.sources_of(session, context.caller, domain_id, query.days, policy=policy))


async def _read(content: str) -> Report:
    """Off the event loop: twenty megabytes of XML take a while."""
    try:
        data = binascii.a2b_base64(content.encode(), strict_mode=True)
        return await asyncio.to_thread(read, data)
    except (binascii.Error, UnicodeEncodeError):
        detail, code = "`content` is not base64 (RFC 4648 §4, with padding).", "invalid_base64"
    except UnreadableReport as error:
        detail, code = str(error), "unreadable_report"
    raise Unprocessable(detail, errors=[FieldError("/content", code, detail)])
