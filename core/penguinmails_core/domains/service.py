"""Sending domains: their keys, and who may send from them."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from penguinmails_core.audit import service as audit
from penguinmails_core.audit.actor import Actor, Resource
from penguinmails_core.domains import repository
from penguinmails_core.errors import Conflict
from penguinmails_core.kit.addresses import to_ascii
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database, Pool
from penguinmails_core.kit.ids import Prefix, new_uuid

RSA_SELECTOR, ED25519_SELECTOR = "pm1", "pm2"
_CACHE_SECONDS = 5.0
_CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class NewDomain:
    """`records` are the TXT records to publish: name -> value."""

    id: UUID
    name: str
    records: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewKey:
    """`record` is the TXT value, `sealed` the private key at rest."""

    id: UUID
    selector: str
    algorithm: str
    record: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Key pairs for a domain that is about to be added; `name` is in A-labels."""

    domain_id: UUID
    name: str
    keys: tuple[NewKey, ...]


@dataclass(frozen=True, slots=True)
class VerifiedDomain:
    id: UUID
    workspace_id: UUID


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`private_key` is PKCS#8 in DER, opened."""

    selector: str
    algorithm: str
    private_key: bytes


def key_context(key_id: UUID) -> bytes:
    """What a sealed private key is bound to, so that it does not open in another row."""
    return b"domain_keys:" + key_id.bytes


def _generate() -> list[tuple[str, str, bytes, str]]:
    """(selector, algorithm, private key in PKCS#8 DER, TXT value) of an RSA-2048 and an Ed25519 key.

    RSA is what every receiver verifies; Ed25519 (RFC 8463) is for those that can.
    """
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    rsa_public = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ed_key = ed25519.Ed25519PrivateKey.generate()
    ed_public = ed_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return [
        (RSA_SELECTOR, "rsa-sha256", rsa_key.private_bytes(*form), _record("rsa", rsa_public)),
        (ED25519_SELECTOR, "ed25519-sha256", ed_key.private_bytes(*form), _record("ed25519", ed_public)),
    ]


def _record(kind: str, public: bytes) -> str:
    """RFC 6376 §3.6.1."""
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"


async def new_keys(box: SecretBox, name: str) -> NewKeys:
    """Make and seal the keys of a domain to be; takes a tenth of a second, so do it outside of transactions."""
    made = []
    for selector, algorithm, private_key, record in await asyncio.to_thread(_generate):
        key_id = new_uuid()
        made.append(NewKey(key_id, selector, algorithm, record, box.seal(private_key, key_context(key_id))))
    return NewKeys(new_uuid(), name, tuple(made))


async def create_domain(
    database: Database,
    box: SecretBox,
    organization_id: UUID,
    workspace_id: UUID,
    name: str,
    *,
    verified: bool = False,
) -> NewDomain:
    """Add a domain with two DKIM keys. `verified` skips the look at DNS: only for stacks that nothing leaves.

    Raises `AddressError` for a malformed name, `Conflict` for one that is taken.
    """
    name = to_ascii(name)
    new = await new_keys(box, name)
    rows = [
        (organization_id, key.id, new.domain_id, key.selector, key.algorithm, key.record, key.sealed)
        for key in new.keys
    ]
    # Together or not at all: a verified domain without keys would send unsigned mail.
    try:
        async with database.worker.acquire() as connection, connection.transaction():
            await repository.insert_domain(
                connection, organization_id, new.domain_id, workspace_id, name, verified=verified
            )
            await repository.insert_keys(connection, rows)
            after = {"name": name, "status": "verified" if verified else "pending"}
            resource = Resource(Prefix.DOMAIN, new.domain_id, workspace_id)
            who = Actor.operator(organization_id)
            await audit.record_on(connection, who, "domain.created", resource, after=after)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "uq_domains_verified":
            raise Conflict(f"{name} is verified by another organization already.") from None
        raise Conflict(f"{name} has been added already.") from None
    return NewDomain(new.domain_id, name, {f"{key.selector}._domainkey.{name}": key.record for key in new.keys})


async def signing_keys(pool: Pool, box: SecretBox, organization_id: UUID, name: str) -> list[SigningKey]:
    """The opened keys that mail from a verified domain is signed with; empty when there are none.

    Raises `CryptoError` when a key cannot be opened.
    """
    return [
        SigningKey(row["selector"], row["algorithm"], box.open(row["private_key"], key_context(row["id"])))
        for row in await repository.signing_keys(pool, organization_id, name)
    ]


async def txt_lookup(database: Database, name: str) -> list[bytes]:
    """What DNS would say for ``selector._domainkey.domain`` of our own domains; nothing for other names."""
    selector, separator, domain = name.rstrip(".").lower().partition("._domainkey.")
    if not separator:
        return []
    return [record.encode() for record in await repository.public_keys(database.worker, domain, selector)]


class VerifiedDomains:
    """Answers "may this organization send from this domain" on the accept path: cached for seconds, since every
    message asks."""

    def __init__(self, pool: Pool) -> None:
        self.pool = self._pool = pool
        self._known: dict[tuple[UUID, str], tuple[float, VerifiedDomain | None]] = {}

    async def find(self, organization_id: UUID, name: str) -> VerifiedDomain | None:
        now = time.monotonic()
        key = (organization_id, name)
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        row = await repository.verified_domain(self._pool, organization_id, name)
        domain = VerifiedDomain(row["id"], row["workspace_id"]) if row is not None else None
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        # A domain that was just verified should work at once, so "no" is not remembered.
        if domain is not None:
            self._known[key] = (now + _CACHE_SECONDS, domain)
        return domain
