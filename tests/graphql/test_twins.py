"""Every operation of REST v1 has its twin in GraphQL, with the same scope, price, fresh sign-in and idempotency; what
has none says why. A new operation turns this red until it is in one of the tables."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from fastapi.routing import APIRoute
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_named_type,
    is_leaf_type,
)

from penguinmails_api.app import api
from penguinmails_api.rate_limits.special import declared_on
from penguinmails_api.v1 import ROUTERS
from penguinmails_core.api_keys.service import create_key
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.limits import COSTS
from penguinmails_graphql.schema import schema
from tests.fixtures.factories import Tenant
from tests.graphql.conftest import GraphClient

TWINS = {
    "me_get": "Query.viewer",
    "emails_send": "Mutation.sendEmail",
    "emails_batch": "Mutation.sendEmails",
    "emails_list": "Query.emails",
    "emails_get": "Query.email",
    "emails_update": "Mutation.rescheduleEmail",
    "emails_cancel": "Mutation.cancelEmail",
    "emails_cancel_batch": "Mutation.cancelEmails",
    "emails_retry": "Mutation.retryEmail",
    "emails_content": "Email.content",
    "emails_events": "Email.events",
    "content_checks_create": "Query.checkContent",
    "templates_create": "Mutation.createTemplate",
    "templates_list": "Query.templates",
    "templates_get": "Query.template",
    "templates_update": "Mutation.updateTemplate",
    "templates_delete": "Mutation.deleteTemplate",
    "templates_create_version": "Mutation.createTemplateVersion",
    "templates_versions": "Query.templateVersions",
    "templates_version": "Query.templateVersion",
    "templates_publish": "Mutation.publishTemplate",
    "templates_rollback": "Mutation.rollbackTemplate",
    "templates_send_test": "Mutation.sendTemplateTest",
    "templates_preview": "Query.previewTemplate",
    "events_list": "Query.events",
    "events_get": "Query.event",
    "event_types_list": "Query.eventTypes",
    "event_types_get": "Query.eventType",
    "domains_list": "Query.domains",
    "domains_get": "Query.domain",
    "domains_create": "Mutation.createDomain",
    "domains_update": "Mutation.updateDomain",
    "domains_rotate_dkim": "Mutation.rotateDomainKeys",
    "domains_dmarc_sources": "Domain.dmarcSources",
    "domains_verify": "Mutation.verifyDomain",
    "domains_delete": "Mutation.deleteDomain",
    "lanes_list": "Query.lanes",
    "lanes_get": "Query.lane",
    "lanes_decisions": "Lane.decisions",
    "lanes_pause": "Mutation.pauseLane",
    "lanes_resume": "Mutation.resumeLane",
    "suppressions_list": "Query.suppressions",
    "suppressions_get": "Query.suppression",
    "suppressions_check": "Query.checkAddresses",
    "suppressions_create": "Mutation.suppressAddress",
    "mailboxes_list": "Query.mailboxes",
    "mailboxes_get": "Query.mailbox",
    "mailboxes_create": "Mutation.createMailbox",
    "mailboxes_update": "Mutation.updateMailbox",
    "mailboxes_delete": "Mutation.deleteMailbox",
    "mailboxes_test": "Mutation.testMailbox",
    "mailboxes_pause": "Mutation.pauseMailbox",
    "mailboxes_resume": "Mutation.resumeMailbox",
    "mailboxes_import_many": "Mutation.importMailboxes",
    "suppressions_batch": "Mutation.suppressAddresses",
    "suppressions_lift": "Mutation.liftSuppression",
    "suppressions_restore": "Mutation.restoreSuppression",
    "suppressions_undo": "Mutation.undoSuppressions",
    "topics_list": "Query.topics",
    "topics_get": "Query.topic",
    "topics_create": "Mutation.createTopic",
    "topics_update": "Mutation.updateTopic",
    "topics_delete": "Mutation.deleteTopic",
    "webhook_endpoints_list": "Query.webhookEndpoints",
    "webhook_endpoints_get": "Query.webhookEndpoint",
    "webhook_endpoints_create": "Mutation.createWebhookEndpoint",
    "webhook_endpoints_update": "Mutation.updateWebhookEndpoint",
    "webhook_endpoints_delete": "Mutation.deleteWebhookEndpoint",
    "webhook_endpoints_rotate_secret": "Mutation.rotateWebhookSecret",
    "webhook_endpoints_test_filter": "Query.testWebhookFilter",
    "webhook_endpoints_secrets": "WebhookEndpoint.secrets",
    "webhook_endpoints_end_secret": "Mutation.endWebhookSecret",
    "webhook_endpoints_test": "Mutation.testWebhookEndpoint",
    "webhook_endpoints_deliveries": "WebhookEndpoint.deliveries",
    "webhook_endpoints_delivery": "Query.webhookDelivery",
    "webhook_endpoints_resend": "Mutation.resendWebhookDelivery",
    "webhook_endpoints_resend_all": "Mutation.resendWebhookDeliveries",
    "inbound_sources_list": "Query.inboundSources",
    "inbound_sources_get": "Query.inboundSource",
    "inbound_sources_create": "Mutation.createInboundSource",
    "inbound_sources_update": "Mutation.updateInboundSource",
    "inbound_sources_delete": "Mutation.deleteInboundSource",
    "inbound_sources_rotate_secret": "Mutation.rotateInboundSecret",
    "inbound_messages_list": "Query.inboundMessages",
    "inbound_messages_get": "Query.inboundMessage",
    "inbound_messages_replay": "Mutation.replayInboundMessage",
    "webhook_portal_links_list": "Query.webhookPortalLinks",
    "webhook_portal_links_get": "Query.webhookPortalLink",
    "webhook_portal_links_create": "Mutation.createWebhookPortalLink",
    "webhook_portal_links_revoke": "Mutation.revokeWebhookPortalLink",
    "api_keys_list": "Query.apiKeys",
    "api_keys_get": "Query.apiKey",
    "api_keys_usage": "Query.apiKeyUsage",
    "api_keys_presets": "Query.apiKeyPresets",
    "api_keys_create": "Mutation.createApiKey",
    "api_keys_update": "Mutation.updateApiKey",
    "api_keys_revoke": "Mutation.revokeApiKey",
    "api_keys_rotate": "Mutation.rotateApiKey",
    "api_keys_derive": "Mutation.deriveApiKey",
    "usage_get": "Query.usage",
    "logs_list": "Query.logs",
    "logs_get": "Query.log",
    "organizations_get": "Query.organization",
    "organizations_list": "Query.organizations",
    "organizations_create": "Mutation.createOrganization",
    "organizations_update": "Mutation.updateOrganization",
    "organizations_transfer": "Mutation.transferOrganization",
    "organizations_leave": "Mutation.leaveOrganization",
    "workspaces_list": "Query.workspaces",
    "workspaces_get": "Query.workspace",
    "workspaces_create": "Mutation.createWorkspace",
    "workspaces_update": "Mutation.updateWorkspace",
    "workspaces_archive": "Mutation.archiveWorkspace",
    "workspaces_restore": "Mutation.restoreWorkspace",
    "workspaces_delete": "Mutation.deleteWorkspace",
    "members_list": "Query.members",
    "members_get": "Query.member",
    "members_update": "Mutation.updateMember",
    "members_remove": "Mutation.removeMember",
    "invitations_list": "Query.invitations",
    "invitations_get": "Query.invitation",
    "invitations_create": "Mutation.createInvitation",
    "invitations_resend": "Mutation.resendInvitation",
    "invitations_revoke": "Mutation.revokeInvitation",
    "invitations_accept": "Mutation.acceptInvitation",
    "roles_list": "Query.roles",
    "roles_get": "Query.role",
    "roles_create": "Mutation.createRole",
    "roles_update": "Mutation.updateRole",
    "roles_delete": "Mutation.deleteRole",
    "sso_connections_list": "Query.ssoConnections",
    "sso_connections_get": "Query.ssoConnection",
    "sso_connections_create": "Mutation.createSsoConnection",
    "sso_connections_update": "Mutation.updateSsoConnection",
    "sso_connections_delete": "Mutation.deleteSsoConnection",
    "sso_connections_verify": "Mutation.verifySsoDomains",
    "sso_connections_test": "Mutation.testSsoConnection",
    "sso_connections_scim_tokens": "Query.scimTokens",
    "sso_connections_create_scim_token": "Mutation.createScimToken",
    "sso_connections_revoke_scim_token": "Mutation.revokeScimToken",
    "oauth_apps_list": "Query.oauthApps",
    "oauth_apps_get": "Query.oauthApp",
    "oauth_apps_create": "Mutation.createOauthApp",
    "oauth_apps_update": "Mutation.updateOauthApp",
    "oauth_apps_delete": "Mutation.deleteOauthApp",
    "oauth_apps_rotate_secret": "Mutation.rotateOauthAppSecret",
    "oauth_apps_approve": "Mutation.approveOauthApp",
    "oauth_apps_unapprove": "Mutation.unapproveOauthApp",
    "oauth_grants_list": "Query.oauthGrants",
    "oauth_grants_get": "Query.oauthGrant",
    "oauth_grants_revoke": "Mutation.revokeOauthGrant",
    "webhook_endpoints_replay": "Mutation.replayWebhookEndpoint",
    "webhook_deliveries_list": "Query.webhookDeliveries",
    "webhook_deliveries_get": "Query.webhookDeliveryById",
    "webhook_deliveries_attempts": "WebhookDelivery.attempts",
    "webhook_sources_get": "Query.webhookSources",
    "webhook_replays_list": "Query.webhookReplays",
    "webhook_replays_get": "Query.webhookReplay",
    "webhook_replays_cancel": "Mutation.cancelWebhookReplay",
    "audit_logs_list": "Query.auditLogs",
    "audit_logs_get": "Query.auditLog",
}
WITHOUT = {
    "events_stream": "a stream that does not end; GraphQL follows `events(after:)` page by page",
    "emails_attachment": "answers the bytes of a file; `Attachment.id` leads there",
    "domains_apply_dns_records": "hands a secret of another service through; it has one way in, which logs no body",
    "domains_add_report": "takes the bytes of a file",
    "domains_export_records": "answers the text of a file; `Domain.records` has the same as data",
    "webhook_deliveries_export_csv": "streams up to 100,000 deliveries; GraphQL answers in one piece",
    "audit_logs_export_jsonl": "streams up to 100,000 entries; GraphQL answers in one piece",
    "audit_logs_export_csv": "streams up to 100,000 entries; GraphQL answers in one piece",
}
NO_KEY = {
    "suppressions_check": "a query",
    "templates_preview": "a query",
    "content_checks_create": "a query",
    "webhook_endpoints_test_filter": "a query",
    "suppressions_batch": "doing it again changes nothing",
    "suppressions_undo": "doing it again lifts what is left, if anything",
    "emails_cancel_batch": "doing it again changes nothing",
    "mailboxes_import_many": "an address that is there is refused, so doing it again adds nothing",
    "sso_connections_test": "it changes nothing",
}
BEYOND_REST = {"Query.node"}  # finds what others show, under their scopes

OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for path, entry in api().openapi()["paths"].items()
    for operation in entry.values()
    if path.startswith("/v1/")
}
ROOTS = [(operation_id, twin) for operation_id, twin in TWINS.items() if twin.startswith(("Query.", "Mutation."))]
MUTATIONS = [(operation_id, twin) for operation_id, twin in ROOTS if twin.startswith("Mutation.")]


def _field(twin: str) -> GraphQLField | None:
    kind, _, name = twin.partition(".")
    found: Any = schema()._schema.type_map.get(kind)
    field: GraphQLField | None = found.fields.get(name) if found is not None else None
    return field


def test_every_operation_has_a_twin_or_says_why_not() -> None:
    """`pytest -s` prints what has none."""
    lines = [f"  {name}: {why}" for name, why in sorted(WITHOUT.items())]
    sys.stdout.write("\n".join(["", "REST v1 without a twin in GraphQL:", *lines, ""]))
    assert not sorted(OPERATIONS.keys() - TWINS.keys() - WITHOUT.keys()), "add a twin, or a reason to WITHOUT"
    assert not sorted((TWINS.keys() | WITHOUT.keys()) - OPERATIONS.keys()), "there is no such operation any more"
    assert not TWINS.keys() & WITHOUT.keys()


def test_every_twin_exists() -> None:
    assert not [twin for twin in TWINS.values() if _field(twin) is None]
    assert len(set(TWINS.values())) == len(TWINS), "one twin each"


def test_every_root_field_is_somebodys_twin() -> None:
    types: Any = schema()._schema.type_map
    roots = {f"{kind}.{name}" for kind in ("Query", "Mutation") for name in types[kind].fields}
    assert roots - set(TWINS.values()) == BEYOND_REST


def test_a_mutation_that_fails_leaves_the_others_their_answers() -> None:
    """Non-null ones would make all of `data` null, and stop what comes after."""
    fields: Any = schema()._schema.mutation_type
    assert not [name for name, field in fields.fields.items() if isinstance(field.type, GraphQLNonNull)]


def test_they_cost_the_same() -> None:
    for operation_id, twin in ROOTS:
        assert COSTS.get(twin.partition(".")[2], 1) == OPERATIONS[operation_id]["x-cost"], operation_id
    roots = {twin.partition(".")[2] for _, twin in ROOTS}
    assert COSTS.keys() <= roots


def test_what_takes_an_idempotency_key_takes_one_here() -> None:
    assert NO_KEY.keys() <= TWINS.keys()
    for operation_id, twin in TWINS.items():
        field = _field(twin)
        assert field is not None
        wanted = OPERATIONS[operation_id]["x-idempotent"] and operation_id not in NO_KEY
        assert ("idempotencyKey" in field.args) == wanted, operation_id


def test_fields_of_types_stand_under_the_scope_of_their_operation() -> None:
    """Who reaches the object came through a root field with the same scope; the field asks again."""
    for operation_id, twin in TWINS.items():
        kind = twin.partition(".")[0]
        if kind in ("Query", "Mutation"):
            continue
        reached = [
            name for name, root in ROOTS if root.startswith("Query.") and str(get_named_type(_of(root).type)) == kind
        ]
        assert reached
        for name in reached:
            assert OPERATIONS[name]["x-required-scopes"] == OPERATIONS[operation_id]["x-required-scopes"]


def _of(twin: str) -> GraphQLField:
    field = _field(twin)
    assert field is not None
    return field


def _value(kind: Any) -> str:
    """Any value of an input type, as it stands in a document."""
    match kind:
        case GraphQLNonNull():
            return _value(kind.of_type)
        case GraphQLList():
            return f"[{_value(kind.of_type)}]"
        case GraphQLEnumType():
            return str(next(iter(kind.values)))
        case GraphQLInputObjectType():
            needed = {name: field for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)}
            return "{" + ", ".join(f"{name}: {_value(field.type)}" for name, field in needed.items()) + "}"
        case GraphQLScalarType():
            plain = {"Int": "1", "Float": "1", "Boolean": "true", "DateTime": '"2026-12-24T18:00:00Z"'}
            return plain.get(kind.name, '"x"')
    raise AssertionError(f"no value of {kind} is known")


def document(twin: str) -> str:
    """A root field with the arguments that it must have."""
    kind, _, name = twin.partition(".")
    field = _of(twin)
    needed = {key: value for key, value in field.args.items() if isinstance(value.type, GraphQLNonNull)}
    arguments = ", ".join(f"{key}: {_value(value.type)}" for key, value in needed.items())
    selection = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    return f"{kind.lower()} {{ {name}{f'({arguments})' if arguments else ''}{selection} }}"


@pytest.fixture
async def outsider(database: Database, tenant: Tenant) -> dict[Scope, str]:
    """Keys with one scope each."""
    scopes = (Scope.LOGS_READ, Scope.EVENTS_READ)
    return {
        scope: (await create_key(database, tenant.id, mode="live", name=scope, scopes=[scope]))[1] for scope in scopes
    }


async def test_every_root_field_asks_for_the_scope_of_its_operation(
    graph: GraphClient, outsider: dict[Scope, str]
) -> None:
    wrong = {}
    for operation_id, twin in ROOTS:
        required = OPERATIONS[operation_id]["x-required-scopes"]
        other = Scope.EVENTS_READ if required == [Scope.LOGS_READ] else Scope.LOGS_READ
        answer = await graph.as_(outsider[other]).ask(document(twin))
        found = [error["extensions"].get("required_scope") for error in answer.get("errors", ())]
        if required and found != required:
            wrong[twin] = answer
        if not required:
            assert not any(found), twin
    assert not wrong


@pytest.fixture
async def stale(owner: GraphClient, database: Database) -> GraphClient:
    """The owner in a browser, signed in twenty minutes ago."""
    await database.worker.execute("update user_sessions set auth_time = now() - interval '20 minutes'")
    return owner


async def test_exactly_what_asks_for_a_fresh_sign_in_in_rest_asks_here(stale: GraphClient) -> None:
    asked = set()
    for operation_id, twin in MUTATIONS:
        answer = await stale.ask(document(twin))
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        if "reauthentication_required" in codes:
            asked.add(operation_id)
    assert asked == {name for name, _ in MUTATIONS if OPERATIONS[name].get("x-sudo")}
    assert len(asked) > 5


async def test_limits_of_single_operations_are_shared(graph: GraphClient) -> None:
    """`rate_limits.special`: 30 a minute, whichever way they are called."""
    limited = {
        route.operation_id
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and declared_on(route.endpoint)
    }
    twins = {name: twin for name, twin in MUTATIONS if name in limited}
    assert limited - WITHOUT.keys() == twins.keys()
    for operation_id, twin in twins.items():
        field = document(twin).removeprefix("mutation { ").removesuffix(" }")
        many = "mutation {" + " ".join(f"a{number}: {field}" for number in range(31)) + "}"
        codes = [error["extensions"]["code"] for error in (await graph.ask(many))["errors"]]
        assert codes == ["not_found"] * 30 + ["rate_limit_exceeded"], operation_id
    rest = await graph.api.post(f"/v1/domains/{ids.encode(Prefix.DOMAIN, ids.new_uuid())}/verify")
    assert rest.status_code == 429
