"""REST API version 1: its routers, and the routes that are answered without a framework."""

from __future__ import annotations

from fastapi import APIRouter

from penguinmails_api.gateway import HotRoute
from penguinmails_api.v1.api_keys.endpoints import router as api_keys
from penguinmails_api.v1.audit_logs.endpoints import router as audit_logs
from penguinmails_api.v1.content_checks.endpoints import router as content_checks
from penguinmails_api.v1.domains.apply import router as domain_apply
from penguinmails_api.v1.domains.endpoints import router as domains
from penguinmails_api.v1.domains.reports import router as domain_reports
from penguinmails_api.v1.emails import batch, send
from penguinmails_api.v1.emails.attachments import router as attachments
from penguinmails_api.v1.emails.endpoints import router as emails
from penguinmails_api.v1.emails.send_routes import router as sending
from penguinmails_api.v1.event_types.endpoints import router as event_types
from penguinmails_api.v1.events.endpoints import router as events
from penguinmails_api.v1.inbound_messages.endpoints import router as inbound_messages
from penguinmails_api.v1.inbound_sources.endpoints import router as inbound_sources
from penguinmails_api.v1.invitations.endpoints import router as invitations
from penguinmails_api.v1.lanes.endpoints import router as lanes
from penguinmails_api.v1.logs.endpoints import router as logs
from penguinmails_api.v1.mailboxes.endpoints import router as mailboxes
from penguinmails_api.v1.me.endpoints import router as me
from penguinmails_api.v1.members.endpoints import router as members
from penguinmails_api.v1.oauth_apps.endpoints import router as oauth_apps
from penguinmails_api.v1.oauth_grants.endpoints import router as oauth_grants
from penguinmails_api.v1.organizations.endpoints import router as organizations
from penguinmails_api.v1.roles.endpoints import router as roles
from penguinmails_api.v1.sso_connections.endpoints import router as sso_connections
from penguinmails_api.v1.suppressions.endpoints import router as suppressions
from penguinmails_api.v1.templates.endpoints import router as templates
from penguinmails_api.v1.topics.endpoints import router as topics
from penguinmails_api.v1.usage.endpoints import router as usage
from penguinmails_api.v1.webhook_deliveries.endpoints import router as webhook_deliveries
from penguinmails_api.v1.webhook_endpoints.endpoints import router as webhook_endpoints
from penguinmails_api.v1.webhook_portal.endpoints import router as webhook_portal
from penguinmails_api.v1.webhook_replays.endpoints import router as webhook_replays
from penguinmails_api.v1.webhook_sources.endpoints import router as webhook_sources
from penguinmails_api.v1.workspaces.endpoints import router as workspaces
from penguinmails_core.config import ApiSettings

ROUTERS: tuple[APIRouter, ...] = (
    me,
    organizations,
    workspaces,
    members,
    invitations,
    roles,
    sending,
    emails,
    attachments,
    templates,
    content_checks,
    events,
    event_types,
    domains,
    domain_apply,
    domain_reports,
    mailboxes,
    suppressions,
    topics,
    lanes,
    webhook_endpoints,
    inbound_sources,
    inbound_messages,
    webhook_portal,
    webhook_deliveries,
    webhook_replays,
    webhook_sources,
    api_keys,
    oauth_apps,
    oauth_grants,
    audit_logs,
    logs,
    usage,
    sso_connections,
)


def hot_routes(api: ApiSettings) -> dict[tuple[str, str], HotRoute]:
    """What the gateway answers itself."""
    return send.hot_routes(api) | batch.hot_routes(api)


__all__ = ["ROUTERS", "hot_routes"]
