"""Our signatures as an independent verifier (dkimpy) sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_sender.dkim import DkimKey, DkimKeyError, sign
from penguinmails_sender.dkim.relaxed import relaxed_body
from penguinmails_sender.message import Mailbox, OutgoingMessage
from penguinmails_sender.mime import build
from tests.sender import strategies

RSA = DkimKey.generate("rsa", selector="s1", domain="example.com")
ED25519 = DkimKey.generate("ed25519", selector="e1", domain="example.com")
NOW = 1_700_000_000
MESSAGE = OutgoingMessage(
    message_id="01h@example.com",
    date=datetime(2026, 1, 2, tzinfo=UTC),
    from_=Mailbox("a@example.com", "Ann"),
    to=(Mailbox("b@example.net"),),
    subject="Hello",
    text="Hello\r\n\r\n  two  spaces \t\r\n\r\n\r\n",
    headers=(
        ("List-Unsubscribe", "<https://u.example.com/1>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("X-Other", "not signed"),
    ),
)


def dns(*keys: DkimKey) -> Callable[..., bytes | None]:
    records = {f"{key.record_name()}.".encode(): key.public_record().encode() for key in keys}

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        return records.get(name)

    return lookup


def verdicts(raw: bytes, *keys: DkimKey) -> list[bool]:
    verifier = dkim.DKIM(raw)
    return [verifier.verify(index, dnsfunc=dns(*keys)) for index in range(len(keys))]


def one_verdict(raw: bytes, key: DkimKey) -> bool:
    try:
        return verdicts(raw, key) == [True]
    except dkim.DKIMException:
        return False


@settings(max_examples=100, deadline=None)
@given(strategies.message, st.booleans())
def test_both_signatures_verify_for_any_message(message: OutgoingMessage, allow_8bit: bool) -> None:
    raw = build(message, allow_8bit=allow_8bit)
    signed = sign(raw, [RSA, ED25519], NOW)

    assert signed.endswith(raw)
    assert verdicts(signed, RSA, ED25519) == [True, True]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"  ", b" \r\n", b"."]), max_size=30).map(b"".join))
def test_any_body_is_made_canonical_as_the_rfc_says(body: bytes) -> None:
    signed = sign(b"From: a@example.com\r\n\r\n" + body + b"\r\n", [ED25519], NOW)

    assert verdicts(signed, ED25519) == [True]


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \r\n\t\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # the example of RFC 6376 §3.4.6
        (b"no line end", b"no line end\r\n"),
        (b"x\n\r\n", b"x\n\r\n"),
    ],
)
def test_relaxed_body(body: bytes, canonical: bytes) -> None:
    assert relaxed_body(body) == canonical


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_one_changed_octet_breaks_the_signature(key: DkimKey) -> None:
    signed = sign(build(MESSAGE), [key], NOW)
    assert one_verdict(signed, key)

    for name in (b"Subject: Hello", b"One-Click", b"Message-ID: <01h", b"\r\n\r\nHello", b"two", b"t=1700"):
        end = signed.index(name) + len(name)
        changed = signed[: end - 1] + bytes([signed[end - 1] ^ 1]) + signed[end:]
        assert not one_verdict(changed, key), name
    assert one_verdict(signed.replace(b"not signed", b"changed it"), key)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_a_second_from_breaks_the_signature(key: DkimKey) -> None:
    assert not one_verdict(b"From: evil@example.org\r\n" + sign(build(MESSAGE), [key], NOW), key)


def test_another_key_does_not_verify() -> None:
    other = DkimKey.generate("ed25519", selector="e1", domain="example.com")
    assert not one_verdict(sign(build(MESSAGE), [other], NOW), ED25519)


def test_the_field_is_folded_and_lists_what_is_signed() -> None:
    signed = sign(build(MESSAGE), [RSA], NOW)
    field = signed[: signed.index(b"\r\nFrom:")]

    assert max(map(len, field.split(b"\r\n"))) <= 78
    tags = dict(tag.strip().split("=", 1) for tag in field.decode().partition(":")[2].replace("\r\n", "").split(";"))
    assert tags["h"].replace(" ", "").split(":") == [
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
        "List-Unsubscribe", "List-Unsubscribe-Post", "From",
    ]  # fmt: skip
    assert (tags["t"], tags["d"], tags["s"], tags["c"]) == (str(NOW), "example.com", "s1", "relaxed/relaxed")


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_a_stored_key_signs_as_before(key: DkimKey) -> None:
    again = DkimKey.from_private(key.private_der(), key.selector, key.domain)
    assert again.public_record() == key.public_record()
    assert one_verdict(sign(build(MESSAGE), [again], NOW), key)


@pytest.mark.parametrize(("selector", "domain"), [("s1; d=evil", "example.com"), ("s1", "a\r\nb"), ("", "example.com")])
def test_a_selector_or_domain_that_is_no_dns_name_is_refused(selector: str, domain: str) -> None:
    with pytest.raises(DkimKeyError, match="DNS name"):
        DkimKey.generate("ed25519", selector=selector, domain=domain)


def test_bad_private_keys_are_refused() -> None:
    with pytest.raises(DkimKeyError, match="PKCS #8"):
        DkimKey.from_private(b"nonsense", "s1", "example.com")


def test_what_is_not_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="From"):
        sign(b"To: x@example.com\r\n\r\n", [ED25519], NOW)
    with pytest.raises(ValueError, match="empty line"):
        sign(b"From: x@example.com", [ED25519], NOW)
    assert sign(b"x", [], NOW) == b"x"
