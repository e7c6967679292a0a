"""The verifier, judged against dkimpy: what dkimpy signs passes, and both agree on every broken variant."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_core.kit.dns import NameNotFound
from penguinmails_sender.inbox.verdict import SignatureVerdict, overall, verify
from tests.sender.inbox.samples import ed25519_key, ed25519_record, pem, raw, rsa_key, rsa_record, simple

NAME = "s1._domainkey.acme.test"
MAIL = raw(simple("Grüße  aus   der Ferne", "Hello   world \n\n.dot\n\n\n"))


def sign(
    message: bytes, mode: bytes = b"relaxed/relaxed", algorithm: bytes = b"rsa-sha256", **options: object
) -> bytes:
    """The signed message, by dkimpy."""
    if algorithm == b"rsa-sha256":
        key = pem(rsa_key())
    else:
        key = base64.b64encode(ed25519_key().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    header_mode, body_mode = mode.split(b"/")
    made: bytes = dkim.sign(
        message,
        b"s1",
        b"acme.test",
        key,
        canonicalize=(header_mode, body_mode),
        signature_algorithm=algorithm,
        **options,
    )
    return made + message


def record(algorithm: bytes = b"rsa-sha256") -> bytes:
    return rsa_record(rsa_key()) if algorithm == b"rsa-sha256" else ed25519_record(ed25519_key())


async def check(message: bytes, *records: bytes) -> list[SignatureVerdict]:
    async def txt(name: str) -> list[bytes]:
        return list(records) if name == NAME else []

    return await verify(message, txt)


def dkimpy_says(message: bytes, key: bytes) -> bool:
    return bool(dkim.verify(message, dnsfunc=lambda name, timeout=5: key))


MODES = [b"relaxed/relaxed", b"simple/simple", b"relaxed/simple", b"simple/relaxed"]
ALGORITHMS = [b"rsa-sha256", b"ed25519-sha256"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("mode", MODES)
async def test_passes_what_dkimpy_signs(mode: bytes, algorithm: bytes) -> None:
    (result,) = await check(sign(MAIL, mode, algorithm), record(algorithm))
    assert result == SignatureVerdict("acme.test", "s1", algorithm.decode(), "pass", "signature verified")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"world", b"World"),
        (b"Hello   world", b"Hello world"),
        (b"world \r\n", b"world\r\n"),
        (b"\r\n\r\n\r\n", b"\r\n"),
        (b"From: ada", b"From: eve"),
        (b"From: ada", b"FROM:  ada"),
        (b"To: grace", b"To:\r\n grace"),
        (b"Message-ID: <1@", b"Message-ID: <2@"),
        (b"d=acme.test", b"d=acme.test "),
    ],
)
async def test_agrees_with_dkimpy_on_changes(mode: bytes, before: bytes, after: bytes) -> None:
    signed = sign(MAIL, mode)
    changed = signed.replace(before, after)
    assert changed != signed
    (result,) = await check(changed, record())
    assert (result.verdict == "pass") == dkimpy_says(changed, record()), result
    assert result.verdict in ("pass", "fail")


@settings(max_examples=60, deadline=None)
@given(body=st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"\r", b".", b"\xc3\xa9"]), max_size=12))
async def test_agrees_with_dkimpy_on_odd_bodies(body: list[bytes]) -> None:
    # Over SMTP a message always ends with CRLF; dkimpy keeps white space before an end without one.
    message = b"From: ada@acme.test\r\nSubject: \t x\r\n\r\n" + b"".join(body) + b"\r\n"
    for mode in (b"relaxed/relaxed", b"simple/simple"):
        signed = sign(message, mode, b"ed25519-sha256")
        (result,) = await check(signed, record(b"ed25519-sha256"))
        assert result.verdict == "pass", (mode, result)


async def test_no_signature_is_none() -> None:
    results = await check(MAIL, record())
    assert results == []
    assert overall(results) == "none"


async def test_reasons_name_what_is_wrong() -> None:
    signed = sign(MAIL)
    (body,) = await check(signed + b"more\r\n", record())
    assert (body.verdict, body.reason[:24]) == ("fail", "body hash did not verify")
    (header,) = await check(signed.replace(b"From: ada", b"From: eve"), record())
    assert (header.verdict, header.reason[:24]) == ("fail", "signature did not verify")
    (absent,) = await check(signed)
    assert (absent.verdict, absent.reason) == ("permerror", f"no key for {NAME}")
    (other,) = await check(signed, rsa_record(rsa_key(1024)))
    assert (other.verdict, other.reason[:24]) == ("fail", "signature did not verify")


async def test_lookups_that_fail() -> None:
    async def down(name: str) -> list[bytes]:
        raise OSError("no route")

    async def missing(name: str) -> list[bytes]:
        raise NameNotFound(name, "NXDOMAIN")

    (result,) = await verify(sign(MAIL), down)
    assert (result.verdict, result.reason) == ("temperror", f"looking up {NAME} failed (OSError)")
    (result,) = await verify(sign(MAIL), missing)
    assert (result.verdict, result.reason) == ("permerror", f"no key for {NAME}")


@pytest.mark.parametrize(
    ("key", "verdict", "part"),
    [
        (b"v=DKIM1; p=", "permerror", "revoked"),
        (b"v=DKIM1", "permerror", "no key (p=)"),
        (b"v=DKIM2; p=AAAA", "permerror", "not a DKIM key"),
        (b"hello", "permerror", "not a list"),
        (b"v=DKIM1; p=%%%", "permerror", "not base64"),
        (b"v=DKIM1; p=AAAA", "permerror", "cannot be read"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "permerror", "is ed25519"),
        (rsa_record(rsa_key(), "h=sha1; "), "permerror", "does not allow sha256"),
        (rsa_record(rsa_key(), "s=tlsrpt; "), "permerror", "not for email"),
        (rsa_record(rsa_key(), "t=s; "), "pass", "verified"),
        (rsa_record(rsa_key(), "t=y; "), "pass", "test mode"),
        (rsa_record(rsa_key(), "s=*; h=sha1:sha256; "), "pass", "verified"),
    ],
)
async def test_keys(key: bytes, verdict: str, part: str) -> None:
    (result,) = await check(sign(MAIL), key)
    assert result.verdict == verdict, result
    assert part in result.reason


async def test_two_records_are_an_error() -> None:
    (result,) = await check(sign(MAIL), record(), record())
    assert (result.verdict, result.reason) == ("permerror", f"2 records at {NAME}; there must be one")


async def test_short_rsa_key_fails() -> None:
    short = base64.b64decode(
        "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL8eJ5AKoIsjURpcEoGubZMxLD7+kT+TLr7UkvEtFrRhDDKMtuIIq19FrL4pUIMymPMSLBn3hJLe30Dw48GQM4UCAwEAAQ=="
    )
    (result,) = await check(sign(MAIL), b"v=DKIM1; p=" + base64.b64encode(short))
    assert result.verdict == "fail"
    assert "512 bits" in result.reason


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        (b"v=1;", b"", "v= is missing"),
        (b"v=1;", b"v=2;", "version"),
        (b"v=1;", b"v=1; v=1;", "twice"),
        (b"v=1;", b"v=1; l=5;", "l="),
        (b"v=1;", b"v=1; x=5; t=6;", "before it was made"),
        (b"v=1;", b"v=1; x=never;", "not a time"),
        (b"q=dns/txt", b"q=http", "query method"),
        (b"i=@acme.test", b"i=@other.test", "identity"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "rsa-sha1"),
        (b"c=relaxed/", b"c=loose/", "canonicalization"),
        (b"v=1;", b"v=1; nonsense;", "not a list"),
    ],
)
async def test_signatures_that_cannot_be_checked(before: bytes, after: bytes, part: str) -> None:
    signed = sign(MAIL).replace(b" t=", b" tt=", 1)
    assert before in signed
    (result,) = await check(signed.replace(before, after, 1), record())
    assert result.verdict == "permerror", result
    assert part in result.reason


async def test_expired_signature_fails() -> None:
    (result,) = await check(sign(MAIL).replace(b" t=", b" x=", 1), record())
    assert result.verdict in ("fail", "permerror")


async def test_from_must_be_signed() -> None:
    signed = sign(MAIL)
    head, _, rest = signed.partition(b" h=")
    (result,) = await check(head + b" h=to:subject;" + rest.partition(b";")[2], record())
    assert (result.verdict, result.reason) == ("permerror", "the From header is not signed (h=)")


async def test_an_added_second_from_is_noticed_when_oversigned() -> None:
    signed = sign(MAIL, include_headers=[b"from", b"from", b"to", b"subject"])
    (result,) = await check(signed, record())
    assert result.verdict == "pass"
    (result,) = await check(signed.replace(b"From: ada", b"From: eve@evil.test\r\nFrom: ada", 1), record())
    assert result.verdict == "fail"


async def test_two_signatures_and_the_overall_verdict() -> None:
    twice = sign(sign(MAIL), algorithm=b"ed25519-sha256")

    async def txt(name: str) -> list[bytes]:
        return [record(b"rsa-sha256")]

    results = await verify(twice, txt)
    assert [(result.algorithm, result.verdict) for result in results] == [
        ("ed25519-sha256", "permerror"),
        ("rsa-sha256", "pass"),
    ]
    assert overall(results) == "pass"
    assert overall(results[:1]) == "permerror"


async def test_many_signatures_are_bounded() -> None:
    signed = sign(MAIL)
    field = signed[: signed.index(b"From:")]
    results = await check(field * 30 + MAIL, record())
    assert len(results) == 11
    assert "first 10 of 30" in results[-1].reason
