"""Where each scheme keeps its signature, and over what it is made. Sources: the documentation of each sender."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from penguinmails_core.inbound.records import InboundRequest, Refused
from penguinmails_webhooks.inbound.claims import ED25519, PLAIN, Claim, header, octets, seconds, size_of

Settings = Mapping[str, Any]


def standard_webhooks(request: InboundRequest, _: Settings) -> Claim:
    """Standard Webhooks 1.0.0: `v1,` HMAC-SHA256 and `v1a,` Ed25519 over id.timestamp.body."""
    return _standard(request, "webhook")


def svix(request: InboundRequest, _: Settings) -> Claim:
    """Svix's names of the same headers; newer senders use the standard ones."""
    return _standard(request, "svix" if "svix-id" in request.headers else "webhook")


def _standard(request: InboundRequest, prefix: str) -> Claim:
    message_id, stamp = header(request, f"{prefix}-id"), header(request, f"{prefix}-timestamp")
    given = header(request, f"{prefix}-signature")
    moment = seconds(stamp, f"{prefix}-timestamp")
    found: list[tuple[str, bytes]] = []
    for part in given.split(" "):
        version, _, text = part.partition(",")
        size = {"v1": 32, "v1a": 64}.get(version)
        if size is None:  # other versions are passed over, as the specification asks of receivers
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(signature) == size:
            found.append(("sha256" if version == "v1" else ED25519, signature))
    if not found:
        raise Refused("malformed", f"{prefix}-signature holds no v1 or v1a signature in base64")
    return Claim(found, f"{message_id}.{stamp}.".encode("latin-1", "replace") + request.body, moment)


_HUBSPOT_DECODED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def hubspot(request: InboundRequest, _: Settings) -> Claim:
    """HubSpot v3: base64 HMAC-SHA256 over method, URI, body and timestamp (milliseconds). Of the URI only these escapes
    are decoded: : / ? @ ! $ ' ( ) * , ; ("Validating requests from HubSpot")."""
    given, stamp = header(request, "X-HubSpot-Signature-v3"), header(request, "X-HubSpot-Request-Timestamp")
    uri = _HUBSPOT_DECODED.sub(lambda match: chr(int(match[1], 16)), request.url)
    signed = f"{request.method}{uri}".encode() + request.body + stamp.encode()
    moment = seconds(stamp, "X-HubSpot-Request-Timestamp", per_second=1000)
    return Claim([("sha256", octets(given, "base64", "X-HubSpot-Signature-v3", 32))], signed, moment)


def slack(request: InboundRequest, _: Settings) -> Claim:
    """Slack v0: hex HMAC-SHA256 over "v0:timestamp:body" ("Verifying requests from Slack")."""
    given, stamp = header(request, "X-Slack-Signature"), header(request, "X-Slack-Request-Timestamp")
    moment = seconds(stamp, "X-Slack-Request-Timestamp")
    if not given.startswith("v0="):
        raise Refused("unsupported", "X-Slack-Signature is of a version other than v0")
    signature = octets(given[3:], "hex", "X-Slack-Signature", 32)
    return Claim([("sha256", signature)], b"v0:" + stamp.encode() + b":" + request.body, moment)


def stripe(request: InboundRequest, _: Settings) -> Claim:
    """Stripe: `t=` and one or more `v1=`, hex HMAC-SHA256 over "timestamp.body" ("Verify webhook signatures
    manually")."""
    parts = [part.strip().partition("=") for part in header(request, "Stripe-Signature").split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(stamps) != 1:
        raise Refused("malformed", "Stripe-Signature holds not exactly one t=")
    if not given:
        raise Refused("unsupported", "Stripe-Signature holds no v1= signature")
    moment = seconds(stamps[0], "t in Stripe-Signature")
    signatures = [("sha256", octets(value, "hex", "v1 in Stripe-Signature", 32)) for value in given]
    return Claim(signatures, stamps[0].encode() + b"." + request.body, moment)


def segment(request: InboundRequest, settings: Settings) -> Claim:
    """Segment: hex HMAC-SHA1 over the body. Of a batch only the first event is signed, so a batch is refused."""
    claim = hmac_of_body(request, {"header": "X-Signature", "algorithm": "sha1"} | dict(settings))
    if request.body.lstrip()[:1] == b"[":
        raise Refused(
            "not_covered",
            "a batch of events: Segment signs only the first one of it. Turn batching off in the destination",
        )
    return claim


def github(request: InboundRequest, settings: Settings) -> Claim:
    """GitHub: `sha256=` and hex HMAC-SHA256 over the body ("Validating webhook deliveries"). The SHA-1 header is not
    looked at."""
    return hmac_of_body(request, {"header": "X-Hub-Signature-256", "prefix": "sha256="} | dict(settings))


def hmac_of_body(request: InboundRequest, settings: Settings) -> Claim:
    """The plain kind: one header, an HMAC over the body. `header`, `algorithm`, `encoding` and `prefix` say how."""
    name, prefix = str(settings.get("header") or "X-Signature"), str(settings.get("prefix") or "")
    algorithm, encoding = str(settings.get("algorithm") or "sha256"), str(settings.get("encoding") or "hex")
    given = header(request, name)
    if not given.startswith(prefix):
        raise Refused("unsupported", f"{name} does not start with {prefix}")
    return Claim([(algorithm, octets(given[len(prefix) :], encoding, name, size_of(algorithm)))], request.body)


def mailgun(request: InboundRequest, _: Settings) -> Claim:
    """Mailgun: hex HMAC-SHA256 over timestamp and token, which stand in the body: as JSON under `signature`, in forms
    of routes beside the rest ("Securing webhooks"). The rest of the body is not signed."""
    fields = mailgun_fields(request)
    try:
        stamp, token, given = (fields[name] for name in ("timestamp", "token", "signature"))
    except KeyError as missing:
        raise Refused("missing_header", f"the body holds no signature.{missing.args[0]} of Mailgun") from None
    moment = seconds(stamp, "signature.timestamp")
    signature = octets(given, "hex", "signature.signature", 32)
    return Claim([("sha256", signature)], (stamp + token).encode("utf-8", "replace"), moment)


def mailgun_fields(request: InboundRequest) -> dict[str, str]:
    """Timestamp, token and signature, as far as they are there and are text."""
    found: Any
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        try:
            found = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        except ValueError:
            raise Refused("malformed", "the form cannot be read") from None
    else:
        document = parsed(request.body)
        found = document.get("signature") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise Refused("malformed", "the body is neither JSON with a `signature` nor a form")
    wanted = {name: found[name] for name in ("timestamp", "token", "signature") if name in found}
    if not all(isinstance(value, str) for value in wanted.values()):
        raise Refused("malformed", "timestamp, token and signature are not texts")
    return wanted


def basic(request: InboundRequest, _: Settings) -> Claim:
    """HTTP Basic (RFC 7617). Nothing is signed: who knows the password is believed."""
    scheme, given = header(request, "Authorization").partition(" ")[::2]
    if scheme.lower() != "basic":
        raise Refused("unsupported", "the Authorization header is not of the scheme Basic")
    try:
        pair = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("malformed", "the Authorization header is not base64") from None
    return Claim([(PLAIN, pair)], b"")


def token(request: InboundRequest, settings: Settings) -> Claim:
    """A secret that is sent in a header. Nothing is signed."""
    name = str(settings.get("header") or "Authorization")
    given, prefix = header(request, name), str(settings.get("prefix") or "")
    if name.lower() == "authorization" and not prefix:
        prefix = "Bearer "
    if not given.startswith(prefix):
        raise Refused("unsupported", f"{name} does not start with {prefix.strip()}")
    return Claim([(PLAIN, given[len(prefix) :].encode("latin-1", "replace"))], b"")


def parsed(body: bytes) -> Any:
    """JSON, or None for what is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
