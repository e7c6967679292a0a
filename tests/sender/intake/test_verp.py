"""Return paths: short enough, the same in any case, and nobody else can make one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import new_uuid
from penguinmails_sender.intake.verp import Kind, Verp

OLD, NEW = b"o" * 32, b"n" * 32
VERP = Verp(SecretBox([NEW]), "Bounces.Penguins.example")


@given(st.sampled_from(Kind), st.uuids(), st.uuids())
def test_a_token_comes_back_as_it_went(kind: Kind, organization: UUID, wanted: UUID) -> None:
    address = VERP.address(VERP.token(kind, organization, wanted), "acme.test")
    local, _, domain = address.rpartition("@")
    assert len(local) <= 64  # RFC 5321 §4.5.3.1.1
    assert domain == "bounces.penguins.example"
    assert local == local.lower()
    assert local.replace("+", "").isalnum()
    for seen in (address, address.upper(), address.title()):
        token = VERP.read_address(seen)
        assert token is not None
        assert (token.kind, token.id) == (kind, wanted)
        assert token.first <= organization <= token.last


def test_without_a_domain_of_the_operator_it_is_the_sender_s() -> None:
    assert Verp(SecretBox([NEW])).address("x", "acme.test") == "b+x@acme.test"


def test_a_token_with_any_other_character_is_none() -> None:
    token = VERP.token(Kind.RECIPIENT, new_uuid(), new_uuid())
    for place in range(len(token)):
        for other in "abcdefghijklmnopqrstuvwxyz234567":
            if other != token[place]:
                assert VERP.read(token[:place] + other + token[place + 1 :]) is None


@pytest.mark.parametrize("local", ["", "b+", "b+x", "b+" + "a" * 61, "b+" + "1" * 61, "b+" + "é" * 61, "bounces"])
def test_what_is_no_token(local: str) -> None:
    assert VERP.read_address(f"{local}@bounces.penguins.example") is None


def test_keys_rotate() -> None:
    wanted = new_uuid()
    token = Verp(SecretBox([OLD])).token(Kind.MESSAGE, new_uuid(), wanted)
    rotated = Verp(SecretBox([NEW, OLD]))
    found = rotated.read(token)
    assert found is not None
    assert found.id == wanted
    assert rotated.token(Kind.MESSAGE, new_uuid(), wanted) != token
    assert VERP.read(token) is None, "its key is gone"


def test_keys_are_not_those_of_secrets_at_rest() -> None:
    box = SecretBox([NEW])
    assert NEW not in box.derive("return path")
    assert box.derive("return path") != box.derive("something else")
