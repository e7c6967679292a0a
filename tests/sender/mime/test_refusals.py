"""What a message may not hold: nothing that writes headers of its own, nothing that is not text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from penguinmails_sender.message import Attachment, Mailbox, OutgoingMessage
from penguinmails_sender.mime import RESERVED_HEADERS, MimeError, build

PLAIN = OutgoingMessage(
    message_id="01h@example.com",
    date=datetime(2026, 1, 2, tzinfo=UTC),
    from_=Mailbox("a@example.com", "Ann"),
    to=(Mailbox("b@example.net"),),
    subject="Hello",
    text="Hello",
)
PDF = Attachment("a.pdf", "application/pdf", b"%PDF")


def refused(message: OutgoingMessage) -> MimeError:
    with pytest.raises(MimeError) as caught:
        build(message)
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    return caught.value


@pytest.mark.parametrize("bad", ["\r", "\n", "\x00", "\r\nBcc: x@example.com", "\x0b", "\ud800"])
@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("subject", lambda bad: replace(PLAIN, subject=f"a{bad}b")),
        ("from.name", lambda bad: replace(PLAIN, from_=Mailbox("a@example.com", f"a{bad}b"))),
        ("from", lambda bad: replace(PLAIN, from_=Mailbox(f"a{bad}b@example.com"))),
        ("to[1]", lambda bad: replace(PLAIN, to=(Mailbox("b@example.net"), Mailbox(f"b@example.net{bad}")))),
        ("cc[1].name", lambda bad: replace(PLAIN, cc=(Mailbox("b@example.net"), Mailbox("b@example.net", bad)))),
        ("reply_to", lambda bad: replace(PLAIN, reply_to=(Mailbox(f'"{bad}"@example.net'),))),
        ("headers[X-A]", lambda bad: replace(PLAIN, headers=(("X-A", f"a{bad}b"),))),
        ("message_id", lambda bad: replace(PLAIN, message_id=f"a{bad}@example.com")),
        ("attachments[0].filename", lambda bad: replace(PLAIN, attachments=(replace(PDF, filename=f"a{bad}"),))),
        ("attachments[0].content_id", lambda bad: replace(PLAIN, attachments=(replace(PDF, content_id=f"a{bad}"),))),
        (
            "attachments[0].content_type",
            lambda bad: replace(PLAIN, attachments=(replace(PDF, content_type=f"a/b{bad}"),)),
        ),
    ],
)
def test_line_breaks_and_controls_are_refused_by_field(field: str, make: object, bad: str) -> None:
    assert callable(make)
    assert refused(make(bad)).field == field


@pytest.mark.parametrize("bad", ["X A", "X:A", "X-A\r\nBcc", "", "X\x00", "é", "X" * 77])
def test_header_names(bad: str) -> None:
    assert "printable ASCII" in refused(replace(PLAIN, headers=((bad, "x"),))).detail


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS))
def test_reserved_headers(name: str) -> None:
    for spelled in (name, name.upper(), name.title()):
        assert "written by the sender" in refused(replace(PLAIN, headers=((spelled, "x"),))).detail


def test_reserved_prefixes_and_repeated_headers() -> None:
    assert "written by" in refused(replace(PLAIN, headers=(("Content-Foo", "x"),))).detail
    assert "twice" in refused(replace(PLAIN, headers=(("X-A", "1"), ("x-a", "2")))).detail


@pytest.mark.parametrize("name", ["List-Unsubscribe", "References"])
def test_headers_that_machines_parse_are_never_encoded(name: str) -> None:
    assert "ASCII" in refused(replace(PLAIN, headers=((name, "<https://é.example>"),))).detail
    assert "998" in refused(replace(PLAIN, headers=((name, "<https://e.example/" + "x" * 1000 + ">"),))).detail
    long = f"<https://e.example/{'x' * 200}>"
    assert f"{name}: {long},\r\n <mailto:u@example.com>\r\n".encode() in build(
        replace(PLAIN, headers=((name, f"{long}, <mailto:u@example.com>"),))
    )


@pytest.mark.parametrize(
    "address",
    ["", "a", "@example.com", "a@", "a b@example.com", "a@b c", "<a@example.com>", "a@b@c.example", "a..b@c.de"],
)
def test_what_is_no_address(address: str) -> None:
    assert refused(replace(PLAIN, to=(Mailbox(address),))).field == "to"


def test_body_that_is_not_text() -> None:
    assert refused(replace(PLAIN, text="\udfff")).field == "text"
    assert refused(replace(PLAIN, html="\udfff")).field == "html"


def test_naive_date_and_multipart_attachment() -> None:
    assert refused(replace(PLAIN, date=datetime(2026, 1, 2))).field == "date"  # noqa: DTZ001
    assert "multipart" in refused(replace(PLAIN, attachments=(replace(PDF, content_type="Multipart/mixed"),))).detail
