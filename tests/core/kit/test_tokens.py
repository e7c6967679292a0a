"""Tokens in links: they open with the key and the purpose they were made for, and not once they are changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.tokens import MAX_TOKEN, TokenBox

KEY, OTHER = b"k" * 32, b"o" * 32
BOX = TokenBox([KEY], "unsubscribe")


@given(st.binary(min_size=1, max_size=200))
def test_a_token_is_short_stable_and_opens(content: bytes) -> None:
    token = BOX.seal(content)
    assert BOX.seal(content) == token
    assert BOX.open(token) == content
    assert len(token) == -(-(len(content) + 18) * 4 // 3)


def test_nothing_can_be_read_from_it() -> None:
    assert "YWRh" not in BOX.seal(b"ada" * 10)  # its base64


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_one_does_not_open(place: int, change: int) -> None:
    token = BOX.seal(b"sixteen octets..and some more")
    place %= len(token) - 1  # the last character has unused bits
    changed = token[:place] + chr((ord(token[place]) + change) % 128) + token[place + 1 :]
    assert changed == token or BOX.open(changed) is None


@given(st.text(max_size=300))
def test_what_is_no_token_does_not_open(text: str) -> None:
    assert BOX.open(text) is None


def test_odd_lengths_do_not_open() -> None:
    assert BOX.open("A" * (MAX_TOKEN + 1)) is None
    assert BOX.open(BOX.seal(b"x")[:-3]) is None
    assert BOX.open("") is None


def test_tokens_of_another_purpose_do_not_open() -> None:
    assert TokenBox([KEY], "click").open(BOX.seal(b"content")) is None


def test_a_replaced_key_opens_what_it_made_until_it_is_dropped() -> None:
    old = BOX.seal(b"content")
    both = SecretBox([OTHER, KEY]).tokens("unsubscribe")
    assert both.open(old) == b"content"
    assert both.seal(b"content") != old
    assert SecretBox([OTHER]).tokens("unsubscribe").open(old) is None
