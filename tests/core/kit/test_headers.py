"""Callers' headers and one-line texts: nothing that could end a line gets through."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit.headers import HeaderError, check_text, validate_headers

UNSAFE = [chr(code) for code in range(32) if code != 9] + ["\x7f"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Campaign": "spring"},
        {"X-Empty": ""},
        {"X-Tab": "a\tb"},
        {"X-Unicode": "Grüße 🐧"},
        {"List-Unsubscribe": "<https://example.com/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        {"In-Reply-To": "<a@b.example>", "References": "<a@b.example>"},
        {"Contents": "only Content- is reserved", "Arc": "x", "Resent": "x", "X-Penguin": "x", "Subject-2": "x"},
        {"X" * 76: "v" * 8192},
        {"!#$%&'*+-.^_`|~;<=>@": "every kind of ftext"},
        {f"X-{i}": "" for i in range(50)},
    ],
)
def test_accepted(headers: dict[str, str]) -> None:
    validate_headers(headers)


@pytest.mark.parametrize(
    ("headers", "code", "name", "part"),
    [
        ({f"X-{i}": "" for i in range(51)}, "too_many_headers", None, "51 headers; the limit is 50"),
        ({"": "x"}, "invalid_header_name", "", "empty"),
        ({"X Y": "x"}, "invalid_header_name", "X Y", "U+0020 SPACE at position 2"),
        ({"X:Y": "x"}, "invalid_header_name", "X:Y", "U+003A COLON at position 2"),
        ({"X-Ü": "x"}, "invalid_header_name", "X-Ü", "U+00DC"),
        ({"X\r\nBcc": "x"}, "invalid_header_name", "X\r\nBcc", "U+000D CARRIAGE RETURN at position 2"),
        ({"X-\0": "x"}, "invalid_header_name", "X-\0", "U+0000 NUL at position 3"),
        ({"X-A\n": "x"}, "invalid_header_name", "X-A\n", "U+000A LINE FEED at position 4"),
        ({"X" * 77: "x"}, "header_name_too_long", "X" * 77, "77 characters; the limit is 76"),
        ({"X-A": "v" * 8193}, "header_too_long", "X-A", "8193 characters; the limit is 8192"),
        ({"X-A": "a\r\nBcc: x@y.example"}, "control_character", "X-A", "U+000D CARRIAGE RETURN at position 2"),
        ({"X-A": "folded\n value"}, "control_character", "X-A", "U+000A LINE FEED at position 7"),
        ({"X-A": "a\ud800"}, "invalid_character", "X-A", "U+D800"),
        ({"X-Aa": "1", "x-aA": "2"}, "duplicate_header", "x-aA", "given twice"),
    ],
)
def test_refused(headers: dict[str, str], code: str, name: str | None, part: str) -> None:
    with pytest.raises(HeaderError) as caught:
        validate_headers(headers)
    assert (caught.value.code, caught.value.name) == (code, name)
    assert part in caught.value.detail
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("character", UNSAFE)
def test_every_control_character_but_tab_is_refused(character: str) -> None:
    with pytest.raises(HeaderError, match="position 2") as caught:
        validate_headers({"X-A": f"a{character}b"})
    assert caught.value.code == "control_character"
    with pytest.raises(HeaderError, match="position 2"):
        check_text(f"a{character}b", "subject")


RESERVED = [
    ("From", "`from` field"),
    ("Sender", "`from` field"),
    ("Reply-To", "`reply_to` field"),
    ("To", "`to` field"),
    ("Cc", "`cc` field"),
    ("Bcc", "`bcc` field"),
    ("Subject", "`subject` field"),
    ("Date", "`scheduled_at`"),
    ("Message-ID", "leave it out"),
    ("MIME-Version", "leave it out"),
    ("Content-Type", "`attachments`"),
    ("Content-Transfer-Encoding", "`attachments`"),
    ("DKIM-Signature", "leave it out"),
    ("ARC-Seal", "leave it out"),
    ("ARC-Message-Signature", "leave it out"),
    ("Authentication-Results", "leave it out"),
    ("Return-Path", "leave it out"),
    ("Received", "leave it out"),
    ("Resent-From", "new message"),
    ("X-PenguinMails-Id", "choose another name"),
]


@pytest.mark.parametrize(("name", "fix"), RESERVED)
def test_reserved_names_say_what_to_use_instead(name: str, fix: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.swapcase()):
        with pytest.raises(HeaderError) as caught:
            validate_headers({"X-First": "ok", spelling: "x"})
        assert (caught.value.code, caught.value.name) == ("reserved_header", spelling)
        assert fix in caught.value.detail


def test_text() -> None:
    check_text("", "subject")
    check_text("Grüße\t🐧 " + "x" * 990, "subject")
    check_text("x" * 998, "subject")
    check_text("x" * 1000, "tag", limit=1000)
    for value, code in [("x" * 999, "text_too_long"), ("a\nb", "control_character"), ("\udc00", "invalid_character")]:
        with pytest.raises(HeaderError, match="`subject`") as caught:
            check_text(value, "subject")
        assert (caught.value.code, caught.value.name) == (code, "subject")


def assert_showable(error: HeaderError) -> None:
    assert error.detail.isprintable()
    error.detail.encode()


@given(st.dictionaries(st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=60), max_size=5))
def test_nothing_unsafe_passes_and_nothing_but_header_error_is_raised(headers: dict[str, str]) -> None:
    try:
        validate_headers(headers)
    except HeaderError as error:
        assert_showable(error)
        return
    allowed = set(string.printable[:94]) - {":"}
    for name, value in headers.items():
        assert name
        assert set(name) <= allowed
        assert not set(value) & set(UNSAFE)
        value.encode()
        # The line as it would be written holds exactly one header.
        assert len(f"{name}: {value}\r\n".encode().split(b"\n")) == 2
