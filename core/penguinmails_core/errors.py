"""Errors as classes; one handler in the API renders them as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the request. `pointer` is a JSON Pointer into the body (RFC 6901), or the name of a
    parameter or header; `detail` names the limit and the fix."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """Base of every error a caller may see.

    `status`, `code` and `title` are fixed for the class; `detail` says what happened this time. `cause` and `fix` are
    the page that the problem's `type` leads to (in Markdown): a class with a code of its own has its own.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    cause: ClassVar[str] = "Our fault. It is logged under the request_id."
    fix: ClassVar[str] = (
        "Try again with the same Idempotency-Key. If it stays, quote the request_id when you ask about it."
    )

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def problems() -> dict[str, type[Problem]]:
    """Every kind of problem that has been imported, by code."""
    found: dict[str, type[Problem]] = {}
    waiting: list[type[Problem]] = [Problem]
    while waiting:
        kind = waiting.pop(0)
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return dict(sorted(found.items()))


class BadRequest(Problem):
    status, code, title = 400, "bad_request", "The request could not be read"
    cause = (
        "The request is not well-formed HTTP for this API: a header twice, a length that is no number, a character "
        "that has no place there."
    )
    fix = "Change what the detail names. Sending the same request again gives the same answer."


class InvalidJson(BadRequest):
    code, title = "invalid_json", "The body is not valid JSON"
    cause = "The body cannot be parsed as JSON in UTF-8."
    fix = "Look at the line and column that the detail names. Let a JSON library write the body."


class InvalidIdempotencyKey(BadRequest):
    code, title = "invalid_idempotency_key", "The Idempotency-Key header is not usable"
    cause = "Idempotency-Key takes 1 to 255 visible ASCII characters, once."
    fix = "Send a new random UUID for each thing you want done, and the same one when you repeat it."


class KeyInQuery(BadRequest):
    code, title = "key_in_query", "API keys are not accepted in the URL"
    cause = "The URL holds something that looks like a key. URLs end up in logs, histories and Referer headers."
    fix = "Send the key in the Authorization header. If it was a real key, replace it."


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "No valid credentials were sent"
    cause = "There is no Authorization header, or its key or token is unknown, revoked or expired."
    fix = (
        "Send `Authorization: Bearer pm_live_...` (or `pm_test_...`) with a key that is valid. Keys of other "
        "servers are unknown here."
    )


class InboundRefused(Problem):
    status, code, title = 401, "inbound_refused", "It is not proven who sent this"
    cause = (
        "A webhook came to /inbound/..., and its signature or credentials do not fit. The sender is told no more than "
        "that."
    )
    fix = (
        "The owner of the source finds the reason in `GET /v1/inbound_messages?status=rejected`: another secret, "
        "another scheme, a clock that is off, or a proxy that changes the body."
    )


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "These credentials may not do that"
    cause = "The credentials are valid, but not for this."
    fix = "The detail says what is missing. Ask an administrator of the organization."


class MissingScope(Forbidden):
    code, title = "missing_scope", "The key lacks a scope"
    cause = "The credentials lack the scope that `required_scope` names."
    fix = "Use a key that has the scope, or make one. A key cannot give itself more than it has."


class ConstraintViolated(Forbidden):
    """Further members: `constraint` (the limit's name in the key), `value` (what was asked for) and `limit`."""

    code, title = "constraint_violated", "The key is limited and this is outside of its limits"
    cause = (
        "The key has limits of its own: where it is used from, which addresses or domains it sends from, how much it "
        "sends. `constraint` names the limit, `value` what was asked for."
    )
    fix = "Stay within `limit`, use another key, or ask whoever made this one to widen it."


class GrantExceeded(Forbidden):
    """Further members: `excess`, a list of {constraint, value, limit}; `excess_scopes` when scopes are among them."""

    code, title = "grant_exceeded", "Nobody can hand out more than they have"
    cause = "A key can do at most what the one who makes or changes it can do; `excess` lists what goes beyond."
    fix = "Ask for less, or let somebody with more rights make the key: a person in the dashboard, or the operator."


class DomainNotVerified(Forbidden):
    code, title = "domain_not_verified", "The sender's domain is not verified"
    cause = "Mail is sent from verified domains only, else anybody could write in your name."
    fix = (
        "Verify the domain of the sender first. Test keys may use any domain, since their mail never leaves the server."
    )


class NotAMember(Forbidden):
    code, title = "not_a_member", "You do not belong to this organization"
    cause = "The person is no member of the organization, or a limited one to whom no workspace is left."
    fix = "Choose another organization, or ask one of its admins to invite you or to give you a workspace."


class OwnersOnly(Forbidden):
    code, title = "owners_only", "Only an owner may do that"
    cause = "Owners and admins are invited, changed and removed by owners only, and only an owner hands over ownership."
    fix = "Ask an owner of the organization. A key never counts as one: owners act signed in."


class LiveModeRequired(Forbidden):
    code, title = "live_mode_required", "A test key cannot change what both modes share"
    cause = "Organization, workspaces, members and roles are the same in live and test mode; test keys only read them."
    fix = "Use a live key, or do it signed in."


class SsoRequired(Forbidden):
    code, title = "sso_required", "Sign in with single sign-on"
    cause = (
        "The organization has proven the domain of the person's address and asks its members to sign in with its "
        "identity provider. Owners may use their password, so that the organization is never locked out."
    )
    fix = "Choose single sign-on at /sso."


class CrossSiteRequest(Forbidden):
    code, title = "cross_site_request", "The request did not come from our own pages"
    cause = (
        "A browser sent its session cookie with a request that may change something, but Sec-Fetch-Site or Origin says "
        "that a page of somebody else made it, or neither is there. Forms that were open for too long end here too."
    )
    fix = "Reload the page and send the form again. Programs send `Authorization: Bearer` and no cookie."


class ReauthenticationRequired(Forbidden):
    code, title = "reauthentication_required", "Confirm that it is you"
    cause = (
        "Keys, secrets and deletion ask people in a browser for a fresh sign-in with the strongest factor they own. "
        "API keys and tokens are not asked."
    )
    fix = "Confirm at /login/confirm with a passkey, a one-time code or, if you have neither, the password. Then retry."


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is no such thing here"
    cause = "It does not exist, or it belongs to someone else, to another workspace or to the other mode (live, test)."
    fix = "Check the id and which key you use. Live keys do not see what test keys made."


class LinkExpired(NotFound):
    code, title = "link_expired", "The link was used or has expired"
    cause = "Links in mail work once and for a limited time."
    fix = "Ask for a new link where you asked for this one."


class PortalLinkEnded(Problem):
    status, code, title = 410, "portal_link_ended", "This link has ended"
    cause = "Links into the webhook portal work for a limited time, and end with the credential that made them."
    fix = "Open the page again from where it was linked; it gets a new link there."


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "The resource does not answer to this method"
    cause = "There is something at this path, but it does not answer to this method."
    fix = "The Allow header lists the methods that it answers to."


class NotAcceptable(Problem):
    status, code, title = 406, "not_acceptable", "The resource has no such representation"
    cause = "The Accept header asks for a format that this resource does not have."
    fix = "Ask for the media type that the specification names, or leave Accept out."


class Conflict(Problem):
    status, code, title = 409, "conflict", "The resource is in a state that does not allow this"
    cause = "The resource is in a state that does not allow this; `current_status` says which, where there is one."
    fix = "Read the resource again and decide anew."


class EmailTaken(Conflict):
    """Tell it only to those who may know who has an account: a sign-up page answers the same for both."""

    code, title = "email_taken", "There is a user with this address"
    cause = "Each address belongs to one user, in whatever case it is written."
    fix = "Use the user that is there, or another address."


class LastOwner(Conflict):
    code, title = "last_owner", "The organization would be left without an owner"
    cause = "An organization always has at least one owner; this would take the last one away."
    fix = "Make somebody else an owner first, or transfer the ownership."


class IdempotencyInFlight(Conflict):
    code, title = "idempotency_key_in_use", "A request with this Idempotency-Key is still being worked on"
    cause = "The first request with this Idempotency-Key is still being worked on."
    fix = "Wait as Retry-After says and send the same request again: you get the answer of the first one."


class EventExpired(Problem):
    """Further member: `oldest_event_id`, null when no event is kept."""

    status, code, title = 410, "event_expired", "Events after this place are not kept any more"
    cause = (
        "`after` (or Last-Event-ID) names a place in the event log that is older than the organization keeps events: "
        "between it and the oldest one that is left, others may have been and are gone."
    )
    fix = (
        "Read the resources themselves to learn their present state, then go on at `oldest_event_id`: list without "
        "`after` begins there. Read more often, or keep events longer: `event_retention_days` of the organization."
    )


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "The resource is not what you expect it to be"
    cause = "If-Match names a state of the resource that is not the present one: somebody has changed it since."
    fix = "GET it again, decide whether your change still makes sense, and send it with the new ETag."


class PayloadTooLarge(Problem):
    status, code, title = 413, "payload_too_large", "The request is larger than allowed"
    cause = "The body is over the limit that the detail names."
    fix = "Send less at once: fewer messages in a batch, smaller attachments."


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "The body must be JSON"
    cause = "The body does not say that it is JSON."
    fix = "Send JSON, with `Content-Type: application/json`."


class Unprocessable(Problem):
    status, code, title = 422, "validation_failed", "Some fields need attention"
    cause = "Something in the body or the parameters is missing, unknown or over a limit."
    fix = "Each entry of `errors` points at one field and names its limit and the fix. They come all together."


class MailboxUnreachable(Unprocessable):
    """Entries of `errors` point at `/smtp`, `/imap` or `/oauth`; their codes are those of `MailboxCheck`."""

    code, title = "mailbox_unreachable", "Signing in to the mailbox does not work"
    cause = "The servers of the mailbox were called and something did not work; each entry of `errors` says what."
    fix = (
        "Do what the entry says. To keep the mailbox anyway, send `verify: false`; nothing is sent from it until a "
        "test succeeds."
    )


class IdempotencyMismatch(Unprocessable):
    code, title = "idempotency_key_reused", "This Idempotency-Key was used for another request"
    cause = "This Idempotency-Key was used for a request with another path, query or body."
    fix = "Choose a new key for a new request. If it should be the same request, send exactly the same bytes."


class RateLimited(Problem):
    """Further member: `violated_policies`, names of RateLimit-Policy."""

    status, code, title = 429, "rate_limit_exceeded", "Too many requests"
    cause = "More requests came than the limits in RateLimit-Policy allow."
    fix = "Wait as Retry-After says. RateLimit tells what is left, so that you can slow down before it comes to this."


class TooManyStreams(Problem):
    """Further member: `limit`."""

    status, code, title = 429, "too_many_streams", "Too many event streams are open"
    cause = "One key may hold a limited number of event streams open at once; `limit` says how many."
    fix = (
        "Close a stream that is not read any more: one stream with all the types you need does for many readers. "
        "A connection that broke counts until the server notices, at most 15 seconds."
    )


class SendQuotaExceeded(Problem):
    """Further members: `violated_policies`, and `throttle` (`factor`, `reason`) when reputation has cut the quota."""

    status, code, title = 429, "send_quota_exceeded", "The send quota is used up"
    cause = (
        "More mail was handed in than the organization may send in a second, a day or a month. A send is one message "
        "to one recipient. `throttle` says when complaints or bounces have cut the quota, and why."
    )
    fix = (
        "Wait as Retry-After says; `GET /v1/usage` shows every quota and when it is whole again. Nothing of this "
        "request was accepted or counted. Ask for a larger plan when it happens often."
    )


class LimitReached(Forbidden):
    """Further members: `limit_name`, `limit`, `used` and `plan`."""

    code, title = "limit_reached", "The plan allows no more of these"
    cause = "The plan of the organization allows only so many of these, and there are as many."
    fix = "Remove one that is not needed, or ask for a larger plan or an exception."


class SendLimitReached(RateLimited):
    """Further members: `constraint`, `value` (what was asked for), `limit` and `sent` (today's count)."""

    code, title = "send_limit_reached", "The key has sent all that it may today"
    cause = "The key has a daily cap of recipients, and this request goes beyond what is left of it."
    fix = "Wait until midnight UTC as Retry-After says, use another key, or have the cap raised."


class Internal(Problem):
    pass


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "A part of the service is down for the moment"
    cause = "A part of the service is away: restarting, overloaded or being repaired."
    fix = "Wait as Retry-After says and try again with the same Idempotency-Key; nothing is done twice."
