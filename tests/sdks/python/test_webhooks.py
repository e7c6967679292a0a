"""Webhooks as receivers see them: what is trusted, what is refused and why."""

from __future__ import annotations

import base64
import datetime
import json
import time
from pathlib import Path

import pytest
from penguinmails import InvalidWebhookSignatureError, PenguinMails, PenguinMailsError, webhooks
from penguinmails.types import EmailDeliveredEvent, UnknownEvent
from svix.webhooks import Webhook

from penguinmails_webhooks import signing
from penguinmails_webhooks.catalogue import CATALOGUE
from penguinmails_webhooks.events import example_event

ROOT = Path(__file__).parents[3]
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
BODY = json.dumps(
    {
        "id": "evt_1",
        "type": "email.delivered",
        "timestamp": "2026-11-24T12:00:00.000Z",
        "data": {"email_id": "msg_1", "subject": "Grüße"},
        "sequence": 2,
    },
    ensure_ascii=False,
).encode()


def _headers(body: bytes = BODY, *, secrets: tuple[str, ...] = (SECRET,), age: int = 0) -> dict[str, str]:
    return signing.signed_headers(secrets, "evt_1", int(time.time()) - age, body)


def _code(body: bytes | str, headers: dict[str, str], secret: str = SECRET) -> str:
    with pytest.raises(InvalidWebhookSignatureError) as caught:
        webhooks.verify(body, headers, secret)
    return caught.value.code


def test_valid_event_is_typed() -> None:
    event = webhooks.unwrap(BODY, _headers(), SECRET)
    assert (event.id, event.type) == ("evt_1", "email.delivered")
    assert event.timestamp == datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    assert event.data["subject"] == "Grüße"
    assert event.raw["sequence"] == 2


def test_body_may_be_text_and_headers_in_any_shape() -> None:
    headers = _headers()
    webhooks.verify(BODY.decode(), {name.title(): value for name, value in headers.items()}, SECRET)
    webhooks.verify(BODY, list(headers.items()), SECRET)
    asgi = [(name.encode(), value.encode()) for name, value in headers.items()]
    webhooks.verify(BODY, asgi, SECRET)  # type: ignore[arg-type]  # what ASGI frameworks hand out


def test_unknown_types_arrive() -> None:
    body = json.dumps({"type": "moon.landed", "timestamp": "2026-11-24T12:00:00Z", "data": {"a": 1}}).encode()
    event = webhooks.unwrap(body, _headers(body), SECRET)
    assert (event.id, event.type, event.data) == ("evt_1", "moon.landed", {"a": 1})


def test_typed_event() -> None:
    scenario = ROOT / "sdks" / "conformance" / "scenarios" / "events_unknown_type_is_kept.json"
    known, unknown = json.loads(scenario.read_text())["exchanges"][0]["reply"]["json"]["data"]
    for raw, kind in ((known, EmailDeliveredEvent), (unknown, UnknownEvent)):
        body = json.dumps(raw).encode()
        typed = webhooks.unwrap(body, _headers(body), SECRET).typed()
        assert type(typed) is kind
        assert typed.to_dict().keys() == raw.keys()
        assert typed.timestamp == datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    with pytest.raises(PenguinMailsError, match="not an event"):
        webhooks.unwrap(BODY, _headers(), SECRET).typed()


@pytest.mark.parametrize("age", [299, -299])
def test_within_tolerance(age: int) -> None:
    webhooks.verify(BODY, _headers(age=age), SECRET)


def test_refused_with_the_reason() -> None:
    good = _headers()
    assert _code(BODY + b" ", good) == "signature_mismatch"
    assert _code(BODY, {**good, "webhook-id": "evt_2"}) == "signature_mismatch"
    assert _code(BODY, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) - 1)}) == "signature_mismatch"
    assert _code(BODY, good, OTHER) == "signature_mismatch"
    assert _code(BODY, _headers(age=310)) == "timestamp_too_old"
    assert _code(BODY, _headers(age=-310)) == "timestamp_too_new"
    for value in ("", "soon", "+7", "-1", "1e9", "٣", "9" * 20):
        assert _code(BODY, {**good, "webhook-timestamp": value}) in ("invalid_timestamp", "missing_header")
    for value in ("v1", "v1,", "v1,%%%", "v1,AAAA", "v1a,c2ln", "garbage", "v2," + good["webhook-signature"][3:]):
        assert _code(BODY, {**good, "webhook-signature": value}) == "invalid_signature"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_header(name: str) -> None:
    headers = _headers()
    del headers[name]
    with pytest.raises(InvalidWebhookSignatureError, match=name) as caught:
        webhooks.verify(BODY, headers, SECRET)
    assert caught.value.code == "missing_header"


def test_rotation_signs_with_both_and_either_secret_verifies() -> None:
    headers = _headers(secrets=(SECRET, OTHER))
    webhooks.verify(BODY, headers, SECRET)
    webhooks.verify(BODY, headers, OTHER)
    webhooks.verify(BODY, _headers(secrets=(OTHER,)), [SECRET, OTHER])
    mixed = {**_headers(), "webhook-signature": f"v1a,AAAA v1,%% {_headers()['webhook-signature']}"}
    webhooks.verify(BODY, mixed, SECRET)


def test_signed_body_that_is_no_event() -> None:
    for body in (
        b"",
        b"[]",
        b"{}",
        b'{"type": 3, "timestamp": "2026-11-24T12:00:00Z"}',
        b'{"type": "a", "timestamp": 1}',
    ):
        with pytest.raises(InvalidWebhookSignatureError) as caught:
            webhooks.unwrap(body, _headers(body), SECRET)
        assert caught.value.code == "invalid_body"


def test_unusable_secrets_are_named_without_being_shown() -> None:
    for secret in ("whsec_***", "whsec_", "hunter2!"):
        with pytest.raises(PenguinMailsError, match="whsec_ followed by base64") as caught:
            webhooks.verify(BODY, _headers(), secret)
        assert "hunter2" not in str(caught.value)


def test_secret_of_the_environment_and_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENGUINMAILS_WEBHOOK_SECRET", raising=False)
    with pytest.raises(PenguinMailsError, match="PENGUINMAILS_WEBHOOK_SECRET"):
        webhooks.verify(BODY, _headers())
    with PenguinMails("pm_test_key", webhook_secret=SECRET) as client:
        assert client.webhooks.unwrap(BODY, _headers()).id == "evt_1"
        assert client.webhooks.unwrap(BODY, _headers(secrets=(OTHER,)), OTHER).id == "evt_1"
        client.webhooks.verify(BODY, _headers())
    monkeypatch.setenv("PENGUINMAILS_WEBHOOK_SECRET", OTHER)
    assert webhooks.unwrap(BODY, _headers(secrets=(OTHER,))).id == "evt_1"


def test_agrees_with_svix() -> None:
    now = datetime.datetime.now(datetime.UTC)
    signature = Webhook(SECRET).sign("evt_1", now, BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert webhooks.unwrap(BODY, headers, SECRET).type == "email.delivered"
    Webhook(SECRET).verify(BODY, _headers())


def test_ed25519() -> None:
    """With the public key of an endpoint, which is no secret; beside shared secrets, in any mixture."""
    key = signing.generate_key()
    public = signing.public_key(key)
    headers = _headers(secrets=(SECRET, key))
    for secret in (public, SECRET, [OTHER, public]):
        assert webhooks.unwrap(BODY, headers, secret).type == "email.delivered"
    assert _code(BODY + b" ", headers, public) == "signature_mismatch"
    assert _code(BODY, headers, signing.public_key(signing.generate_key())) == "signature_mismatch"
    assert _code(BODY, _headers(), public) == "invalid_signature"
    for value in ("v1a,", "v1a,AAAA", "v1a,%%%"):
        assert _code(BODY, {**headers, "webhook-signature": value}, public) == "invalid_signature"
    for unusable in ("whpk_", "whpk_AAAA", "whpk_%%"):
        with pytest.raises(PenguinMailsError, match="whpk_ followed by base64"):
            webhooks.verify(BODY, headers, unusable)


def test_every_event_of_the_catalogue_has_a_class() -> None:
    for event in CATALOGUE:
        body = json.dumps(example_event(event)).encode()
        typed = webhooks.unwrap(body, _headers(body), SECRET).typed()
        assert not isinstance(typed, UnknownEvent), event
        assert typed.type == event.value
        known = {name for name, value in example_event(event)["data"].items() if value is not None}
        assert known <= typed.to_dict()["data"].keys()
