"""Recovery codes: ten one-time ways in for who lost the second factor."""

from __future__ import annotations

import secrets
from hashlib import sha256

COUNT = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_LENGTH = 16  # 79 bits: past guessing, so a plain SHA-256 is enough


def new_codes() -> list[str]:
    """Ten codes such as ``k7fd-2mwp-x9qa-3hte``, to be shown once."""
    codes = []
    for _ in range(COUNT):
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        codes.append("-".join(letters[start : start + 4] for start in range(0, _LENGTH, 4)))
    return codes


def digest(code: str) -> bytes:
    """Case, spaces and dashes do not matter: people copy codes from paper."""
    letters = "".join(character for character in code.lower() if character.isalnum())
    return sha256(letters.encode()).digest()
