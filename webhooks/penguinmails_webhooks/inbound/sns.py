"""Amazon SNS: messages signed with RSA, and a certificate that is fetched from Amazon.

Whoever has an account can make SNS sign something for any URL, so a signature says only that it was SNS. What counts is
the topic: it stands in the place of the secret. Sources: "Verifying the signatures of Amazon SNS messages" and
"HTTP/HTTPS notification JSON format" of Amazon.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from penguinmails_core.errors import Unavailable
from penguinmails_core.inbound.records import InboundRequest, Refused, SettingsError, Verified
from penguinmails_webhooks.inbound.claims import check_age
from penguinmails_webhooks.inbound.readers import parsed

CONFIRMATION = "SubscriptionConfirmation"
_ARN = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?\Z")
_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?\Z")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_OPTIONAL = frozenset(("Subject",))
_HASHES: dict[str, type[hashes.SHA1 | hashes.SHA256]] = {"1": hashes.SHA1, "2": hashes.SHA256}
TOLERANCE = 86_400  # seconds: repeats keep the time of the first attempt, and SNS repeats for hours
_CERTIFICATES = 64

Fetch = Callable[[str], Awaitable[bytes]]
"""The octets at a URL. Raises `Unavailable`."""


async def _no_fetch(_: str) -> bytes:
    raise Unavailable("This process fetches no certificates.")


class SnsScheme:
    name = "sns"
    title = "Amazon SNS"

    def __init__(self, fetch: Fetch = _no_fetch) -> None:
        self._fetch = fetch
        self._keys: dict[str, tuple[rsa.RSAPublicKey, datetime]] = {}

    def check_secret(self, secret: str) -> None:
        if not _ARN.match(secret):
            raise SettingsError(
                "secret", "of SNS it is the ARN of the topic, such as arn:aws:sns:eu-west-1:123456789012:bounces"
            )

    def new_secret(self) -> str | None:
        return None

    def check_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        for name in settings:
            raise SettingsError(f"settings/{name}", f"the scheme sns has no setting {name}")
        return {}

    async def verify(
        self, request: InboundRequest, secrets: Sequence[str], *, settings: Mapping[str, Any], now: float
    ) -> Verified:
        document = parsed(request.body)
        if not isinstance(document, dict):
            raise Refused("malformed", "the body is no JSON object")
        kind = document.get("Type")
        names = _SIGNED.get(kind) if isinstance(kind, str) else None
        if names is None:
            raise Refused("unsupported", "Type is none of SNS; is the scheme the right one?")
        signed = _signed(document, names)
        signature, algorithm = _signature(document)
        if document["TopicArn"] not in secrets:
            raise Refused("wrong_credentials", "it is of another topic than the source's")
        key = await self._key(_certificate_url(document.get("SigningCertURL")))
        try:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            raise Refused("signature_mismatch", "Amazon's key does not fit: the message was changed") from None
        check_age(_moment(document["Timestamp"]), now, TOLERANCE)
        message_id = document["MessageId"]
        return Verified(f"id:{message_id}", delivery_id=message_id, event=kind)

    async def _key(self, url: str) -> rsa.RSAPublicKey:
        """Of the certificate at `url`, which is kept until it ends."""
        found = self._keys.get(url)
        if found is not None and found[1] > datetime.now(UTC):
            return found[0]
        try:
            certificate = x509.load_pem_x509_certificate(await self._fetch(url))
            key = certificate.public_key()
        except ValueError:
            raise Unavailable("Amazon's certificate cannot be read. Send it again.") from None
        if not isinstance(key, rsa.RSAPublicKey) or certificate.not_valid_after_utc <= datetime.now(UTC):
            raise Refused("not_covered", "Amazon's certificate has ended, or is of another kind than RSA")
        if len(self._keys) >= _CERTIFICATES:
            self._keys.clear()
        self._keys[url] = (key, certificate.not_valid_after_utc)
        return key


def is_of_sns(url: object, suffix: str = "") -> bool:
    """Whether a URL leads to SNS itself, over https, at the usual port."""
    if not isinstance(url, str) or len(url) > 2048:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and _HOST.match(parts.netloc) is not None
        and port is None
        and parts.path.endswith(suffix)
    )


def _certificate_url(url: object) -> str:
    if not is_of_sns(url, ".pem"):
        raise Refused("not_covered", "SigningCertURL is not Amazon's: the message is forged")
    return str(url)


def _signed(document: Mapping[str, Any], names: Sequence[str]) -> bytes:
    lines = []
    for name in names:
        value = document.get(name)
        if value is None and name in _OPTIONAL:
            continue
        if not isinstance(value, str):
            raise Refused("missing_header", f"the body holds no {name}")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines).encode("utf-8", "replace")


def _signature(document: Mapping[str, Any]) -> tuple[bytes, hashes.HashAlgorithm]:
    algorithm = _HASHES.get(str(document.get("SignatureVersion")))
    if algorithm is None:
        raise Refused("unsupported", "SignatureVersion is neither 1 nor 2")
    try:
        return base64.b64decode(document.get("Signature") or "", validate=True), algorithm()
    except (binascii.Error, ValueError, TypeError):
        raise Refused("malformed", "Signature is not base64") from None


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("malformed", "Timestamp is not a time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
