"""Messages as a person reads them; broken ones too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_sender.inbox.links import Link, find_links
from penguinmails_sender.inbox.message_view import decode_value, search_text, summarize, view_message
from tests.sender.inbox.samples import raw, rich, simple


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?b?R3LDvMOf?=\r\n =?utf-8?b?ZQ==?=", "Grüße"),
        ("folded\r\n\tvalue", "folded\tvalue"),
        ("=?no-such-charset?q?a=FFb?=", "a\ufffdb"),
        ("=?utf-8?b?%%%?=", "=?utf-8?b?%%%?="),
        ("plain", "plain"),
    ],
)
def test_header_values(value: str, text: str) -> None:
    assert decode_value(value) == text


def test_raw_utf8_headers_are_read() -> None:
    summary = summarize("From: Zoë <zoë@acme.test>\r\nSubject: Grüße\r\n\r\n".encode())
    assert (summary.sender, summary.subject, summary.to) == ("Zoë <zoë@acme.test>", "Grüße", "")


def test_text_in_an_unknown_or_wrong_charset_is_shown() -> None:
    for charset in ("no-such", "ascii"):
        view = view_message(
            b"Content-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\nGr\xc3\xbc\xc3\x9fe\xff"
        )
        assert view.text == "Grüße\ufffd"


def test_an_attached_message_is_one_attachment() -> None:
    mail = simple("outer")
    mail.add_attachment(simple("inner"))
    view = view_message(raw(mail))
    (part,) = view.attachments
    assert part.content_type == "message/rfc822"
    assert b"Subject: inner" in part.content


def test_a_text_file_attached_is_not_the_body() -> None:
    mail = simple("x", "the body\n")
    mail.add_attachment("the file\n", filename="notes.txt")
    view = view_message(raw(mail))
    assert view.text == "the body\n"
    assert [(part.filename, part.content) for part in view.attachments] == [("notes.txt", b"the file\r\n")]


def test_nesting_beyond_the_parser_still_shows_something() -> None:
    deep = b"Subject: deep\r\n"
    for level in range(2_000):
        deep += b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level)
    view = view_message(deep)
    assert ("Subject", "deep") in view.headers


def test_links_of_html_and_of_text() -> None:
    html = (
        '<A HREF=" https://a.test/?x=1&amp;y=2 ">Reset <b>your</b>\n password</A><a href="javascript:alert(1)">no</a>'
        '<a href="https://b.test"><img alt="Logo"></a><a href="https://b.test"><img alt="Logo"></a>'
        '<a name="x">no</a><a href="#top">no</a><a href="mailto:help@a.test">open'
    )
    assert find_links(html, "https://ignored.test") == [
        Link("Reset your password", "https://a.test/?x=1&y=2"),
        Link("Logo", "https://b.test"),
        Link("open", "mailto:help@a.test"),
    ]
    assert find_links(None, "see (https://c.test/path). Or http://d.test, please") == [
        Link("https://c.test/path", "https://c.test/path"),
        Link("http://d.test", "http://d.test"),
    ]
    assert find_links(None, None) == []
    assert len(find_links(None, " ".join(f"https://x{number}.test" for number in range(300)))) == 200


def test_search_looks_at_the_start_only() -> None:
    assert len(search_text(raw(simple(text="word " * 200_000)))) <= 20_000


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_garbage_never_raises(data: st.DataObject) -> None:
    message = bytearray(raw(rich("<p>x</p>")))
    for _ in range(data.draw(st.integers(1, 20))):
        position = data.draw(st.integers(0, len(message) - 1))
        message[position : position + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    view = view_message(bytes(message))
    summarize(bytes(message))
    search_text(bytes(message))
    for part in view.attachments:
        assert isinstance(part.content, bytes)
