"""`/v1/webhook_sources`: where webhooks come from, for the firewalls of receivers."""

from fastapi import APIRouter
from pydantic import Field

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.common import Resource
from penguinmails_core.scopes import Scope

router = APIRouter(prefix="/v1/webhook_sources", tags=["webhook_sources"])


class WebhookSources(Resource):
    """The addresses that webhooks are sent from. Let them in, but do not take an address for a proof: verify the
    signature."""

    configured: bool = Field(
        description="False: the operator of this server has not said where it calls from, and `networks` is empty. "
        "Then any address may be one, and a firewall cannot tell."
    )
    networks: list[str] = Field(
        description="In CIDR notation, IPv4 and IPv6. More may be added: ask again from time to time.",
        examples=[["192.0.2.10/32", "2001:db8::/64"]],
    )


@router.get(
    "",
    summary="Get the addresses that webhooks come from",
    **operation("webhook_sources_get", scope=Scope.WEBHOOK_ENDPOINTS_READ),
)
async def get_sources(context: Context) -> WebhookSources:
    """For the firewall of a receiver."""
    networks = context.services.settings.webhooks.sources
    return WebhookSources(configured=bool(networks), networks=networks)
