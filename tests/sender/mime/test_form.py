"""The form of the built message where a parser would forgive us."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from penguinmails_sender.message import Attachment, Mailbox, OutgoingMessage
from penguinmails_sender.mime import build
from penguinmails_sender.mime.bodies import base64_lines, encode_text
from tests.sender.mime.test_refusals import PDF, PLAIN

LOGO = Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo")


def test_the_whole_of_a_plain_message() -> None:
    assert build(PLAIN) == (
        b"From: Ann <a@example.com>\r\nTo: b@example.net\r\nSubject: Hello\r\n"
        b"Date: Fri, 02 Jan 2026 00:00:00 +0000\r\nMessage-ID: <01h@example.com>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n"
    )


def shape(raw: bytes) -> list[str]:
    return [part.get_content_type() for part in email.message_from_bytes(raw, policy=email.policy.default).walk()]


@pytest.mark.parametrize(
    ("message", "types"),
    [
        (replace(PLAIN, html="<p>"), ["multipart/alternative", "text/plain", "text/html"]),
        (replace(PLAIN, text=None, html="<p>"), ["text/html"]),
        (replace(PLAIN, text=None), ["text/plain"]),
        (replace(PLAIN, attachments=(PDF,)), ["multipart/mixed", "text/plain", "application/pdf"]),
        (replace(PLAIN, attachments=(LOGO,)), ["multipart/mixed", "text/plain", "image/png"]),
        (
            replace(PLAIN, text=None, html="<p>", attachments=(LOGO,)),
            ["multipart/related", "text/html", "image/png"],
        ),
        (
            replace(PLAIN, html="<p>", attachments=(PDF, LOGO)),
            [
                "multipart/mixed", "multipart/related", "multipart/alternative", "text/plain", "text/html",
                "image/png", "application/pdf",
            ],
        ),
    ],
)  # fmt: skip
def test_nesting(message: OutgoingMessage, types: list[str]) -> None:
    assert shape(build(message)) == types


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\r\n.\r\n", "7bit"),
        ("x" * 998 + "\r\n" + "y" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("a\r\n" * 400 + "x" * 999 + "\r\n", "quoted-printable"),
        ("From here", "quoted-printable"),
        ("a\r\nFrom here", "quoted-printable"),
        ("one nul \x00", "quoted-printable"),
        ("mostly plain é", "quoted-printable"),
        ("漢字漢字", "base64"),
    ],
)
def test_encoding_follows_content(text: str, encoding: str) -> None:
    assert encode_text(text.encode(), allow_8bit=False)[0] == encoding


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("漢字", "8bit"), ("é" * 499, "8bit"), ("é" * 500, "base64"), ("é\x00" + "a" * 20, "quoted-printable")],
)
def test_8bit_only_when_asked_for_and_safe(text: str, encoding: str) -> None:
    assert encode_text(text.encode(), allow_8bit=True)[0] == encoding


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 113, 114, 115, 5700])
def test_base64_lines_are_full_and_no_longer_than_76(size: int) -> None:
    lines = base64_lines(b"\xfe" * size).split(b"\r\n")
    assert all(len(line) == 76 for line in lines[:-1])
    assert len(lines[-1]) <= 76
    assert (lines[-1] != b"") == (size > 0)


def test_a_boundary_in_the_content_is_replaced() -> None:
    boundary = email.message_from_bytes(build(replace(PLAIN, html="<p>"))).get_boundary()
    assert boundary is not None

    raw = build(replace(PLAIN, text=f"--{boundary}--\n", html=f"--{boundary}\n"))

    assert shape(raw) == ["multipart/alternative", "text/plain", "text/html"]
    assert email.message_from_bytes(raw).get_boundary() != boundary


def test_an_attached_message_stays_a_message_when_it_is_plain() -> None:
    inner = Attachment("m.eml", "message/rfc822", b"From: x@example.com\nSubject: s\n\nhi\n")
    assert shape(build(replace(PLAIN, attachments=(inner,)))) == [
        "multipart/mixed", "text/plain", "message/rfc822", "text/plain"
    ]  # fmt: skip
    odd = replace(inner, content=b"Subject: \xff\n\nhi\n")
    assert shape(build(replace(PLAIN, attachments=(odd,)))) == [
        "multipart/mixed", "text/plain", "application/octet-stream"
    ]  # fmt: skip


def test_international_addresses() -> None:
    domain_only = replace(PLAIN, to=(Mailbox("b@münchen.example"),))
    assert not domain_only.needs_smtputf8
    assert b"To: b@xn--mnchen-3ya.example\r\n" in build(domain_only)

    local = replace(PLAIN, cc=(Mailbox("jürgen@example.com", "Jürgen"),))
    assert local.needs_smtputf8
    text = build(local).decode()
    assert "<jürgen@example.com>" in text
    policy = email.policy.SMTPUTF8
    parsed = email.message_from_string(text, policy=policy)
    assert parsed["cc"].addresses[0].addr_spec == "jürgen@example.com"


def test_nobody_visible() -> None:
    assert b"To: undisclosed-recipients:;\r\n" in build(replace(PLAIN, to=()))
    assert b"To:" not in build(replace(PLAIN, to=(), cc=(Mailbox("c@example.com"),)))


def test_header_lines_fit_in_78_where_they_can() -> None:
    names = [
        "Ann",
        'Bob, the "builder"',
        "Jürgen Müller von und zu Hinterüberunterstein",
        "漢字" * 30,
        "plain words " * 9 + "x",
    ]
    message = replace(
        PLAIN,
        from_=Mailbox("a@example.com", "x" * 60 + " y z"),
        to=tuple(Mailbox(f"{index}@example.com", name) for index, name in enumerate(names * 4)),
        subject="word " * 40 + "émile " * 30 + "word",
        headers=(("X-Long", "a b " * 200 + "c"), ("X-Word", "é" * 400)),
        attachments=(replace(PDF, filename="é" * 200 + ".pdf"), replace(PDF, filename="long name " * 20 + ".pdf")),
    )
    assert max(map(len, build(message).split(b"\r\n"))) <= 78
