"""What a proven request says about itself: its delivery id, its event, and what makes a repeat a repeat.

A key is made of what the sender signs, as far as there is something: an id outside of it can be changed by whoever
replays a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from penguinmails_core.inbound.records import InboundRequest, Verified
from penguinmails_webhooks.inbound.claims import digest
from penguinmails_webhooks.inbound.readers import mailgun_fields, parsed

Settings = Mapping[str, Any]


def standard_webhooks(request: InboundRequest, _: Settings) -> Verified:
    message_id = request.headers.get("webhook-id") or request.headers.get("svix-id") or ""
    return Verified(f"id:{message_id}", delivery_id=message_id, event=_member(parsed(request.body), "type"))


def svix(request: InboundRequest, _: Settings) -> Verified:
    message_id = request.headers.get("svix-id") or request.headers.get("webhook-id") or ""
    document = parsed(request.body)
    event = _member(document, "type") or _member(document, "eventType") or _member(document, "event_type")
    return Verified(f"id:{message_id}", delivery_id=message_id, event=event)


def hubspot(request: InboundRequest, _: Settings) -> Verified:
    """A list of events; the same list comes again with higher numbers of attempts. `eventId` is not unique, so the
    list itself is the key."""
    document = parsed(request.body)
    events = document if isinstance(document, list) else [document]
    if not all(isinstance(event, dict) for event in events) or not events:
        return Verified(f"body:{digest(request.body)}")
    kinds = {kind for event in events if (kind := _member(event, "subscriptionType"))}
    bare = [{name: value for name, value in event.items() if name != "attemptNumber"} for event in events]
    key = digest(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS))
    only = events[0].get("eventId") if len(events) == 1 else None
    return Verified(
        f"events:{key}",
        delivery_id=str(only) if isinstance(only, int | str) else None,
        event=next(iter(kinds)) if len(kinds) == 1 else "batch",
    )


def slack(request: InboundRequest, _: Settings) -> Verified:
    """Events have an `event_id`, the same in repeats. Commands and buttons have none and are not repeated."""
    document = parsed(request.body)
    if document is None and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = parse_qs(request.body.decode("utf-8", "replace"))
        document = parsed(form["payload"][0].encode()) if "payload" in form else {"type": "command"}
    kind, event_id = _member(document, "type"), _member(document, "event_id")
    if kind == "url_verification" and (challenge := _member(document, "challenge")):
        return Verified("challenge", event=kind, reply=("text/plain", challenge.encode()), keep=False)
    inner = _member(document.get("event"), "type") if isinstance(document, dict) else None
    if event_id:
        return Verified(f"id:{event_id}", delivery_id=event_id, event=inner or kind)
    key = digest(request.headers.get("x-slack-request-timestamp", "").encode(), request.body)
    return Verified(f"body:{key}", event=inner or kind)


def stripe(request: InboundRequest, settings: Settings) -> Verified:
    return _by_member(request, "id", "type")


def segment(request: InboundRequest, settings: Settings) -> Verified:
    return _by_member(request, "messageId", "type")


def github(request: InboundRequest, _: Settings) -> Verified:
    """The id stands in a header that is not signed: a replay could change it, so the body must not come twice either
    (bodies of different events differ, in their times at least)."""
    delivery_id = request.headers.get("x-github-delivery")
    key = digest(request.body)
    return Verified(
        f"id:{delivery_id}" if delivery_id else f"body:{key}",
        replay_key=key,
        delivery_id=delivery_id,
        event=request.headers.get("x-github-event"),
    )


def mailgun(request: InboundRequest, _: Settings) -> Verified:
    """Only timestamp and token are signed: a token counts once, whatever comes with it."""
    token = mailgun_fields(request)["token"]
    document = parsed(request.body)
    data = document.get("event-data") if isinstance(document, dict) else None
    event_id = _member(data, "id")
    return Verified(
        f"id:{event_id}" if event_id else f"token:{token}",
        replay_key=digest(token.encode()),
        delivery_id=event_id,
        event=_member(data, "event"),
    )


def pipedrive(request: InboundRequest, settings: Settings) -> Verified:
    """Webhooks v2: `meta.id` names the delivery, `meta.attempt` counts its repeats."""
    document = parsed(request.body)
    meta = document.get("meta") if isinstance(document, dict) else None
    if not isinstance(meta, dict):
        return hmac_of_body(request, settings)
    entity, action = _member(meta, "entity") or _member(meta, "object"), _member(meta, "action")
    event = f"{entity}.{action}" if entity and action else None
    delivery_id = _member(meta, "id")
    if not delivery_id or _member(meta, "version") != "2.0":  # before 2.0 `id` was the object's
        return Verified(f"body:{digest(request.body)}", event=event)
    return Verified(f"id:{delivery_id}", delivery_id=delivery_id, event=event)


def postmark(request: InboundRequest, _: Settings) -> Verified:
    """No id of the delivery: a repeat has the same body."""
    document = parsed(request.body)
    event = _member(document, "RecordType") or ("Inbound" if _member(document, "OriginalRecipient") else None)
    return Verified(f"body:{digest(request.body)}", delivery_id=_member(document, "MessageID"), event=event)


def hmac_of_body(request: InboundRequest, settings: Settings) -> Verified:
    """`id_header` names the header with the delivery id; without one a repeat is known by its body."""
    name = settings.get("id_header")
    delivery_id = request.headers.get(str(name).lower()) if name else None
    document = parsed(request.body)
    event = _member(document, "type") or _member(document, "event")
    key = digest(request.body)
    if not delivery_id:
        return Verified(f"body:{key}", event=event)
    return Verified(f"id:{delivery_id}", replay_key=key, delivery_id=delivery_id, event=event)


def unsigned(request: InboundRequest, settings: Settings) -> Verified:
    """As `hmac_of_body`, where nothing is signed: who can replay can also make things up."""
    found = hmac_of_body(request, settings)
    return Verified(found.dedupe_key, delivery_id=found.delivery_id, event=found.event)


def _by_member(request: InboundRequest, name: str, kind: str) -> Verified:
    document = parsed(request.body)
    found = _member(document, name)
    key = f"id:{found}" if found else f"body:{digest(request.body)}"
    return Verified(key, delivery_id=found, event=_member(document, kind))


def _member(document: Any, name: str) -> str | None:
    """A text member of an object, in a length that names have."""
    value = document.get(name) if isinstance(document, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 4096 else None
