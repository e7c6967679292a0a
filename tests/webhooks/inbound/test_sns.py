"""Amazon SNS: signatures with a certificate that is fetched, topics, and the confirmation."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from penguinmails_core.errors import Unavailable
from penguinmails_core.inbound.records import Discard, InboundRequest, ReceivedMessage, Refused, SettingsError
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.http import OutgoingHttp
from penguinmails_webhooks.inbound.sns import SnsScheme, is_of_sns
from penguinmails_webhooks.inbound.sns_confirmation import SnsConfirmation
from tests.webhooks.inbound.senders import NOW, request

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"
KEY = rsa.generate_private_key(65537, 2048)


def pem(days: int = 1) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(utcnow() - timedelta(days=30))
        .not_valid_after(utcnow() + timedelta(days=days))
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


class Amazon:
    """Where certificates are."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = pem() if content is None else content
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if not self.content:
            raise Unavailable("away")
        return self.content


def message(version: str = "2", **members: Any) -> dict[str, Any]:
    """Signed as Amazon documents it."""
    stamp = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    found: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": '{"notificationType":"Bounce"}',
        "Timestamp": stamp,
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    } | members
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if found["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{found[name]}\n" for name in names if name in found).encode()
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    found["Signature"] = base64.b64encode(KEY.sign(text, padding.PKCS1v15(), algorithm)).decode()
    return found


def sent(document: dict[str, Any]) -> InboundRequest:
    return request({"Content-Type": "text/plain; charset=UTF-8"}, json.dumps(document).encode())


async def refusal(document: dict[str, Any], amazon: Amazon | None = None, topic: str = TOPIC, now: float = NOW) -> str:
    with pytest.raises(Refused) as caught:
        await SnsScheme((amazon or Amazon()).fetch).verify(sent(document), [topic], settings={}, now=now)
    return caught.value.code


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_genuine_message_passes_and_the_certificate_is_fetched_once(version: str) -> None:
    amazon = Amazon()
    scheme = SnsScheme(amazon.fetch)
    for _ in range(3):
        found = await scheme.verify(sent(message(version)), ["other", TOPIC], settings={}, now=NOW)
    assert (found.dedupe_key, found.event) == ("id:22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "Notification")
    assert amazon.asked == [CERTIFICATE]
    assert await scheme.verify(sent(message(version, Subject="Hi")), [TOPIC], settings={}, now=NOW)


async def test_what_was_changed_is_refused() -> None:
    for name in ("Message", "MessageId", "Timestamp"):
        document = message()
        document[name] += "x" if name != "Timestamp" else ""
        if name == "Timestamp":
            document[name] = document[name].replace("000Z", "001Z")
        assert await refusal(document) == "signature_mismatch", name
    for name in ("Message", "MessageId", "Timestamp", "TopicArn"):
        document = message()
        del document[name]
        assert await refusal(document) == "missing_header", name
    assert await refusal(message() | {"Signature": "AA"}) in ("signature_mismatch", "malformed")
    assert await refusal(message() | {"Signature": 7}) == "malformed"
    assert await refusal(message() | {"SignatureVersion": "3"}) == "unsupported"
    assert await refusal(message() | {"Type": "Other"}) == "unsupported"
    assert await refusal(message() | {"Type": ["x"]}) == "unsupported"


async def test_another_topic_of_anybody_is_refused_before_anything_is_fetched() -> None:
    amazon = Amazon()
    theirs = message(TopicArn="arn:aws:sns:eu-west-1:999999999999:bounces")
    assert await refusal(theirs, amazon) == "wrong_credentials"
    assert amazon.asked == []


async def test_certificates_of_others_are_not_fetched() -> None:
    amazon = Amazon()
    for url in (
        "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem",
        "http://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
        "https://s3.amazonaws.com/bucket/x.pem",
        "https://sns.eu-west-1.amazonaws.com/x.txt",
        "https://[::1",
        None,
        7,
    ):
        assert await refusal(message(SigningCertURL=url), amazon) == "not_covered", url
    assert amazon.asked == []


async def test_old_and_future_messages() -> None:
    assert await refusal(message(), now=NOW + 86_401) == "timestamp_too_old"
    assert await refusal(message(), now=NOW - 86_401) == "timestamp_too_new"
    assert await refusal(message(Timestamp="yesterday")) == "malformed"


async def test_certificates_that_are_away_unreadable_or_ended() -> None:
    for content in (b"", b"not a certificate"):
        with pytest.raises(Unavailable):
            await SnsScheme(Amazon(content).fetch).verify(sent(message()), [TOPIC], settings={}, now=NOW)
    assert await refusal(message(), Amazon(pem(days=-1))) == "not_covered"


def test_the_topic_stands_for_the_secret() -> None:
    scheme = SnsScheme()
    scheme.check_secret(TOPIC)
    scheme.check_secret(TOPIC + ".fifo")
    for wrong in ("", "secret", "arn:aws:sqs:eu-west-1:123456789012:q", TOPIC + "\n"):
        with pytest.raises(SettingsError):
            scheme.check_secret(wrong)
    assert scheme.new_secret() is None
    with pytest.raises(SettingsError):
        scheme.check_settings({"header": "x"})


def received(body: dict[str, Any]) -> ReceivedMessage:
    return ReceivedMessage(
        uuid4(),
        None,
        "live",
        uuid4(),
        uuid4(),
        "SES",
        "sns",
        "SubscriptionConfirmation",
        None,
        {},
        json.dumps(body).encode(),
        utcnow(),
        1,
    )


async def test_the_confirmation_is_proven_and_wanted() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"
    document = message(Type="SubscriptionConfirmation", SubscribeURL=url, Token="x")
    found = await SnsScheme(Amazon().fetch).verify(sent(document), [TOPIC], settings={}, now=NOW)
    assert found.event == "SubscriptionConfirmation"
    assert is_of_sns(url)
    async with OutgoingHttp(allow_private=False) as http:
        handler = SnsConfirmation(http)
        assert handler.wants("sns", found.event)
        assert not handler.wants("sns", "Notification")
        assert not handler.wants("github", found.event)
        for wrong in ("https://evil.example/", None, "http://sns.eu-west-1.amazonaws.com/"):
            with pytest.raises(Discard):
                await handler.handle(received({"SubscribeURL": wrong}))
