"""Sealed secrets and the format of API keys."""

from __future__ import annotations

import base64
import os

import pytest

from penguinmails_core.kit.crypto import (
    CryptoError,
    SecretBox,
    api_key_well_formed,
    hash_api_key,
    new_api_key,
    new_secret_key,
    parse_secret_keys,
)

OLD, NEW = os.urandom(32), os.urandom(32)


def test_seal_and_open() -> None:
    box = SecretBox([NEW])
    sealed = box.seal(b"dkim", b"row 1")
    assert b"dkim" not in sealed
    assert box.open(sealed, b"row 1") == b"dkim"
    assert box.seal(b"dkim", b"row 1") != sealed


def test_a_rotated_key_still_opens_old_values_and_seals_no_new_ones() -> None:
    sealed = SecretBox([OLD]).seal(b"x", b"")
    assert SecretBox([NEW, OLD]).open(sealed, b"") == b"x"
    fresh = SecretBox([NEW, OLD]).seal(b"x", b"")
    with pytest.raises(CryptoError, match="not in PENGUINMAILS_SECRET_KEYS"):
        SecretBox([OLD]).open(fresh, b"")


@pytest.mark.parametrize("position", [0, 3, 8, 20, -1])
def test_a_changed_value_does_not_open(position: int) -> None:
    box = SecretBox([NEW])
    sealed = bytearray(box.seal(b"secret", b"row"))
    sealed[position] ^= 1
    with pytest.raises(CryptoError):
        box.open(bytes(sealed), b"row")


def test_a_value_copied_to_another_row_does_not_open() -> None:
    box = SecretBox([NEW])
    with pytest.raises(CryptoError, match="another row"):
        box.open(box.seal(b"secret", b"row 1"), b"row 2")


def test_keys_from_the_configuration() -> None:
    first, second = new_secret_key(), new_secret_key()
    assert [len(key) for key in parse_secret_keys(f"{first}, {second},")] == [32, 32]
    with pytest.raises(CryptoError, match="key 2"):
        parse_secret_keys(f"{first},not base64")
    with pytest.raises(CryptoError, match="32 bytes"):
        SecretBox([base64.b64decode("c2hvcnQ=")])
    with pytest.raises(CryptoError, match="no encryption key"):
        SecretBox([])


@pytest.mark.parametrize("mode", ["live", "test"])
def test_api_keys_carry_a_checksum(mode: str) -> None:
    key = new_api_key(mode)
    assert key.startswith(f"pm_{mode}_")
    assert api_key_well_formed(key)
    for position in (8, 20, 45):
        other = "a" if key[position] != "a" else "b"
        assert not api_key_well_formed(key[:position] + other + key[position + 1 :])
    assert len(hash_api_key(key)) == 32
    assert not api_key_well_formed("")
    assert not api_key_well_formed("sk_live_" + key[8:])
