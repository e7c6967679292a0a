"""`node(id:)`: from any id to what it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import strawberry

from penguinmails_core.errors import NotFound
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.api_keys.resolvers import fetch_api_key
from penguinmails_graphql.audit_logs.resolvers import fetch_audit_log
from penguinmails_graphql.context import Info
from penguinmails_graphql.domains.resolvers import fetch_domain
from penguinmails_graphql.emails.resolvers import fetch_email
from penguinmails_graphql.events.resolvers import fetch_event
from penguinmails_graphql.inbound.resolvers import fetch_message, fetch_source
from penguinmails_graphql.invitations.resolvers import fetch_invitation
from penguinmails_graphql.lanes.resolvers import fetch_lane
from penguinmails_graphql.logs.resolvers import fetch_log
from penguinmails_graphql.mailboxes.resolvers import fetch_mailbox
from penguinmails_graphql.members.resolvers import fetch_member
from penguinmails_graphql.oauth_apps.resolvers import fetch_oauth_app
from penguinmails_graphql.oauth_grants.resolvers import fetch_oauth_grant
from penguinmails_graphql.organizations.resolvers import fetch_organization
from penguinmails_graphql.relay import Node
from penguinmails_graphql.sso_connections.resolvers import fetch_sso_connection
from penguinmails_graphql.suppressions.resolvers import fetch_suppression
from penguinmails_graphql.templates.resolvers import fetch_template
from penguinmails_graphql.topics.resolvers import fetch_topic
from penguinmails_graphql.webhook_deliveries.resolvers import fetch_delivery
from penguinmails_graphql.webhook_endpoints.resolvers import fetch_endpoint
from penguinmails_graphql.webhook_portal.resolvers import fetch_portal_link
from penguinmails_graphql.webhook_replays.resolvers import fetch_replay
from penguinmails_graphql.workspaces.resolvers import fetch_workspace

FETCH: dict[str, Callable[[Info, strawberry.ID], Awaitable[Node]]] = {
    Prefix.API_KEY: fetch_api_key,
    Prefix.AUDIT_LOG: fetch_audit_log,
    Prefix.DOMAIN: fetch_domain,
    Prefix.EMAIL: fetch_email,
    Prefix.EVENT: fetch_event,
    Prefix.INBOUND_MESSAGE: fetch_message,
    Prefix.INBOUND_SOURCE: fetch_source,
    Prefix.INVITATION: fetch_invitation,
    Prefix.MAILBOX: fetch_mailbox,
    Prefix.LANE: fetch_lane,
    Prefix.MEMBER: fetch_member,
    Prefix.OAUTH_APP: fetch_oauth_app,
    Prefix.OAUTH_GRANT: fetch_oauth_grant,
    Prefix.ORGANIZATION: fetch_organization,
    Prefix.REQUEST: fetch_log,
    Prefix.SSO_CONNECTION: fetch_sso_connection,
    Prefix.SUPPRESSION: fetch_suppression,
    Prefix.TOPIC: fetch_topic,
    Prefix.TEMPLATE: fetch_template,
    Prefix.WEBHOOK_DELIVERY: fetch_delivery,
    Prefix.WEBHOOK_ENDPOINT: fetch_endpoint,
    Prefix.WEBHOOK_PORTAL_LINK: fetch_portal_link,
    Prefix.WEBHOOK_REPLAY: fetch_replay,
    Prefix.WORKSPACE: fetch_workspace,
}


@strawberry.type
class NodesQuery:
    @strawberry.field(description="Whatever the id names.")
    async def node(self, info: Info, id: strawberry.ID) -> Node:
        fetch = FETCH.get(str(id).rpartition("_")[0])
        if fetch is None:
            raise NotFound(f"There is no such node; ids that can be fetched start with {', '.join(sorted(FETCH))}.")
        return await fetch(info, id)
