"""Every scheme of the table: what is genuine passes, what was touched does not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_core.inbound.records import InboundRequest, Refused, SettingsError, Verified
from penguinmails_core.inbound.schemes import InboundScheme
from penguinmails_webhooks.inbound.schemes import BY_NAME as SCHEMES
from penguinmails_webhooks.inbound.schemes import TABLE
from tests.webhooks.inbound.senders import NOW, SENDERS, WHSEC, b64_mac, hex_mac, request, with_header, without

NAMES = list(SCHEMES)
TIMED = [name for name in NAMES if SENDERS[name].timed]


async def verify(
    name: str, sent: InboundRequest, *secrets: str, now: float = NOW, given: Mapping[str, Any] | None = None
) -> Verified:
    sender = SENDERS[name]
    chosen = sender.settings if given is None else given
    return await SCHEMES[name].verify(sent, secrets or (sender.secret,), settings=chosen, now=now)


async def refusal(name: str, sent: InboundRequest, *secrets: str, now: float = NOW) -> str:
    with pytest.raises(Refused) as caught:
        await verify(name, sent, *secrets, now=now)
    for secret in secrets or (SENDERS[name].secret,):
        assert secret not in str(caught.value)
    return caught.value.code


def test_every_scheme_is_tried_here() -> None:
    assert set(SCHEMES) == set(SENDERS)
    assert set(SCHEMES) | {"sns"} == {scheme.value for scheme in InboundScheme}
    assert {scheme.name for scheme in TABLE if scheme.timed} == set(TIMED)


@pytest.mark.parametrize("name", NAMES)
async def test_a_genuine_request_passes(name: str) -> None:
    sender = SENDERS[name]
    SCHEMES[name].check_secret(sender.secret)
    assert SCHEMES[name].check_settings(sender.settings) == dict(sender.settings)
    verified = await verify(name, sender.good())
    assert verified.dedupe_key
    assert verified.keep


@pytest.mark.parametrize("name", NAMES)
async def test_a_changed_body_is_refused_where_it_is_signed(name: str) -> None:
    sender = SENDERS[name]
    good = sender.good()
    touched = replace(good, body=good.body[:-1] + b" " + good.body[-1:])
    if sender.covers:
        assert await refusal(name, touched) == "signature_mismatch"
        assert await refusal(name, replace(good, body=good.body[:-1])) == "signature_mismatch"
    else:
        assert await verify(name, touched)


@pytest.mark.parametrize("name", NAMES)
async def test_another_secret_is_refused(name: str) -> None:
    sender = SENDERS[name]
    assert await refusal(name, sender.good(), sender.other) in ("signature_mismatch", "wrong_credentials")
    assert await refusal(name, sender.send(sender.other, NOW, sender.body)) in (
        "signature_mismatch",
        "wrong_credentials",
    )


@pytest.mark.parametrize("name", NAMES)
async def test_while_secrets_are_rotated_each_of_them_counts(name: str) -> None:
    sender = SENDERS[name]
    for used in (sender.secret, sender.other):
        assert await verify(name, sender.send(used, NOW, sender.body), sender.other, sender.secret)


@pytest.mark.parametrize("name", NAMES)
async def test_without_secrets_nothing_passes(name: str) -> None:
    with pytest.raises(Refused):
        await SCHEMES[name].verify(SENDERS[name].good(), [], settings=SENDERS[name].settings, now=NOW)


@pytest.mark.parametrize("name", NAMES)
async def test_every_header_that_proves_is_needed(name: str) -> None:
    good = SENDERS[name].good()
    optional = {"x-github-event", "x-github-delivery", "x-acme-id", "content-type"}
    for header in good.headers:
        if header not in optional:
            assert await refusal(name, without(good, header)) == "missing_header", header
            assert await refusal(name, with_header(good, header, "")) == "missing_header", header


@pytest.mark.parametrize("name", [name for name in NAMES if SENDERS[name].signature])
async def test_a_cut_or_broken_signature_is_refused(name: str) -> None:
    sender, good = SENDERS[name], SENDERS[name].good()
    assert sender.signature is not None
    whole = good.headers[sender.signature.lower()].replace(",v0=00", "")
    for broken in (whole[:-1], whole[:-8], whole + "AAAA", whole[:-3] + "é==", "v1,", "x", whole[: len(whole) // 2]):
        code = await refusal(name, with_header(good, sender.signature, broken))
        assert code in ("malformed", "unsupported", "signature_mismatch", "wrong_credentials"), broken


@pytest.mark.parametrize("name", TIMED)
async def test_old_and_future_requests_are_refused(name: str) -> None:
    sender = SENDERS[name]
    assert await verify(name, sender.good(NOW - 299))
    assert await verify(name, sender.good(NOW + 299))
    assert await refusal(name, sender.good(NOW - 301)) == "timestamp_too_old"
    assert await refusal(name, sender.good(NOW + 301)) == "timestamp_too_new"


@pytest.mark.parametrize("name", [name for name in TIMED if name != "mailgun"])
async def test_the_time_is_signed_and_canonical(name: str) -> None:
    good = SENDERS[name].good()
    header = next((key for key in good.headers if "timestamp" in key), "stripe-signature")
    stamp = str(NOW * 1000 if name == "hubspot" else NOW)
    for changed in (str(int(stamp) + 1), f"+{stamp}", f" {stamp}", f"0{stamp}", "1e9", "٣", "9" * 20, "-1"):
        touched = with_header(good, header, good.headers[header].replace(stamp, changed))
        assert await refusal(name, touched) in ("malformed", "signature_mismatch", "timestamp_too_new"), changed


async def test_ids_and_events() -> None:
    expected = {
        "standard_webhooks": ("id:msg_1", "msg_1", "contact.created"),
        "svix": ("id:msg_1", "msg_1", "contact.created"),
        "stripe": ("id:evt_1", "evt_1", "contact.created"),
        "github": ("id:72d3162e", "72d3162e", "ping"),
        "segment": ("id:m-1", "m-1", "contact.created"),
        "mailgun": ("id:G9Bn5sl1TC6nu79C8C0bwg", "G9Bn5sl1TC6nu79C8C0bwg", "opened"),
        "pipedrive": ("id:0f7a", "0f7a", "deal.change"),
        "hmac": ("id:d-1", "d-1", "contact.created"),
    }
    for name, facts in expected.items():
        found = await verify(name, SENDERS[name].good())
        assert (found.dedupe_key, found.delivery_id, found.event) == facts, name
    hubspot = await verify("hubspot", SENDERS["hubspot"].good())
    assert (hubspot.delivery_id, hubspot.event) == ("1", "contact.creation")
    postmark = await verify("postmark", SENDERS["postmark"].good())
    assert (postmark.delivery_id, postmark.event) == ("883953f4", "Bounce")


async def test_a_repeat_of_hubspot_is_the_same_message_whatever_its_attempt() -> None:
    sender = SENDERS["hubspot"]
    first = await verify("hubspot", sender.good())
    again = json.loads(sender.body)
    again[0]["attemptNumber"] = 3
    repeat = await verify("hubspot", sender.send(sender.secret, NOW + 60, json.dumps(again).encode()), now=NOW + 60)
    assert repeat.dedupe_key == first.dedupe_key
    again[0]["objectId"] = 8
    other = await verify("hubspot", sender.send(sender.secret, NOW, json.dumps(again).encode()))
    assert other.dedupe_key != first.dedupe_key


async def test_a_replay_cannot_pass_as_new_by_an_id_that_is_not_signed() -> None:
    for name, header in (("github", "X-GitHub-Delivery"), ("hmac", "X-Acme-Id")):
        good = SENDERS[name].good()
        first, second = await verify(name, good), await verify(name, with_header(good, header, "another"))
        assert first.dedupe_key != second.dedupe_key
        assert first.replay_key == second.replay_key is not None
    sender = SENDERS["mailgun"]
    good = sender.good()
    other = replace(good, body=good.body.replace(b"G9Bn5sl1TC6nu79C8C0bwg", b"another"))
    assert (await verify("mailgun", good)).replay_key == (await verify("mailgun", other)).replay_key is not None


async def test_slack_is_answered_its_challenge() -> None:
    sender = SENDERS["slack"]
    body = b'{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    verified = await verify("slack", sender.send(sender.secret, NOW, body))
    assert verified.reply == ("text/plain", b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    assert not verified.keep
    assert await refusal("slack", sender.send(sender.other, NOW, body)) == "signature_mismatch"


async def test_slack_events_buttons_and_commands() -> None:
    sender = SENDERS["slack"]
    event = b'{"type":"event_callback","event_id":"Ev08","event":{"type":"app_mention"}}'
    found = await verify("slack", sender.send(sender.secret, NOW, event))
    assert (found.dedupe_key, found.event) == ("id:Ev08", "app_mention")
    for body, kind in (
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "block_actions"),
        (b"command=%2Fmail&text=x", "command"),
    ):
        sent = with_header(sender.send(sender.secret, NOW, body), "Content-Type", "application/x-www-form-urlencoded")
        assert (await verify("slack", sent)).event == kind


async def test_segment_signs_only_the_first_event_of_a_batch_so_a_batch_is_refused() -> None:
    sender = SENDERS["segment"]
    assert await refusal("segment", sender.send(sender.secret, NOW, b"[{}]")) == "not_covered"


async def test_hubspot_decodes_some_escapes_of_the_url_and_no_others() -> None:
    sender = SENDERS["hubspot"]
    called = "https://mail.example.com/inbound/t%3A%2F?a=%40b%20%25c%2Cd"
    signed = "https://mail.example.com/inbound/t:/?a=@b%20%25c,d"
    stamp = str(NOW * 1000)
    mac = b64_mac(sender.secret, b"POST" + signed.encode() + b"[]" + stamp.encode())
    sent = request({"X-HubSpot-Signature-v3": mac, "X-HubSpot-Request-Timestamp": stamp}, b"[]", called)
    assert await verify("hubspot", sent)


async def test_several_signatures_of_which_one_fits() -> None:
    stripe = SENDERS["stripe"]
    good = stripe.good()
    wrong = "0" * 64
    both = good.headers["stripe-signature"].replace(",v1=", f",v1={wrong},v1=")
    assert await verify("stripe", with_header(good, "Stripe-Signature", both))
    twice = f"t={NOW},{good.headers['stripe-signature']}"
    assert await refusal("stripe", with_header(good, "Stripe-Signature", twice)) == "malformed"
    standard = SENDERS["standard_webhooks"].good()
    many = f"v2,xx v1,{base64.b64encode(bytes(32)).decode()} v1,not-base64 {standard.headers['webhook-signature']}"
    assert await verify("standard_webhooks", with_header(standard, "webhook-signature", many))


async def test_ed25519_of_standard_webhooks() -> None:
    key = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()
    SCHEMES["standard_webhooks"].check_secret(public)
    signature = base64.b64encode(key.sign(b"msg_9.%d.{}" % NOW)).decode()
    headers = {"webhook-id": "msg_9", "webhook-timestamp": str(NOW), "webhook-signature": f"v1a,{signature}"}
    assert await verify("standard_webhooks", request(headers, b"{}"), public)
    assert await verify("standard_webhooks", request(headers, b"{}"), WHSEC, public)
    assert await refusal("standard_webhooks", request(headers, b"{ }"), public) == "signature_mismatch"
    # A public key is public: it must not pass as the key of an HMAC.
    raw = base64.b64decode(public.removeprefix("whpk_"))
    forged = base64.b64encode(hmac.digest(raw, b"msg_9.%d.{}" % NOW, "sha256")).decode()
    headers["webhook-signature"] = f"v1,{forged}"
    assert await refusal("standard_webhooks", request(headers, b"{}"), public) == "signature_mismatch"


async def test_mailgun_as_a_form() -> None:
    sender = SENDERS["mailgun"]
    mac = hex_mac(sender.secret, f"{NOW}token".encode())
    body = f"timestamp={NOW}&token=token&signature={mac}&recipient=a%40b.c".encode()
    sent = request({"Content-Type": "application/x-www-form-urlencoded"}, body)
    assert (await verify("mailgun", sent)).dedupe_key == "token:token"


@pytest.mark.parametrize("name", NAMES)
def test_secrets_that_cannot_be_right(name: str) -> None:
    for wrong in ("", "short", " " * 20, "with a line\nbreak in it", "x" * 600):
        with pytest.raises(SettingsError) as caught:
            SCHEMES[name].check_secret(wrong)
        assert caught.value.field == "secret"
        assert len(wrong) < 8 or wrong not in caught.value.detail
    made = SCHEMES[name].new_secret()
    if made is not None:
        SCHEMES[name].check_secret(made)
        assert made != SCHEMES[name].new_secret()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("github", {"header": "X"}),
        ("hmac", {"algorithm": "md5"}),
        ("hmac", {"encoding": "base32"}),
        ("hmac", {"header": "a b"}),
        ("hmac", {"header": ""}),
        ("hmac", {"prefix": "é"}),
        ("token", {"algorithm": "sha1"}),
    ],
)
def test_settings_that_a_scheme_does_not_have(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        SCHEMES[name].check_settings(given)
    assert caught.value.field == f"settings/{next(iter(given))}"


GARBAGE = st.dictionaries(
    st.sampled_from(
        [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
            "svix-id",
            "x-hubspot-signature-v3",
            "x-hubspot-request-timestamp",
            "x-slack-signature",
            "x-slack-request-timestamp",
            "stripe-signature",
            "x-hub-signature-256",
            "x-signature",
            "x-acme-sign",
            "authorization",
            "content-type",
        ]
    ),
    st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=80),
        st.sampled_from(["v0=", "t=1,v1=", "Basic ", "sha256=", str(NOW), "v1,", "application/x-www-form-urlencoded"]),
    ),
)


@given(
    headers=GARBAGE, body=st.one_of(st.binary(max_size=200), st.sampled_from([b"[]", b"{}", b"null", b"[1]", b'"x"']))
)
@settings(max_examples=200, deadline=None)
async def test_garbage_is_refused_and_never_an_error(headers: dict[str, str], body: bytes) -> None:
    for name in NAMES:
        with pytest.raises(Refused):
            await verify(name, request(headers, body))


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "id", "event", "meta", "event-data", "signature", "messageId", "challenge"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)
@settings(max_examples=100, deadline=None)
async def test_any_proven_json_has_a_key(body: Any) -> None:
    for name, sender in SENDERS.items():
        if name == "mailgun" or (name == "segment" and isinstance(body, list)):
            continue
        try:
            raw = json.dumps(body).encode()
        except UnicodeEncodeError:
            return
        verified = await verify(name, sender.send(sender.secret, NOW, raw))
        assert verified.dedupe_key
