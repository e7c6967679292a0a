"""The senders, as they sign: each written from its documentation, and not from our readers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penguinmails_core.inbound.records import InboundRequest

URL = "https://mail.example.com/inbound/t0ken"
NOW = 1_790_000_000
BODY = b'{"type":"contact.created","id":"evt_1","messageId":"m-1","data":{"name":"Zo\xc3\xab"}}'
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def request(headers: Mapping[str, str], body: bytes = BODY, url: str = URL) -> InboundRequest:
    return InboundRequest("POST", url, {name.lower(): value for name, value in headers.items()}, body)


def hex_mac(key: str | bytes, text: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(key.encode() if isinstance(key, str) else key, text, algorithm).hexdigest()


def b64_mac(key: str | bytes, text: bytes) -> str:
    raw = hmac.new(key.encode() if isinstance(key, str) else key, text, hashlib.sha256).digest()
    return base64.b64encode(raw).decode()


Send = Callable[[str, float, bytes], InboundRequest]


@dataclass(frozen=True)
class Sender:
    """`send(secret, now, body)`. `signature`: the header that holds the proof, None when it is in the body. `timed`:
    says when it signed. `covers`: the body is signed."""

    send: Send
    secret: str
    other: str
    signature: str | None
    timed: bool = False
    covers: bool = True
    body: bytes = BODY
    settings: Mapping[str, Any] = field(default_factory=dict)

    def good(self, now: float = NOW) -> InboundRequest:
        return self.send(self.secret, now, self.body)


def _standard(prefix: str) -> Send:
    def send(secret: str, now: float, body: bytes) -> InboundRequest:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        stamp = str(int(now))
        mac = b64_mac(key, b"msg_1." + stamp.encode() + b"." + body)
        return request(
            {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": stamp, f"{prefix}-signature": f"v1,{mac}"}, body
        )

    return send


def _hubspot(secret: str, now: float, body: bytes) -> InboundRequest:
    stamp = str(int(now * 1000))
    mac = b64_mac(secret, b"POST" + URL.encode() + body + stamp.encode())
    return request({"X-HubSpot-Signature-v3": mac, "X-HubSpot-Request-Timestamp": stamp}, body)


def _slack(secret: str, now: float, body: bytes) -> InboundRequest:
    stamp = str(int(now))
    mac = hex_mac(secret, b"v0:" + stamp.encode() + b":" + body)
    return request({"X-Slack-Signature": f"v0={mac}", "X-Slack-Request-Timestamp": stamp}, body)


def _stripe(secret: str, now: float, body: bytes) -> InboundRequest:
    stamp = str(int(now))
    mac = hex_mac(secret, stamp.encode() + b"." + body)
    return request({"Stripe-Signature": f"t={stamp},v1={mac},v0=00"}, body)


def _github(secret: str, _: float, body: bytes) -> InboundRequest:
    signature = "sha256=" + hex_mac(secret, body)
    return request({"X-Hub-Signature-256": signature, "X-GitHub-Event": "ping", "X-GitHub-Delivery": "72d3162e"}, body)


def _segment(secret: str, _: float, body: bytes) -> InboundRequest:
    return request({"X-Signature": hex_mac(secret, body, "sha1")}, body)


def _mailgun(secret: str, now: float, body: bytes) -> InboundRequest:
    document = json.loads(body)
    stamp, token = str(int(now)), document.get("token", "a1" * 25)
    mac = hex_mac(secret, (stamp + token).encode())
    document["signature"] = {"timestamp": stamp, "token": token, "signature": mac}
    return request({"Content-Type": "application/json"}, json.dumps(document).encode())


def _basic(secret: str, _: float, body: bytes) -> InboundRequest:
    return request({"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}, body)


def _token(secret: str, _: float, body: bytes) -> InboundRequest:
    return request({"Authorization": f"Bearer {secret}"}, body)


def _hmac(secret: str, _: float, body: bytes) -> InboundRequest:
    raw = hmac.new(secret.encode(), body, "sha512").digest()
    return request({"X-Acme-Sign": "v=" + base64.b64encode(raw).decode(), "X-Acme-Id": "d-1"}, body)


_OTHER_WHSEC = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
_PAIR, _OTHER_PAIR = "pm:correct horse", "pm:correct Horse"
_TEXT, _OTHER_TEXT = "8f742231b10e8888abcd99yyyzzz85a5", "8f742231b10e8888abcd99yyyzzz85a6"
_HUBSPOT_BODY = json.dumps(
    [{"eventId": 1, "subscriptionType": "contact.creation", "attemptNumber": 0, "objectId": 7}]
).encode()
_MAILGUN_BODY = json.dumps({"event-data": {"id": "G9Bn5sl1TC6nu79C8C0bwg", "event": "opened"}}).encode()
_PIPEDRIVE_BODY = json.dumps(
    {"meta": {"id": "0f7a", "action": "change", "entity": "deal", "version": "2.0", "attempt": 1}}
).encode()
_POSTMARK_BODY = json.dumps({"RecordType": "Bounce", "MessageID": "883953f4", "ID": 42}).encode()

SENDERS: dict[str, Sender] = {
    "standard_webhooks": Sender(_standard("webhook"), WHSEC, _OTHER_WHSEC, "webhook-signature", timed=True),
    "svix": Sender(_standard("svix"), WHSEC, _OTHER_WHSEC, "svix-signature", timed=True),
    "hubspot": Sender(_hubspot, _TEXT, _OTHER_TEXT, "X-HubSpot-Signature-v3", timed=True, body=_HUBSPOT_BODY),
    "slack": Sender(_slack, _TEXT, _OTHER_TEXT, "X-Slack-Signature", timed=True),
    "stripe": Sender(_stripe, "whsec_abcdefgh", "whsec_abcdefgi", "Stripe-Signature", timed=True),
    "github": Sender(_github, _TEXT, _OTHER_TEXT, "X-Hub-Signature-256"),
    "segment": Sender(_segment, _TEXT, _OTHER_TEXT, "X-Signature"),
    "mailgun": Sender(_mailgun, _TEXT, _OTHER_TEXT, None, timed=True, covers=False, body=_MAILGUN_BODY),
    "pipedrive": Sender(_basic, _PAIR, _OTHER_PAIR, "Authorization", covers=False, body=_PIPEDRIVE_BODY),
    "postmark": Sender(_basic, _PAIR, _OTHER_PAIR, "Authorization", covers=False, body=_POSTMARK_BODY),
    "basic": Sender(_basic, _PAIR, _OTHER_PAIR, "Authorization", covers=False),
    "token": Sender(_token, _TEXT, _OTHER_TEXT, "Authorization", covers=False),
    "hmac": Sender(
        _hmac,
        _TEXT,
        _OTHER_TEXT,
        "X-Acme-Sign",
        settings={
            "header": "X-Acme-Sign",
            "algorithm": "sha512",
            "encoding": "base64",
            "prefix": "v=",
            "id_header": "X-Acme-Id",
        },
    ),
}


def without(sent: InboundRequest, name: str) -> InboundRequest:
    return replace(sent, headers={key: value for key, value in sent.headers.items() if key != name.lower()})


def with_header(sent: InboundRequest, name: str, value: str) -> InboundRequest:
    return replace(sent, headers={**sent.headers, name.lower(): value})
