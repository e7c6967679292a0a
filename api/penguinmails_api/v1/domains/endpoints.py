"""`/v1/domains`: where mail is sent from. Adding one answers the DNS records to publish; verifying looks for them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.domains.schemas import (
    Domain,
    DomainCreate,
    DomainExportQuery,
    DomainIdInPath,
    DomainList,
    DomainListQuery,
    DomainUpdate,
)
from penguinmails_core.domains import findings, manage, rotation
from penguinmails_core.domains.exports import export
from penguinmails_core.domains.looking import look
from penguinmails_core.domains.policy import DnsPolicy
from penguinmails_core.domains.service import new_keys
from penguinmails_core.errors import FieldError, Unavailable, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/domains", tags=["domains"])
READ, WRITE = Scope.DOMAINS_READ, Scope.DOMAINS_WRITE


def policy_of(context: RequestContext) -> DnsPolicy:
    return context.services.dns_policy


@router.post(
    "",
    summary="Add a domain",
    status_code=201,
    response_model=Domain,
    **operation("domains_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_domain(request: Request, body: DomainCreate) -> Response:
    """Makes two DKIM keys (RSA for every receiver, Ed25519 for those that can) and answers the records to publish. Once
    they are in DNS, `verify`. Another organization may add the same name: DNS decides whose it is."""
    context = get_context(request)
    caller, box = context.caller, context.services.box
    if box is None:
        raise Unavailable("This server cannot seal keys: its operator must set PENGUINMAILS_SECRET_KEYS.")
    manage.require_live(caller)
    workspace_id = _workspace(body.workspace_id)
    keys = await new_keys(box, manage.read_name(body.name))

    async def work(session: AsyncSession) -> Domain:
        made = await manage.create(session, caller, keys, workspace_id=workspace_id, policy=policy_of(context))
        return Domain.of(made)

    return await answer_once(request, work, status=201, ring=(EVENTS,))


def _workspace(value: str | None) -> UUID | None:
    try:
        return ids.decode(Prefix.WORKSPACE, value) if value is not None else None
    except ids.IdError as error:
        detail = f"`workspace_id`: {error}."
        raise Unprocessable(detail, errors=[FieldError("/workspace_id", "invalid_id", detail)]) from None


@router.get("", summary="List domains", **operation("domains_list", scope=READ, paginated=True))
async def list_domains(context: Context, query: Annotated[DomainListQuery, Query()]) -> DomainList:
    """The newest first, each with its records as they were seen last."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await manage.list_domains(
            session,
            caller.inside(query.workspace_id),
            statuses=query.status,
            name=query.name,
            policy=policy_of(context),
            **query.place(),
        )
    return DomainList.of(*page, backwards=query.backwards)


@router.get("/{domain_id}", summary="Get a domain", **operation("domains_get", scope=READ))
async def get_domain(context: Context, domain_id: DomainIdInPath) -> Domain:
    """One domain: the records to publish, and what the last look at DNS found of each."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Domain.of(await manage.get(session, context.caller, domain_id, policy=policy_of(context)))


@router.get(
    "/{domain_id}/records/export",
    summary="Export what to publish",
    response_class=PlainTextResponse,
    responses={200: {"description": "Text in the asked format; empty when nothing is to do."}},
    **operation("domains_export_records", scope=READ),
)
async def export_records(
    context: Context,
    domain_id: DomainIdInPath,
    query: Annotated[DomainExportQuery, Query()],
) -> PlainTextResponse:
    """The records that the last look at DNS did not find, or found wrong, ready to publish. Where one takes the place
    of another, a comment shows what was there."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        domain = await manage.get(session, context.caller, domain_id, policy=policy_of(context))
    return PlainTextResponse(export(query.format, domain.records, domain.observed))


async def _current(session: AsyncSession, context: RequestContext, domain_id: UUID) -> Domain:
    """As GET shows it, and nobody else changes it meanwhile."""
    return Domain.of(await manage.get(session, context.caller, domain_id, policy=policy_of(context), lock=True))


@router.post(
    "/{domain_id}/verify",
    summary="Verify a domain",
    response_model=Domain,
    **operation("domains_verify", scope=WRITE, errors=(413, 415), idempotent=True),
)
@limit("30/minute", by="organization")
async def verify_domain(request: Request, domain_id: DomainIdInPath) -> Response:
    """Looks at DNS now. The domain is `verified` when DNS holds the RSA key that was made for it, `failed` when it does
    not, and stays as it is when DNS gives no answer. A verified domain whose key is simply gone fails at the end of its
    grace (`grace_until`); with another key in its place, at once. 409 while another organization's key is published
    there."""
    context = get_context(request)
    caller, database = context.caller, context.services.database
    manage.require_live(caller)
    async with database.tenant(caller.organization_id) as session:
        domain = await manage.get(session, caller, domain_id, policy=policy_of(context))
    # No transaction is open while DNS is asked.
    observed = await look(context.services.dns_resolvers, domain.records)
    if manage.proved(domain, observed) and not context.options.dry_run:
        await manage.take_over(database, domain, observed)

    async def work(session: AsyncSession) -> Domain:
        return Domain.of(await findings.record_look(session, caller, domain_id, observed, policy=policy_of(context)))

    return await answer_once(request, work, ring=(EVENTS,))


@router.patch(
    "/{domain_id}",
    summary="Change a domain",
    **operation("domains_update", scope=WRITE, errors=(413, 415), if_match=True),
)
async def update_domain(context: Context, domain_id: DomainIdInPath, body: DomainUpdate) -> Domain:
    """Which optional records the domain should have, and how strict DMARC should be. The answer shows the records that
    follow; publish them, then verify again."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, context, domain_id))
        return Domain.of(await manage.update(session, caller, domain_id, body.given(), policy_of(context)))


@router.post(
    "/{domain_id}/dkim/rotate",
    summary="Rotate a domain's DKIM keys",
    response_model=Domain,
    **operation("domains_rotate_dkim", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def rotate_dkim(request: Request, domain_id: DomainIdInPath) -> Response:
    """Makes a new pair of keys and answers the records to publish. Once both are seen in DNS, and long enough for every
    resolver to know, mail is signed with them. The old pair stays published for mail on its way, and then is to be
    withdrawn; the records say so. 409 while a pair waits already, and for a domain that is not verified."""
    context = get_context(request)
    caller, box = context.caller, context.services.box
    if box is None:
        raise Unavailable("This server cannot seal keys: its operator must set PENGUINMAILS_SECRET_KEYS.")
    manage.require_live(caller)
    async with context.services.database.tenant(caller.organization_id) as session:
        name = (await manage.get(session, caller, domain_id)).row.name
    keys = await new_keys(box, name)

    async def work(session: AsyncSession) -> Domain:
        return Domain.of(await rotation.rotate(session, caller, domain_id, keys, policy_of(context)))

    return await answer_once(request, work)


@router.delete(
    "/{domain_id}",
    summary="Delete a domain",
    status_code=204,
    **operation("domains_delete", scope=WRITE, sudo=True, if_match=True),
)
async def delete_domain(context: Context, domain_id: DomainIdInPath) -> None:
    """With its keys. Nothing more is accepted from it; what still waits fails with `domain_not_verified` when its turn
    comes. Messages of the past stay."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, context, domain_id))
        await manage.delete(session, caller, domain_id)
    context.services.doorbell.ring(EVENTS)
