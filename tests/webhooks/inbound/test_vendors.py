"""The same answers as the senders' own libraries, and their documented vectors."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
import stripe
from slack_sdk.signature import SignatureVerifier
from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

from penguinmails_core.inbound.records import InboundRequest, Refused
from penguinmails_webhooks.inbound.schemes import BY_NAME as SCHEMES
from tests.webhooks.inbound.senders import BODY, NOW, SENDERS, WHSEC, request


async def verified(name: str, sent: InboundRequest, secret: str, now: float = NOW) -> bool:
    try:
        await SCHEMES[name].verify(sent, [secret], settings={}, now=now)
    except Refused:
        return False
    return True


async def test_hubspot_v3_as_hubspots_own_client_signs() -> None:
    """Computed with hubspot-api-client 12.0.0 over the body of HubSpot's documentation."""
    body = (
        b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
        b'"changeFlag":"NEW","appId":54321}]'
    )
    secret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
    # HubSpot's documented hashes of v1 over the same body and secret say that these are the right octets.
    assert (
        hashlib.sha256(secret.encode() + body).hexdigest()
        == "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    )
    sent = request(
        {
            "X-HubSpot-Signature-v3": "DxmVAjFNa2xfF3YgQjdZP6TNcok9k1oaH7UXombPtvw=",
            "X-HubSpot-Request-Timestamp": "1564113600000",
        },
        body,
        "https://www.example.com/webhook_uri",
    )
    assert await verified("hubspot", sent, secret, now=1564113600)
    assert not await verified("hubspot", sent, secret, now=1564113600 + 301)


async def test_slack_as_documented() -> None:
    """The example of "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    sent = request(
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        body,
    )
    assert await verified("slack", sent, "8f742231b10e8888abcd99yyyzzz85a5", now=1531420618)


async def test_github_as_documented() -> None:
    """The example of "Validating webhook deliveries"."""
    sent = request(
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
    )
    assert await verified("github", sent, "It's a Secret to Everybody")


async def test_standard_webhooks_as_published() -> None:
    """The vector of the Standard Webhooks libraries."""
    sent = request(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
    )
    assert await verified("standard_webhooks", sent, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=1614265330)


async def test_what_svix_and_standardwebhooks_sign_passes() -> None:
    moment = datetime.fromtimestamp(NOW, UTC)
    for name, library, prefix in (("svix", Svix, "svix"), ("standard_webhooks", Standard, "webhook")):
        signature = library(WHSEC).sign("msg_7", moment, BODY.decode())
        headers = {f"{prefix}-id": "msg_7", f"{prefix}-timestamp": str(NOW), f"{prefix}-signature": signature}
        assert await verified(name, request(headers), WHSEC)


async def test_slacks_own_verifier_agrees() -> None:
    sender = SENDERS["slack"]
    made = SignatureVerifier(sender.secret).generate_signature(timestamp=str(NOW), body=BODY)
    assert made is not None
    sent = request({"X-Slack-Signature": made, "X-Slack-Request-Timestamp": str(NOW)})
    assert await verified("slack", sent, sender.secret)


async def test_stripes_own_library_agrees() -> None:
    sender = SENDERS["stripe"]
    sent = sender.good()
    header = sent.headers["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(sent.body.decode(), header, sender.secret, tolerance=None)
    assert await verified("stripe", sent, sender.secret)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(sent.body.decode(), header, sender.other, tolerance=None)


def test_the_basis_of_these_tests_is_not_our_own() -> None:
    """The senders of the table sign as the libraries do."""
    sent = SENDERS["standard_webhooks"].good()
    Standard(WHSEC)  # takes the same secret
    mac = hmac.digest(base64.b64decode(WHSEC[6:]), b"msg_1.%d." % NOW + BODY, "sha256")
    assert sent.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
