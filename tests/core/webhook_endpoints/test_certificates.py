"""Client certificates: what is taken, what is refused and why, and that no error tells the key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from penguinmails_core.webhook_endpoints.certificates import MAX_PEM, UnusableCertificate, check_certificate, describe
from tests.fixtures.certificates import key_pem, make_certificate

PAIR = make_certificate()
OTHER = make_certificate("other")


def test_taken_and_described() -> None:
    chain, key = check_certificate("noise before\n" + PAIR[0] + OTHER[0], PAIR[1])
    assert chain.count("BEGIN CERTIFICATE") == 2
    assert key.startswith("-----BEGIN PRIVATE KEY-----")
    assert check_certificate(chain, key) == (chain, key)
    info = describe(chain)
    assert (info.subject, info.issuer, info.serial_number) == ("CN=penguinmails", "CN=penguinmails", "4f9a")
    assert len(info.fingerprint) == 64
    assert info.not_before < info.expires_at


def test_rsa() -> None:
    check_certificate(*make_certificate(key=rsa.generate_private_key(65537, 2048)))


@pytest.mark.parametrize(
    ("make", "pointer", "code"),
    [
        (lambda: ("", PAIR[1]), "certificate", "invalid_certificate"),
        (lambda: ("\0\ud800", PAIR[1]), "certificate", "invalid_certificate"),
        (lambda: (PAIR[1], PAIR[1]), "certificate", "invalid_certificate"),
        (lambda: (PAIR[0].replace("M", "N", 1), PAIR[1]), "certificate", "invalid_certificate"),
        (lambda: (PAIR[0] * 6, PAIR[1]), "certificate", "too_many"),
        (lambda: ("x" * (MAX_PEM + 1), PAIR[1]), "certificate", "too_long"),
        (lambda: make_certificate(days=-1), "certificate", "expired"),
        (lambda: make_certificate(since=5), "certificate", "not_yet_valid"),
        (lambda: (PAIR[0], OTHER[1]), "private_key", "key_mismatch"),
        (lambda: (PAIR[0], ""), "private_key", "invalid_key"),
        (lambda: (PAIR[0], "\ud800"), "private_key", "invalid_key"),
        (lambda: (PAIR[0], PAIR[0]), "private_key", "invalid_key"),
        (lambda: (PAIR[0], "x" * (MAX_PEM + 1)), "private_key", "too_long"),
        (
            lambda: (PAIR[0], key_pem(ec.generate_private_key(ec.SECP256R1()), b"secret")),
            "private_key",
            "encrypted_key",
        ),
        (lambda: make_certificate(key=rsa.generate_private_key(65537, 1024)), "private_key", "weak_key"),
    ],
)
def test_refused_with_the_reason(make: Callable[[], tuple[str, str]], pointer: str, code: str) -> None:
    certificate, key = make()
    with pytest.raises(UnusableCertificate) as caught:
        check_certificate(certificate, key)
    [error] = caught.value.errors
    assert (error.pointer, error.code) == (f"/client_certificate/{pointer}", code)
    assert len(key) < 60 or key[30:60] not in str(caught.value)
