"""Signatures: equal to the reference libraries in both directions, and everything that must be refused is."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as ReferenceWebhook
from svix.webhooks import Webhook, WebhookVerificationError

from penguinmails_webhooks.signing import (
    SecretError,
    SignatureError,
    decode_secret,
    generate_key,
    generate_secret,
    public_key,
    sign,
    signed_headers,
    verify,
)

# The example that the specification and its libraries publish.
PUBLISHED_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLISHED_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
PUBLISHED_TIMESTAMP = 1614265330
PUBLISHED_BODY = b'{"test": 2432232314}'
PUBLISHED_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

SECRET, OTHER = generate_secret(), generate_secret()
NOW = 1_764_000_000
BODY = '{"type":"email.delivered","data":{"subject":"Grüße"}}'.encode()
secrets = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())
# JSON is text: the reference libraries decode the body as UTF-8.
bodies = st.text(st.characters(codec="utf-8")).map(str.encode)
ids = st.from_regex(r"evt_[0-9a-z]{26}", fullmatch=True)


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def code(headers: dict[str, str], body: bytes = BODY, *secrets: str, at: float = NOW) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(secrets or (SECRET,), headers, body, now=at)
    return caught.value.code


def test_the_published_vector() -> None:
    assert sign([PUBLISHED_SECRET], PUBLISHED_ID, PUBLISHED_TIMESTAMP, PUBLISHED_BODY) == PUBLISHED_SIGNATURE
    headers = {
        "webhook-id": PUBLISHED_ID,
        "webhook-timestamp": str(PUBLISHED_TIMESTAMP),
        "webhook-signature": PUBLISHED_SIGNATURE,
    }
    verify([PUBLISHED_SECRET], headers, PUBLISHED_BODY, now=PUBLISHED_TIMESTAMP)


@given(secrets, ids, bodies)
def test_the_reference_libraries_verify_what_we_sign(secret: str, msg_id: str, body: bytes) -> None:
    headers = signed_headers([secret], msg_id, now(), body)
    Webhook(secret).verify(body, headers)
    ReferenceWebhook(secret).verify(body, headers, json_parse=False)


@given(secrets, ids, bodies)
def test_we_verify_what_the_reference_libraries_sign(secret: str, msg_id: str, body: bytes) -> None:
    moment = datetime.fromtimestamp(NOW, UTC)
    theirs = Webhook(secret).sign(msg_id, moment, body.decode())
    assert theirs == sign([secret], msg_id, NOW, body)
    headers = {"webhook-id": msg_id, "webhook-timestamp": str(NOW), "webhook-signature": theirs}
    verify([secret], headers, body, now=NOW)


def test_both_sides_of_a_rotation() -> None:
    both = signed_headers([SECRET, OTHER], "evt_1", now(), BODY)
    assert both["webhook-signature"].count(" ") == 1
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(BODY, both)
        verify([secret], both, BODY)
    verify([OTHER, SECRET], signed_headers([SECRET], "evt_1", NOW, BODY), BODY, now=NOW)
    with pytest.raises(WebhookVerificationError):
        Webhook(generate_secret()).verify(BODY, both)


def test_what_was_signed_cannot_be_changed() -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, BODY)
    verify([SECRET], headers, BODY, now=NOW)
    assert code(headers, BODY + b" ") == "signature_mismatch"
    assert code(headers | {"webhook-id": "evt_2"}) == "signature_mismatch"
    assert code(headers | {"webhook-timestamp": str(NOW + 1)}) == "signature_mismatch"
    assert code(headers, BODY, OTHER) == "signature_mismatch"
    assert code(headers | {"webhook-signature": sign([OTHER], "evt_1", NOW, BODY)}) == "signature_mismatch"


@given(bodies, st.data())
def test_a_flipped_bit_anywhere_is_noticed(body: bytes, data: st.DataObject) -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, body)
    content = bytearray(body or b"x")
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << place % 8
    assert code(headers, bytes(content)) == "signature_mismatch"


def test_time_is_checked_in_both_directions_at_the_second() -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, BODY)
    for at in (NOW - 300, NOW + 300):
        verify([SECRET], headers, BODY, now=at)
    assert code(headers, at=NOW + 300.5) == "timestamp_too_old"
    assert code(headers, at=NOW - 300.5) == "timestamp_too_new"
    with pytest.raises(SignatureError, match="too_old"):
        verify([SECRET], headers, BODY)  # the real clock: NOW lies in the past
    with pytest.raises(SignatureError, match="too_old"):
        verify([SECRET], headers, BODY, now=NOW + 11, tolerance=10)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, BODY)
    assert code({key: value for key, value in headers.items() if key != name}) == "missing_header"
    assert code(headers | {name: ""}) == "missing_header"
    verify([SECRET], {key.title(): value for key, value in headers.items()}, BODY, now=NOW)


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", " 5", "+5", "05", "1764000000.0", "٣", "9" * 5000])
def test_a_timestamp_is_canonical_digits(value: str) -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, BODY)
    assert code(headers | {"webhook-timestamp": value}) == "invalid_timestamp"


@pytest.mark.parametrize("value", ["v1", "v1,", "v1,###", "v2,AAAA", "v1a,AAAA", "AAAA", ",", "v1,AAA", "v1 ,AAAA"])
def test_an_unreadable_signature(value: str) -> None:
    headers = signed_headers([SECRET], "evt_1", NOW, BODY)
    assert code(headers | {"webhook-signature": value}) == "invalid_signature"
    # Beside a good one it does no harm: other versions may be signed too.
    verify([SECRET], headers | {"webhook-signature": f"{value} {headers['webhook-signature']}"}, BODY, now=NOW)


def test_secrets() -> None:
    assert len(decode_secret(SECRET)) == 32
    assert SECRET != OTHER
    assert decode_secret(SECRET.removeprefix("whsec_")) == decode_secret(SECRET)
    for bad in ("whsec_", "whsec_%%%", "whsec_" + base64.b64encode(b"short").decode(), "whsk_" + "A" * 32, "é" * 40):
        with pytest.raises(SecretError) as caught:
            sign([bad], "evt_1", NOW, BODY)
        assert bad.removeprefix("whsec_") == "" or bad not in str(caught.value)
    for use in (lambda: sign([], "evt_1", NOW, BODY), lambda: verify([], {}, BODY)):
        with pytest.raises(SecretError, match="at least one"):
            use()


# Ed25519 (`v1a`): the key pair that the reference server is tested with.
KNOWN_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
KNOWN_PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_a_known_key_pair() -> None:
    assert public_key(KNOWN_KEY) == KNOWN_PUBLIC
    seed = base64.b64decode(KNOWN_KEY.removeprefix("whsk_"))[:32]
    assert public_key("whsk_" + base64.b64encode(seed).decode()) == KNOWN_PUBLIC


@given(ids, bodies)
def test_what_is_signed_with_a_key_verifies_with_its_public_half(msg_id: str, body: bytes) -> None:
    key = generate_key()
    headers = signed_headers([key], msg_id, NOW, body)
    assert headers["webhook-signature"].startswith("v1a,")
    verify([public_key(key)], headers, body, now=NOW)
    # As anybody would check it who knows the format only.
    signature = base64.b64decode(headers["webhook-signature"].removeprefix("v1a,"))
    raw = base64.b64decode(public_key(key).removeprefix("whpk_"))
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, f"{msg_id}.{NOW}.".encode() + body)


def test_what_must_be_refused_of_keys() -> None:
    key, other = generate_key(), generate_key()
    good = signed_headers([key], "evt_1", NOW, BODY)
    assert code(good, BODY + b" ", public_key(key)) == "signature_mismatch"
    assert code(good, BODY, public_key(other)) == "signature_mismatch"
    assert code({**good, "webhook-id": "evt_2"}, BODY, public_key(key)) == "signature_mismatch"
    assert code(good, BODY, public_key(key), at=NOW + 301) == "timestamp_too_old"
    assert code(good, BODY, SECRET) == "invalid_signature"  # no v1 signature there
    for value in ("v1a", "v1a,", "v1a,%%%", "v1a,AAAA", good["webhook-signature"].replace("v1a", "v1")):
        assert code({**good, "webhook-signature": value}, BODY, public_key(key)) == "invalid_signature"


def test_both_kinds_in_one_header() -> None:
    key = generate_key()
    headers = signed_headers([SECRET, key], "evt_1", NOW, BODY)
    verify([SECRET], headers, BODY, now=NOW)
    verify([public_key(key)], headers, BODY, now=NOW)
    verify([OTHER, public_key(key)], headers, BODY, now=NOW)
    Webhook(SECRET).verify(BODY, signed_headers([SECRET, key], "evt_1", now(), BODY))


@pytest.mark.parametrize("text", ["whsk_", "whsk_%%%", "whsk_" + base64.b64encode(b"x" * 33).decode()])
def test_unusable_keys(text: str) -> None:
    with pytest.raises(SecretError):
        sign([text], "evt_1", NOW, BODY)


def test_mixed_up_halves() -> None:
    halves = [base64.b64decode(generate_key().removeprefix("whsk_")) for _ in range(2)]
    mixed = "whsk_" + base64.b64encode(halves[0][:32] + halves[1][32:]).decode()
    with pytest.raises(SecretError, match="belong together"):
        sign([mixed], "evt_1", NOW, BODY)


def test_a_receiver_needs_the_public_key() -> None:
    key = generate_key()
    with pytest.raises(SecretError, match="public key"):
        verify([key], signed_headers([key], "evt_1", NOW, BODY), BODY, now=NOW)
    with pytest.raises(SecretError, match="32 bytes"):
        verify(["whpk_AAAA"], signed_headers([key], "evt_1", NOW, BODY), BODY, now=NOW)
