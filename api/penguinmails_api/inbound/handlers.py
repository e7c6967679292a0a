"""Who is told what came in: integrations are put in here, in the server and in the worker alike."""

from __future__ import annotations

from penguinmails_core.inbound.records import InboundHandler
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks.inbound.sns_confirmation import SnsConfirmation


def handlers(http: OutgoingHttp) -> tuple[InboundHandler, ...]:
    """`http`: the one way out."""
    return (SnsConfirmation(http),)
