"""Mailboxes: what is read, what is refused and why."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penguinmails_core.kit.addresses import (
    AddressError,
    Mailbox,
    _parse_slow,
    canonical,
    format_mailbox,
    parse_address,
    parse_mailbox,
    to_ascii,
    to_unicode,
)

LABEL_63 = "a" * 63

ACCEPTED: list[tuple[str, str | None, str, bool]] = [
    ("a@b.example", None, "a@b.example", False),
    ("Alice.Smith+tag@EXAMPLE.Com", None, "Alice.Smith+tag@example.com", False),
    ("!#$%&'*+/=?^_`{|}~-@b.example", None, "!#$%&'*+/=?^_`{|}~-@b.example", False),
    ("a@b.c", None, "a@b.c", False),
    ("a@1.2b", None, "a@1.2b", False),
    ("a@b.x1", None, "a@b.x1", False),
    ("a@ab--cd.example", None, "a@ab--cd.example", False),
    ("A <a@b.example>", "A", "a@b.example", False),
    ("<a@b.example>", None, "a@b.example", False),
    ("Alice<a@b.example>", "Alice", "a@b.example", False),
    ("  Alice  Smith  <a@b.example>", "Alice  Smith", "a@b.example", False),
    ("John Q. O'Public <a@b.example>", "John Q. O'Public", "a@b.example", False),
    ('"Quoted, Name" <a@b.example>', "Quoted, Name", "a@b.example", False),
    (r'"Back\\slash and \"quote\"" <a@b.example>', r'Back\slash and "quote"', "a@b.example", False),
    ('"" <a@b.example>', None, "a@b.example", False),
    ('"a <x> b" <a@b.example>', "a <x> b", "a@b.example", False),
    ("Jörg Müller 🐧 <a@b.example>", "Jörg Müller 🐧", "a@b.example", False),
    ('"a b"@b.example', None, '"a b"@b.example', False),
    (r'"a\"b"@b.example', None, r'"a\"b"@b.example', False),
    ('"a@b"@b.example', None, '"a@b"@b.example', False),
    ('"a<b>"@b.example', None, '"a<b>"@b.example', False),
    ('""@b.example', None, '""@b.example', False),
    ('Name <"a>b"@b.example>', "Name", '"a>b"@b.example', False),
    ("a@münchen.example", None, "a@xn--mnchen-3ya.example", False),
    ("a@MÜNCHEN.example", None, "a@xn--mnchen-3ya.example", False),
    ("a@straße.example", None, "a@xn--strae-oqa.example", False),
    ("a@XN--MNCHEN-3YA.example", None, "a@xn--mnchen-3ya.example", False),
    ("a@例え。テスト", None, "a@xn--r8jz45g.xn--zckzah", False),
    ("a@ab--cd.münchen.example", None, "a@ab--cd.xn--mnchen-3ya.example", False),
    ("jörg@b.example", None, "jörg@b.example", True),
    ("jo\u0308rg@b.example", None, "jörg@b.example", True),
    ('"jö rg"@b.example', None, '"jö rg"@b.example', True),
    ("用户@例え.テスト", None, "用户@xn--r8jz45g.xn--zckzah", True),
    ("\u212aelvin@b.example", None, "Kelvin@b.example", False),  # NFC turns KELVIN SIGN into an ASCII letter
    ("a" * 64 + "@b.example", None, "a" * 64 + "@b.example", False),
    (f"a@{LABEL_63}.example", None, f"a@{LABEL_63}.example", False),
    (f"a@b.{LABEL_63}", None, f"a@b.{LABEL_63}", False),
]

REFUSED: list[tuple[str, str]] = [
    ("", "empty"),
    ("   ", "empty"),
    ("Name <>", "empty"),
    ("name", "missing_at"),
    ('"name"', "missing_at"),
    ("@b.example", "missing_local_part"),
    ("a@", "missing_domain"),
    ("a" * 65 + "@b.example", "local_too_long"),
    ("ö" * 33 + "@b.example", "local_too_long"),
    ('"' + "a" * 63 + '"@b.example', "local_too_long"),
    (f"a@{LABEL_63}a.example", "label_too_long"),
    (f"a@b.{LABEL_63}a", "label_too_long"),
    ("a@" + "ü" * 60 + ".example", "label_too_long"),
    ("a@" + ".".join([LABEL_63] * 4), "address_too_long"),
    ("a@" + ".".join([LABEL_63] * 4) + ".ab", "domain_too_long"),
    ("a" * 64 + "@" + ".".join([LABEL_63] * 3), "address_too_long"),
    ("a" * 2000 + "@b.example", "address_too_long"),
    ("n" * 256 + " <a@b.example>", "name_too_long"),
    ("a\r\nBcc: x@y.example@b.example", "control_character"),
    ("a@b.example\n", "control_character"),
    ("a@b.example\r", "control_character"),
    ("a\0@b.example", "control_character"),
    ("a\t@b.example", "control_character"),
    ("a\x7f@b.example", "control_character"),
    ("a\x85@b.example", "control_character"),
    ("a\u2028@b.example", "control_character"),
    ("Name\r\nX: y <a@b.example>", "control_character"),
    ('"Name\n" <a@b.example>', "control_character"),
    ("a\ud800@b.example", "invalid_character"),
    ("\udfff <a@b.example>", "invalid_character"),
    ("a\u200b@b.example", "invalid_character"),
    ("a\u202eb@b.example", "invalid_character"),
    ("a\u00a0b@b.example", "invalid_character"),
    ("a\ue000b@b.example", "invalid_character"),
    (" a@b.example", "whitespace"),
    ("a@b.example ", "whitespace"),
    ("a b@b.example", "whitespace"),
    ("a@b example.com", "whitespace"),
    ("Name < a@b.example>", "whitespace"),
    (".a@b.example", "invalid_local_part"),
    ("a.@b.example", "invalid_local_part"),
    ("a..b@b.example", "invalid_local_part"),
    ("a@b@b.example", "invalid_local_part"),
    ("a;b@b.example", "invalid_local_part"),
    ("\u037e@b.example", "invalid_local_part"),  # NFC turns GREEK QUESTION MARK into a semicolon
    ('"a"b@b.example', "invalid_local_part"),
    (r'"\ö"@b.example', "invalid_local_part"),
    ('"a@b.example', "unclosed_quote"),
    ('"Name <a@b.example>', "unclosed_quote"),
    ('"a".b@b.example', "obsolete_syntax"),
    ("a@b", "single_label_domain"),
    ("a@localhost", "single_label_domain"),
    ("a@b.example.", "trailing_dot"),
    ("a@例え。", "trailing_dot"),
    ("a@.example", "invalid_domain"),
    ("a@b..example", "invalid_domain"),
    ("a@-b.example", "invalid_domain"),
    ("a@b-.example", "invalid_domain"),
    ("a@b.-example", "invalid_domain"),
    ("a@b.-c", "invalid_domain"),
    ("a@b.example-", "invalid_domain"),
    ("a@b_c.example", "invalid_domain"),
    ("a@b/c.example", "invalid_domain"),
    ("a@192.0.2.1", "numeric_domain"),
    ("a@b.123", "numeric_domain"),
    ("a@[192.0.2.1]", "domain_literal"),
    ("a@[IPv6:2001:db8::1]", "domain_literal"),
    ('"a"@[192.0.2.1]', "domain_literal"),
    ("a@xn--.example", "invalid_idn"),
    ("a@xn--a.example", "invalid_idn"),
    ("a@💩.example", "invalid_idn"),
    ("a@a\u0640b.example", "invalid_idn"),
    ("a(comment)@b.example", "comment"),
    ("a@b.example (comment)", "comment"),
    ('"a"@(comment)b.example', "comment"),
    ("Name (comment) <a@b.example>", "comment"),
    ("=?utf-8?q?J=C3=B6rg?= <a@b.example>", "encoded_name"),
    ('"=?UTF-8?B?SsO2cmc=?=" <a@b.example>', "encoded_name"),
    ("Team: a@b.example, c@d.example;", "group"),
    ("Team: A <a@b.example>;", "group"),
    ("undisclosed-recipients:;", "group"),
    ("@relay.example:a@b.example", "source_route"),
    ("<@relay.example,@r2.example:a@b.example>", "source_route"),
    ("a@b.example, c@d.example", "several_addresses"),
    ("A <a@b.example>, c@d.example", "several_addresses"),
    ("Smith, John <a@b.example>", "several_addresses"),
    ("<a@b.example>, <c@d.example>", "several_addresses"),
    ("a@b.example <a@b.example>", "name_needs_quotes"),
    ('"A" B <a@b.example>', "name_needs_quotes"),
    ("Acme: Support <a@b.example>", "name_needs_quotes"),
    ("Name <a@b.example", "unbalanced_angle"),
    ("Name a@b.example>", "unbalanced_angle"),
    ("Name <a@b.example> x", "unbalanced_angle"),
]


@pytest.mark.parametrize(("value", "name", "address", "smtputf8"), ACCEPTED)
def test_accepted(value: str, name: str | None, address: str, smtputf8: bool) -> None:
    mailbox = parse_mailbox(value)
    assert (mailbox.name, mailbox.address, mailbox.smtputf8) == (name, address, smtputf8)
    assert f"{mailbox.local}@{mailbox.domain}" == address
    assert parse_mailbox(address) == mailbox._replace(name=None)


@pytest.mark.parametrize(("value", "code"), REFUSED)
def test_refused(value: str, code: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(value)
    assert caught.value.code == code
    assert_showable(caught.value)


def assert_showable(error: AddressError) -> None:
    assert 10 < len(error.detail) < 300
    assert error.detail.isprintable()
    error.detail.encode()


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("ab\ncd@b.example", ["U+000A LINE FEED", "position 3"]),
        ("a@b.example\r\nBcc: c@d.example", ["U+000D CARRIAGE RETURN", "position 12"]),
        ("\0a@b.example", ["U+0000 NUL", "position 1"]),
        ("a" * 70 + "@b.example", ["70 octets", "limit is 64"]),
        (f"a@{LABEL_63}x.example", ["64 octets", "limit is 63"]),
        ("a@" + ".".join([LABEL_63] * 4), ["257 octets", "limit is 254"]),
        ("a@" + ".".join([LABEL_63] * 4) + ".ab", ["258 octets", "limit is 255"]),
        ("a\u202eb@b.example", ["U+202E RIGHT-TO-LEFT OVERRIDE", "position 2"]),
        ("a(b@b.example", ["parentheses", "plain address"]),
    ],
)
def test_the_message_names_the_place_the_limit_and_the_fix(value: str, parts: list[str]) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(value)
    assert [part for part in parts if part not in caught.value.detail] == []


def test_unicode_domain() -> None:
    assert parse_mailbox("a@MÜNCHEN.example").unicode_domain == "münchen.example"
    assert parse_mailbox("a@b.example").unicode_domain == "b.example"


def test_bare_address_only() -> None:
    assert parse_address('"a>"@b.example').local == '"a>"'
    for value in ("A <a@b.example>", "<a@b.example>"):
        with pytest.raises(AddressError) as caught:
            parse_address(value)
        assert caught.value.code == "name_not_allowed"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Alice@Example.COM", "alice@example.com"),
        ("a+b.c@gmail.com", "a+b.c@gmail.com"),
        ('"Alice"@example.com', "alice@example.com"),
        (r'"A\lice"@example.com', "alice@example.com"),
        (r'"a\ b"@example.com', '"a b"@example.com'),
        (r'"a\"b"@example.com', r'"a\"b"@example.com'),
        ("JÖRG@example.com", "jörg@example.com"),
        ("JO\u0308RG@example.com", "jörg@example.com"),
        ("a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"),
        ("\u0130" * 32 + "@example.com", "i\u0307" * 32 + "@example.com"),
    ],
)
def test_canonical(address: str, key: str) -> None:
    assert canonical(address) == key
    assert canonical(key) == key
    assert parse_mailbox(address).canonical == key


HOSTILE = [
    "a" * 1_000_000,
    "a" * 1_000_000 + "@b.example",
    "a@" + "b" * 1_000_000,
    "a@" + "b." * 500_000 + "example",
    "a@" + "-" * 1_000_000,
    "a." * 500_000 + "@b.example",
    '"' * 1_000_000,
    '"' + "\\" * 1_000_000,
    '"' + "\\a" * 500_000 + "@b.example",
    "(" * 1_000_000 + "a@b.example",
    "<" * 1_000_000,
    "<" * 500_000 + "a@b.example" + ">" * 500_000,
    "@" * 1_000_000,
    "a@" + "ü" * 1_000_000 + ".example",
    "a@" + "\u0300" * 1_000_000,
    "=?" * 500_000,
    " " * 1_000_000,
    " " * 1_000_000 + "<a@b.example>",
    "\n" * 1_000_000,
    "\ud800" * 1_000_000,
    "a@xn--" + "z" * 1_000_000,
    ":" * 1_000_000 + ";",
]


@pytest.mark.timeout(20)  # all of them take milliseconds; a pattern that backtracks would take hours
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:6]))
@pytest.mark.parametrize("length", [1_000_100, 1024, 254])
def test_hostile_strings_are_refused(value: str, length: int) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(value[:length])
    assert_showable(caught.value)


TEXT = st.text(st.characters(), max_size=300)
SHAPED = st.text(
    st.sampled_from('ab.@"\\<>()[],:; -_+=?\r\n\0\t\x7füß用\u0308\u200d\u202e\u037e\u212a\ud800xn1ÀİΣ'), max_size=40
)
LOCAL = st.one_of(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9_+-]{1,20}){0,2}", fullmatch=True),
    st.from_regex(r'"([a-zA-Z0-9 @<>(),:;.!-]|\\[ -~]){0,20}"', fullmatch=True),
    st.text(st.characters(categories=["L", "N", "S", "M"]), min_size=1, max_size=12),
)
DOMAIN = st.one_of(
    st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?\.){1,4}[A-Za-z]{1,10}", fullmatch=True),
    st.from_regex(r"[a-zäöüßéèñ用户例えδοκιμή]{1,10}\.(example|テスト|испытание)", fullmatch=True),
)
NAME = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40)


def read(value: str) -> Mailbox | None:
    try:
        return parse_mailbox(value)
    except AddressError as error:
        assert_showable(error)
        return None


@given(
    st.one_of(TEXT, SHAPED, st.builds("{}@{}".format, SHAPED, SHAPED), st.builds("{}<{}@{}>".format, NAME, LOCAL, TEXT))
)
def test_nothing_but_address_error_and_nothing_unsafe(value: str) -> None:
    mailbox = read(value)
    if mailbox is not None:
        assert_safe(mailbox)


@given(NAME, LOCAL, DOMAIN)
@example("", "\u1fef", "a.example")
def test_round_trip(name: str, local: str, domain: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    mailbox = read(f"{quoted} <{local}@{domain}>")
    if mailbox is None:
        return
    assert_safe(mailbox)
    assert mailbox.name == (name.strip(" ") or None)
    assert parse_mailbox(format_mailbox(mailbox)) == mailbox
    assert parse_mailbox(mailbox.address) == mailbox._replace(name=None)
    assert mailbox.local == unicodedata.normalize("NFC", local)
    assert to_ascii(to_unicode(mailbox.domain)) == mailbox.domain
    assert canonical(mailbox.canonical) == mailbox.canonical
    assert canonical(mailbox.address) == mailbox.canonical


@given(st.builds("{}@{}".format, st.one_of(LOCAL, SHAPED), st.one_of(DOMAIN, st.from_regex(r"[a-cX0-9.-]{1,70}"))))
@example("a@b.-c")
@example("a@xn--a.example")
@example("a" * 65 + "@b.example")
@example("a@b." + "c" * 64)
def test_the_fast_path_says_what_the_slow_path_says(value: str) -> None:
    fast = read(value)
    try:
        slow = _parse_slow(value)
    except AddressError:
        slow = None
    assert fast == slow


@given(st.one_of(TEXT, SHAPED))
def test_canonical_raises_nothing_else(value: str) -> None:
    try:
        key = canonical(value)
    except AddressError as error:
        assert_showable(error)
    else:
        assert canonical(key) == key


def assert_safe(mailbox: Mailbox) -> None:
    """What the sender relies on, stated without the parser's own patterns."""
    for text in (mailbox.name or "", mailbox.address):
        assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)
    assert mailbox.domain == mailbox.domain.lower()
    assert mailbox.domain.isascii()
    assert len(mailbox.address.encode()) <= 254
    assert 1 <= len(mailbox.local.encode()) <= 64
    labels = mailbox.domain.split(".")
    assert len(labels) >= 2
    assert all(re.fullmatch("[a-z0-9-]{1,63}", label) and label[0] != "-" != label[-1] for label in labels)
    assert mailbox.smtputf8 is (not mailbox.local.isascii())
    assert unicodedata.is_normalized("NFC", mailbox.local)
    if not mailbox.local.startswith('"'):
        assert not set(mailbox.local) & set(' ()<>[]:;@\\,"')
