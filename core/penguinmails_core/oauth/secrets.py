"""Random credentials of the OAuth server. Only their SHA-256 is stored: each holds at least 200 random bits.

Letters and digits only (and `_`): clients encode the rest of ASCII in HTTP Basic in different ways (RFC 6749 §2.3.1).
The prefix lets secret scanners, and people, tell what they found.
"""

from __future__ import annotations

import secrets
import string
from enum import StrEnum
from hashlib import sha256

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 40  # 238 bits

# No vowels, so that no words come out, and nothing that looks like something else (RFC 8628 §6.1); 34 bits.
_USER_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"


class Kind(StrEnum):
    CLIENT_SECRET = "pmcs_"  # noqa: S105  (a prefix)
    CODE = "pmac_"
    REFRESH_TOKEN = "pmrt_"  # noqa: S105  (a prefix)
    DEVICE_CODE = "pmdc_"
    REGISTRATION_TOKEN = "pmra_"  # noqa: S105  (a prefix)
    INTERACTION = "pmin_"
    REQUEST = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 §2.2


def new_secret(kind: Kind) -> str:
    return kind + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def hint(secret: str) -> str:
    """Enough to tell two secrets apart."""
    return secret[:9] + "…" + secret[-4:]


def new_user_code() -> str:
    """Eight letters, as stored; people see ``BCDF-GHJK``."""
    return "".join(secrets.choice(_USER_CODE_ALPHABET) for _ in range(8))


def show_user_code(code: str) -> str:
    return f"{code[:4]}-{code[4:]}"


def parse_user_code(text: str) -> str | None:
    """What a person typed, whatever the case and whatever stands between; None when it cannot be a code."""
    code = "".join(character for character in text.upper() if character.isalnum())
    return code if len(code) == 8 and set(code) <= set(_USER_CODE_ALPHABET) else None
