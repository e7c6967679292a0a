"""Messages and keys for the tests of the inbox."""

from __future__ import annotations

import base64
import functools
from email.message import EmailMessage

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg=="
)
FROM = "ada@acme.test"
TO = "grace@example.test"


@functools.cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


@functools.cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def rsa_record(key: RSAPrivateKey, extra: str = "") -> bytes:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; {extra}p=".encode() + base64.b64encode(public)


def ed25519_record(key: Ed25519PrivateKey) -> bytes:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


def simple(subject: str = "Hello", text: str = "It works.\n", sender: str = FROM, to: str = TO) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = "Tue, 24 Nov 2026 12:00:00 +0000"
    mail["Message-ID"] = "<1@acme.test>"
    mail.set_content(text)
    return mail


def rich(html: str) -> EmailMessage:
    """Text, HTML with one inline image (cid:logo@acme.test), and two attachments."""
    mail = simple("Your invoice for November", "Dear Grace,\n\nthe invoice is attached.\n")
    mail.add_alternative(html, subtype="html")
    body = mail.get_payload()[1]  # type: ignore[index]
    body.add_related(PNG, "image", "png", cid="<logo@acme.test>")  # type: ignore[union-attr]
    mail.add_attachment(b"%PDF-1.4 not really", maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    mail.add_attachment("<script>alert(1)</script>", subtype="html", filename="../../etc/passwd.html")
    return mail


def raw(mail: EmailMessage) -> bytes:
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
