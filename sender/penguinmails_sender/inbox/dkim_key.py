"""DKIM keys: reading the TXT record and checking a signature with it (RFC 6376 §3.6.1, RFC 8301, RFC 8463)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from penguinmails_sender.inbox.dkim_tags import SignatureError, decode_base64, parse_tags

MIN_RSA_BITS = 1024  # RFC 8301 §3.2


@dataclass(frozen=True, slots=True)
class Key:
    """A usable public key; `testing` is the flag t=y."""

    public: RSAPublicKey | Ed25519PublicKey
    testing: bool


def read_key(record: bytes, name: str, signature: dict[str, str]) -> Key:
    """The key in the TXT record at `name`, if it may be used for a signature with these tags.

    Raises SignatureError: permerror for a record that cannot be read or does not fit, fail for a short key.
    """
    try:
        tags = parse_tags(record.decode("utf-8", "replace"))
    except SignatureError as error:
        raise SignatureError("permerror", f"the record at {name} is {error.reason}") from None
    if tags.get("v", "DKIM1") != "DKIM1":
        raise SignatureError("permerror", f"the record at {name} is not a DKIM key (v=)")
    if "p" not in tags:
        raise SignatureError("permerror", f"the record at {name} holds no key (p=)")
    if not tags["p"]:
        raise SignatureError("permerror", f"the key at {name} was revoked (p= is empty)")
    _check_use(tags, name, signature)
    flags = _words(tags.get("t", ""))
    identity = signature.get("i", "@" + signature["d"]).rpartition("@")[2].lower()
    if "s" in flags and identity != signature["d"].lower():
        raise SignatureError("permerror", f"the key at {name} does not allow subdomains in i= (t=s)")
    return Key(_load(decode_base64(tags["p"], "p"), tags.get("k", "rsa").lower(), name), "y" in flags)


def check_signature(key: Key, signature: bytes, data: bytes) -> None:
    """Raises SignatureError (fail) when `signature` is not that of `data`, the canonical headers."""
    try:
        if isinstance(key.public, RSAPublicKey):
            key.public.verify(signature, data, PKCS1v15(), SHA256())
        else:
            key.public.verify(signature, hashlib.sha256(data).digest())  # RFC 8463 §3: Ed25519 over the hash
    except InvalidSignature:
        reason = "signature did not verify: a signed header was changed, or the published key is another one"
        raise SignatureError("fail", reason) from None


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(":")]


def _check_use(tags: dict[str, str], name: str, signature: dict[str, str]) -> None:
    kind = tags.get("k", "rsa").lower()
    if kind != signature["a"].lower().partition("-")[0]:
        raise SignatureError("permerror", f"the key at {name} is {kind[:20]}, the signature {signature['a']}")
    if "h" in tags and "sha256" not in _words(tags["h"]):
        raise SignatureError("permerror", f"the key at {name} does not allow sha256 (h=)")
    if "s" in tags and not {"*", "email"} & set(_words(tags["s"])):
        raise SignatureError("permerror", f"the key at {name} is not for email (s=)")


def _load(data: bytes, kind: str, name: str) -> RSAPublicKey | Ed25519PublicKey:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(data)
        public = load_der_public_key(data)  # a SubjectPublicKeyInfo or a bare RSAPublicKey
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureError("permerror", f"the key at {name} cannot be read (p=)") from None
    if not isinstance(public, RSAPublicKey):
        raise SignatureError("permerror", f"the key at {name} is not an RSA key (p=)")
    if public.key_size < MIN_RSA_BITS:
        raise SignatureError("fail", f"the key at {name} has {public.key_size} bits; at least {MIN_RSA_BITS} are asked")
    return public
