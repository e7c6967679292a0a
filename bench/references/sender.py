"""The reference for `send_rsa`: stdlib `email`, dkimpy (RSA-2048) and aiosmtplib over one kept connection."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib
import dkim

SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]


def build(recipient: str, subject: str, text: str, html: str) -> bytes:
    message = EmailMessage()
    message["From"] = "Penguin <hello@acme.test>"
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="acme.test")
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def sign(raw: bytes, selector: bytes, domain: bytes, key: bytes) -> bytes:
    header: bytes = dkim.sign(raw, selector, domain, key, include_headers=SIGNED, canonicalize=(b"relaxed", b"relaxed"))
    return header + raw


async def send_all(port: int, messages: list[tuple[str, str, str, str]], key: bytes) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, use_tls=False)
    await client.connect()
    try:
        for recipient, subject, text, html in messages:
            raw = sign(build(recipient, subject, text, html), b"pm1", b"acme.test", key)
            await client.sendmail("bounces@acme.test", [recipient], raw)
    finally:
        await client.quit()
