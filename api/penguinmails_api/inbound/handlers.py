"""Who is told what came in: integrations are put in here, in the server and in the worker alike."""

from __future__ import annotations

from penguinmails_core.inbound.records import InboundHandler

HANDLERS: tuple[InboundHandler, ...] = ()
