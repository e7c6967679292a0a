"""`POST /v1/domains/{id}/dns_records/apply`: puts a domain's records into its zone, changes seen first."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.idempotency import answer_once
from penguinmails_api.rate_limits.special import limit
from penguinmails_api.routing import get_context, operation
from penguinmails_api.services import Services
from penguinmails_api.v1.domains.apply_schemas import DnsChanges, DnsRecordsApply
from penguinmails_api.v1.domains.schemas import DomainIdInPath
from penguinmails_core.domains import applying, manage
from penguinmails_core.domains.hosts.base import DnsHost
from penguinmails_core.domains.hosts.cloudflare import CloudflareHost
from penguinmails_core.domains.hosts.rfc2136 import Rfc2136Host, check_name, check_secret
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/domains", tags=["domains"])


@router.post(
    "/{domain_id}/dns_records/apply",
    summary="Write a domain's records into its zone",
    response_model=DnsChanges,
    **operation("domains_apply_dns_records", scope=Scope.DOMAINS_WRITE, errors=(413, 415), idempotent=True),
)
@limit("30/minute", by="organization")
async def apply_dns_records(request: Request, domain_id: DomainIdInPath, body: DnsRecordsApply) -> Response:
    """At Cloudflare, or at any name server that takes signed dynamic updates. Without `plan` it answers what would
    change; with the `plan` of that answer it changes it, and 409 says that the zone has changed meanwhile. SPF and
    DMARC records that are there are merged; what would have to be overwritten otherwise is a `conflict` and left
    alone."""
    context = get_context(request)
    caller, services = context.caller, context.services
    manage.require_live(caller)
    async with services.database.tenant(caller.organization_id) as session:
        domain = await manage.get(session, caller, domain_id, policy=services.dns_policy)
    host = await _host(services, body)
    # No transaction is open while the host is asked.
    applied = await applying.apply(domain, host, body.plan, rehearse=context.options.dry_run)

    async def work(session: AsyncSession) -> DnsChanges:
        await applying.tell_applied(session, caller, domain, applied)
        return DnsChanges.of(applied)

    return await answer_once(request, work)


async def _host(services: Services, body: DnsRecordsApply) -> DnsHost:
    settings = services.settings.domains
    if body.cloudflare is not None:
        token = body.cloudflare.api_token.get_secret_value()
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise _wrong("/cloudflare/api_token", "invalid", "An API token has no blanks and no other scripts.")
        return CloudflareHost(services.outgoing, body.cloudflare.zone_id, token, settings.cloudflare_url)
    zone = body.rfc2136
    assert zone is not None
    secret = zone.key_secret.get_secret_value()
    check_secret(secret, "/rfc2136/key_secret")
    check_name(zone.zone, "/rfc2136/zone")
    check_name(zone.key_name, "/rfc2136/key_name")
    if zone.port != 53 and not settings.apply_allow_private:
        raise _wrong("/rfc2136/port", "forbidden_port", "Only port 53 is called; the operator may allow others.")
    address = await applying.address_of(services.resolver, zone.server, allow_private=settings.apply_allow_private)
    return Rfc2136Host(address, zone.port, zone.zone, zone.key_name, str(zone.key_algorithm), secret)


def _wrong(pointer: str, code: str, detail: str) -> Unprocessable:
    return Unprocessable(detail, errors=[FieldError(pointer, code, detail)])
