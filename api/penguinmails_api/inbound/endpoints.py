"""`POST /inbound/{token}`: one door for the webhooks of others. Who calls is proven by the scheme of the source."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from penguinmails_api.context import RequestContext
from penguinmails_api.rate_limits.admission import refusal
from penguinmails_api.rate_limits.policies import Bound, Bucket, Line
from penguinmails_api.routing import get_context
from penguinmails_core.errors import InboundRefused, NotFound
from penguinmails_core.inbound.records import InboundRequest, Refused, Source
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS, INBOUND
from penguinmails_core.kit.ids import Prefix

router = APIRouter()

MESSAGE_HEADER = "PenguinMails-Message"
_REJECTED = Bucket("inbound-rejected", 10, 10)  # a minute, of one source, are kept for its owner to see


@router.post("/inbound/{token}", include_in_schema=False)
async def receive(request: Request, token: Annotated[str, Path()]) -> Response:
    """Answers after the commit: 200 for what is kept, also when it came before. 404 for a URL that is not in use, 401
    for a sender that is not proven, 413 and 429 for too much. The body of a 200 is empty unless the sender's protocol
    asks for one: some show it to people."""
    context = get_context(request)
    services = context.services
    source = await services.receiver.find(token)
    if source is None:
        raise NotFound("Nothing is received at this URL.")
    settings = services.settings.inbound
    bucket = Bucket("inbound", settings.rate_limit, settings.rate_burst)
    verdict = await services.limiter.take(Bound([Line(bucket, f"i:{source.id}")]))
    if not verdict.allowed:
        raise refusal(verdict, 1, 0, None)
    incoming = _incoming(context, request, await request.body())
    try:
        receipt = await services.receiver.receive(source, incoming, time.time())
    except Refused as refused:
        await _keep_rejected(context, source, incoming, refused)
        raise InboundRefused(
            "The signature or the credentials do not fit, or are too old. The owner of this URL can see why."
        ) from None
    if receipt.waits:
        services.doorbell.ring(INBOUND)
    if receipt.message_id is not None and not receipt.duplicate:
        services.doorbell.ring(EVENTS)
    media_type, body = receipt.reply or (None, b"")
    headers = {}
    if receipt.message_id is not None:
        headers[MESSAGE_HEADER] = ids.encode(Prefix.INBOUND_MESSAGE, receipt.message_id)
    return Response(body, 200, headers, media_type)


def _incoming(context: RequestContext, request: Request, body: bytes) -> InboundRequest:
    """With the public URL of the setting, not with what the Host header says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    url = context.services.public.base + path + (f"?{query}" if query else "")
    return InboundRequest(request.method, url, headers, body)


async def _keep_rejected(context: RequestContext, source: Source, request: InboundRequest, refused: Refused) -> None:
    verdict = await context.services.limiter.take(Bound([Line(_REJECTED, f"ir:{source.id}")]))
    if verdict.allowed:
        await context.services.receiver.keep_rejected(source, request, refused)
