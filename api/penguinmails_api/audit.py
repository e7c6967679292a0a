"""Who the audit log names for a request."""

from __future__ import annotations

from penguinmails_api.context import RequestContext
from penguinmails_core.audit.actor import Actor


def actor_of(context: RequestContext) -> Actor:
    """The caller, with the request's id, address and user agent (the gateway has set them as `audit.actor.ORIGIN`).
    For routes that let nobody in without a principal."""
    return Actor.of(context.caller)
