"""All tables, one place: importing this package fills `Base.metadata` and the register."""

from penguinmails_core.models.api_key import ApiKey, ApiKeySecret, ApiKeySends
from penguinmails_core.models.audit_log import AuditHead, AuditLog
from penguinmails_core.models.base import Base, TableFacts
from penguinmails_core.models.bounce_report import BounceReport, RefusedReport
from penguinmails_core.models.content import Attachment, Blob, EmailContent
from penguinmails_core.models.domain import Domain, DomainKey, DomainReport
from penguinmails_core.models.email import FINAL, EmailAttempt, EmailMessage, EmailRecipient, RecipientStatus
from penguinmails_core.models.event import ConsumerCursor, Event
from penguinmails_core.models.idempotency_key import IdempotencyKey
from penguinmails_core.models.identity import (
    IdentityLink,
    Passkey,
    RecoveryCode,
    UserCredential,
    UserSession,
    WebauthnChallenge,
)
from penguinmails_core.models.inbound import InboundMessage, InboundSource
from penguinmails_core.models.inbox import InboxMessage, InboxThread, MailboxFolder
from penguinmails_core.models.lane import (
    Lane,
    LaneDay,
    LaneDecision,
    LaneEvidence,
    LaneMember,
    RecipientDomain,
    SenderWorker,
    SendingPause,
    Warmup,
)
from penguinmails_core.models.mailbox import Mailbox, MailboxSend
from penguinmails_core.models.member import Invitation, Member, Role, WorkspaceMember
from penguinmails_core.models.oauth import (
    NOBODY,
    OAuthApp,
    OAuthApproval,
    OAuthCode,
    OAuthDevice,
    OAuthGrant,
    OAuthInteraction,
    OAuthProof,
    OAuthPushedRequest,
    OAuthRefreshToken,
    OAuthRevokedToken,
    OAuthSigningKey,
)
from penguinmails_core.models.organization import Organization, User, Workspace
from penguinmails_core.models.plan import LimitOverride, OrganizationPlan, Plan, ReputationRule, SendingReputation
from penguinmails_core.models.request_log import RequestLog
from penguinmails_core.models.sso import (
    ScimResource,
    ScimToken,
    SsoAssertion,
    SsoConnection,
    SsoDomain,
    SsoIdentity,
    SsoRequest,
)
from penguinmails_core.models.suppression import Suppression
from penguinmails_core.models.template import Template, TemplateVersion
from penguinmails_core.models.topic import Topic
from penguinmails_core.models.tracking import TrackedLinks, TrackingHit
from penguinmails_core.models.usage import DeliveryHour, UsageCounter, UsageRollup, UsageSends, UsageThreshold
from penguinmails_core.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from penguinmails_core.models.webhook_portal import WebhookPortalLink
from penguinmails_core.models.webhook_replay import WebhookReplay

__all__ = [
    "FINAL",
    "NOBODY",
    "ApiKey",
    "ApiKeySecret",
    "ApiKeySends",
    "Attachment",
    "AuditHead",
    "AuditLog",
    "Base",
    "Blob",
    "BounceReport",
    "ConsumerCursor",
    "DeliveryHour",
    "Domain",
    "DomainKey",
    "DomainReport",
    "EmailAttempt",
    "EmailContent",
    "EmailMessage",
    "EmailRecipient",
    "Event",
    "IdempotencyKey",
    "IdentityLink",
    "InboundMessage",
    "InboundSource",
    "InboxMessage",
    "InboxThread",
    "Invitation",
    "Lane",
    "LaneDay",
    "LaneDecision",
    "LaneEvidence",
    "LaneMember",
    "LimitOverride",
    "Mailbox",
    "MailboxFolder",
    "MailboxSend",
    "Member",
    "OAuthApp",
    "OAuthApproval",
    "OAuthCode",
    "OAuthDevice",
    "OAuthGrant",
    "OAuthInteraction",
    "OAuthProof",
    "OAuthPushedRequest",
    "OAuthRefreshToken",
    "OAuthRevokedToken",
    "OAuthSigningKey",
    "Organization",
    "OrganizationPlan",
    "Passkey",
    "Plan",
    "RecipientDomain",
    "RecipientStatus",
    "RecoveryCode",
    "RefusedReport",
    "ReputationRule",
    "RequestLog",
    "Role",
    "ScimResource",
    "ScimToken",
    "SenderWorker",
    "SendingPause",
    "SendingReputation",
    "SsoAssertion",
    "SsoConnection",
    "SsoDomain",
    "SsoIdentity",
    "SsoRequest",
    "Suppression",
    "TableFacts",
    "Template",
    "TemplateVersion",
    "Topic",
    "TrackedLinks",
    "TrackingHit",
    "UsageCounter",
    "UsageRollup",
    "UsageSends",
    "UsageThreshold",
    "User",
    "UserCredential",
    "UserSession",
    "Warmup",
    "WebauthnChallenge",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookPortalLink",
    "WebhookReplay",
    "Workspace",
    "WorkspaceMember",
]
