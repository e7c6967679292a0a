"""What the secrets of others look like."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from penguinmails_core.inbound.records import SettingsError
from penguinmails_webhooks.inbound.claims import ED25519, PLAIN, Key
from penguinmails_webhooks.signing import SecretError, decode_secret, generate_secret

_LEAST, _MOST = 8, 500  # characters
_PUBLIC = "whpk_"


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` raises `SettingsError`; `key` turns a checked secret into what is computed with; `new` makes one, where
    the receiver may choose it."""

    check: Callable[[str], None]
    key: Callable[[str], Key]
    new: Callable[[], str] | None = None


def _text(secret: str) -> None:
    if not _LEAST <= len(secret) <= _MOST:
        raise SettingsError("secret", f"a secret has {_LEAST} to {_MOST} characters, this one {len(secret)}")
    if secret != secret.strip() or not secret.isprintable():
        raise SettingsError("secret", "the secret begins or ends with a space, or holds a line break: copy it again")


def _pair(secret: str) -> None:
    _text(secret)
    user, colon, password = secret.partition(":")
    if not colon or not user or len(password) < _LEAST:
        raise SettingsError("secret", f"write user:password, with a password of at least {_LEAST} characters")


def _standard(secret: str) -> None:
    if secret.startswith("v1,"):
        raise SettingsError("secret", "leave out `v1,`: the secret starts with whsec_ or whpk_")
    try:
        _standard_key(secret)
    except SecretError as error:
        raise SettingsError("secret", f"{error}, or whpk_ and an Ed25519 public key in base64") from None


def _standard_key(secret: str) -> Key:
    if not secret.startswith(_PUBLIC):
        return "hmac", decode_secret(secret)
    try:
        key = base64.b64decode(secret.removeprefix(_PUBLIC), validate=True)
        Ed25519PublicKey.from_public_bytes(key)
    except (binascii.Error, ValueError):
        raise SecretError("a public key is whpk_ followed by base64 of 32 octets") from None
    return ED25519, key


def _hmac_key(secret: str) -> Key:
    return "hmac", secret.encode()


def _plain_key(secret: str) -> Key:
    return PLAIN, secret.encode()


def _new_text() -> str:
    return secrets.token_urlsafe(32)


def _new_pair() -> str:
    return f"penguinmails:{secrets.token_urlsafe(32)}"


STANDARD = Rule(_standard, _standard_key, generate_secret)
STANDARD_OF_SENDER = Rule(_standard, _standard_key)
OF_SENDER = Rule(_text, _hmac_key)
CHOSEN = Rule(_text, _hmac_key, _new_text)
PASSWORD = Rule(_pair, _plain_key, _new_pair)
TOKEN = Rule(_text, _plain_key, _new_text)
