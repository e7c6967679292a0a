"""The schema: queries and mutations of every feature. `python -m penguinmails_graphql.schema [file]` writes its SDL."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import strawberry
from strawberry.schema.config import StrawberryConfig

from penguinmails_graphql.api_keys.mutations import ApiKeysMutation
from penguinmails_graphql.api_keys.resolvers import ApiKeysQuery
from penguinmails_graphql.audit_logs.resolvers import AuditLogsQuery
from penguinmails_graphql.content_checks.resolvers import ContentChecksQuery
from penguinmails_graphql.domains.mutations import DomainsMutation
from penguinmails_graphql.domains.resolvers import DomainsQuery
from penguinmails_graphql.emails.mutations import EmailsMutation
from penguinmails_graphql.emails.resolvers import EmailsQuery
from penguinmails_graphql.event_types.resolvers import EventTypesQuery
from penguinmails_graphql.events.resolvers import EventsQuery
from penguinmails_graphql.inbound.mutations import InboundMutation
from penguinmails_graphql.inbound.resolvers import InboundQuery
from penguinmails_graphql.invitations.mutations import InvitationsMutation
from penguinmails_graphql.invitations.resolvers import InvitationsQuery
from penguinmails_graphql.lanes.mutations import LanesMutation
from penguinmails_graphql.lanes.resolvers import LanesQuery
from penguinmails_graphql.logs.resolvers import LogsQuery
from penguinmails_graphql.mailboxes.mutations import MailboxesMutation
from penguinmails_graphql.mailboxes.resolvers import MailboxesQuery
from penguinmails_graphql.members.mutations import MembersMutation
from penguinmails_graphql.members.resolvers import MembersQuery
from penguinmails_graphql.nodes import NodesQuery
from penguinmails_graphql.oauth_apps.mutations import OAuthAppsMutation
from penguinmails_graphql.oauth_apps.resolvers import OAuthAppsQuery
from penguinmails_graphql.oauth_grants.mutations import OAuthGrantsMutation
from penguinmails_graphql.oauth_grants.resolvers import OAuthGrantsQuery
from penguinmails_graphql.organizations.mutations import OrganizationsMutation
from penguinmails_graphql.organizations.resolvers import OrganizationsQuery
from penguinmails_graphql.roles.mutations import RolesMutation
from penguinmails_graphql.roles.resolvers import RolesQuery
from penguinmails_graphql.scalars import SCALARS
from penguinmails_graphql.sso_connections.mutations import SsoConnectionsMutation
from penguinmails_graphql.sso_connections.resolvers import SsoConnectionsQuery
from penguinmails_graphql.suppressions.mutations import SuppressionsMutation
from penguinmails_graphql.suppressions.resolvers import SuppressionsQuery
from penguinmails_graphql.templates.mutations import TemplatesMutation
from penguinmails_graphql.templates.resolvers import TemplatesQuery
from penguinmails_graphql.topics.mutations import TopicsMutation
from penguinmails_graphql.topics.resolvers import TopicsQuery
from penguinmails_graphql.usage.resolvers import UsageQuery
from penguinmails_graphql.viewer.resolvers import ViewerQuery
from penguinmails_graphql.webhook_deliveries.resolvers import WebhookDeliveriesQuery
from penguinmails_graphql.webhook_endpoints.mutations import WebhookEndpointsMutation
from penguinmails_graphql.webhook_endpoints.resolvers import WebhookEndpointsQuery
from penguinmails_graphql.webhook_portal.mutations import WebhookPortalMutation
from penguinmails_graphql.webhook_portal.resolvers import WebhookPortalQuery
from penguinmails_graphql.webhook_replays.mutations import WebhookReplaysMutation
from penguinmails_graphql.webhook_replays.resolvers import WebhookReplaysQuery
from penguinmails_graphql.webhook_sources.resolvers import WebhookSourcesQuery
from penguinmails_graphql.workspaces.mutations import WorkspacesMutation
from penguinmails_graphql.workspaces.resolvers import WorkspacesQuery


@strawberry.type(description="Read. Everything here is limited to what the caller may see.")
class Query(
    ViewerQuery,
    NodesQuery,
    EmailsQuery,
    TemplatesQuery,
    ContentChecksQuery,
    EventsQuery,
    EventTypesQuery,
    DomainsQuery,
    MailboxesQuery,
    SuppressionsQuery,
    TopicsQuery,
    LanesQuery,
    WebhookEndpointsQuery,
    InboundQuery,
    WebhookPortalQuery,
    WebhookDeliveriesQuery,
    WebhookReplaysQuery,
    WebhookSourcesQuery,
    ApiKeysQuery,
    UsageQuery,
    LogsQuery,
    AuditLogsQuery,
    OrganizationsQuery,
    WorkspacesQuery,
    MembersQuery,
    InvitationsQuery,
    RolesQuery,
    SsoConnectionsQuery,
    OAuthAppsQuery,
    OAuthGrantsQuery,
):
    pass


@strawberry.type(
    description="Change. Root fields run one after another, each in a transaction of its own; one that fails is null "
    "and does not stop the others."
)
class Mutation(
    EmailsMutation,
    TemplatesMutation,
    DomainsMutation,
    MailboxesMutation,
    SuppressionsMutation,
    TopicsMutation,
    LanesMutation,
    WebhookEndpointsMutation,
    InboundMutation,
    WebhookPortalMutation,
    WebhookReplaysMutation,
    ApiKeysMutation,
    OrganizationsMutation,
    WorkspacesMutation,
    MembersMutation,
    InvitationsMutation,
    RolesMutation,
    SsoConnectionsMutation,
    OAuthAppsMutation,
    OAuthGrantsMutation,
):
    pass


@cache
def schema() -> strawberry.Schema:
    return strawberry.Schema(Query, Mutation, config=StrawberryConfig(scalar_map=SCALARS))


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "graphql/schema.graphql")
    target.write_text(schema().as_str().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
