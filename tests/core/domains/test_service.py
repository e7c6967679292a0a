"""Domains and their keys: what is published verifies what is signed, and what is sealed opens in its own row only."""

from __future__ import annotations

import asyncpg
import dkim
import pytest

from penguinmails_core.domains.service import (
    ED25519_SELECTOR,
    RSA_SELECTOR,
    VerifiedDomains,
    create_domain,
    signing_keys,
    txt_lookup,
)
from penguinmails_core.errors import Conflict
from penguinmails_core.kit.addresses import AddressError
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_sender.dkim import DkimKey, sign
from tests.fixtures.factories import Tenant, make_tenant

BOX = SecretBox([b"k" * 32])
MESSAGE = (
    b"From: hello@acme.test\r\nTo: ada@example.com\r\nSubject: Hi\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@acme.test>\r\n\r\nHello Ada!\r\n"
)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


async def test_published_records_verify_what_is_signed(database: Database, tenant: Tenant) -> None:
    domain = await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    assert set(domain.records) == {f"{selector}._domainkey.acme.test" for selector in (RSA_SELECTOR, ED25519_SELECTOR)}
    keys = await signing_keys(database.worker, BOX, tenant.id, "acme.test")
    assert [(key.selector, key.algorithm) for key in keys] == [
        (RSA_SELECTOR, "rsa-sha256"),
        (ED25519_SELECTOR, "ed25519-sha256"),
    ]
    signed = sign(MESSAGE, [DkimKey.from_private(key.private_key, key.selector, "acme.test") for key in keys])
    records = {f"{name}.".encode(): value.encode() for name, value in domain.records.items()}
    verifier = dkim.DKIM(signed)
    for index in (0, 1):
        assert verifier.verify(index, dnsfunc=lambda name, timeout=5: records[name])


async def test_lookup_says_what_dns_would(database: Database, tenant: Tenant) -> None:
    domain = await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    for name, value in domain.records.items():
        assert await txt_lookup(database, name) == [value.encode()]
        assert await txt_lookup(database, name.upper() + ".") == [value.encode()]
    for name in ("acme.test", "pm1._domainkey.other.test", "pm9._domainkey.acme.test", "_domainkey.acme.test", ""):
        assert await txt_lookup(database, name) == []


async def test_a_pending_domain_neither_signs_nor_publishes_nor_sends(database: Database, tenant: Tenant) -> None:
    domain = await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test")
    assert await signing_keys(database.worker, BOX, tenant.id, "acme.test") == []
    assert await txt_lookup(database, next(iter(domain.records))) == []
    domains = VerifiedDomains(database.ingest)
    assert await domains.find(tenant.id, "acme.test") is None

    # "No" is not remembered: a domain that was just verified works at once.
    await database.worker.execute("update domains set status = 'verified' where id = $1", domain.id)
    found = await domains.find(tenant.id, "acme.test")
    assert found is not None
    assert (found.id, found.workspace_id) == (domain.id, tenant.workspace_id)


async def test_a_domain_is_known_to_its_own_organization_only(database: Database, tenant: Tenant) -> None:
    other = await make_tenant(database, "Other")
    await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    domains = VerifiedDomains(database.ingest)
    assert await domains.find(tenant.id, "acme.test") is not None
    assert await domains.find(other.id, "acme.test") is None
    assert await signing_keys(database.worker, BOX, other.id, "acme.test") == []


async def test_an_inactive_key_is_not_used(database: Database, tenant: Tenant) -> None:
    await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    await database.worker.execute("update domain_keys set active = false where selector = $1", RSA_SELECTOR)
    keys = await signing_keys(database.worker, BOX, tenant.id, "acme.test")
    assert [key.selector for key in keys] == [ED25519_SELECTOR]
    assert await txt_lookup(database, f"{RSA_SELECTOR}._domainkey.acme.test") == []


async def test_private_keys_are_sealed_and_bound_to_their_row(database: Database, tenant: Tenant) -> None:
    await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    keys = await signing_keys(database.worker, BOX, tenant.id, "acme.test")
    stored = [bytes(row[0]) for row in await database.worker.fetch("select private_key from domain_keys")]
    assert not any(key.private_key in sealed for key in keys for sealed in stored)
    with pytest.raises(CryptoError):
        await signing_keys(database.worker, SecretBox([b"x" * 32]), tenant.id, "acme.test")
    # Two rows that swap their secrets must not sign for each other.
    await database.worker.execute(
        "update domain_keys k set private_key = o.private_key from domain_keys o where o.selector <> k.selector"
    )
    with pytest.raises(CryptoError):
        await signing_keys(database.worker, BOX, tenant.id, "acme.test")


async def test_names_are_kept_as_dns_writes_them(database: Database, tenant: Tenant) -> None:
    domain = await create_domain(database, BOX, tenant.id, tenant.workspace_id, "Bücher.Example", verified=True)
    assert domain.name == "xn--bcher-kva.example"
    assert await VerifiedDomains(database.ingest).find(tenant.id, "xn--bcher-kva.example") is not None
    assert "pm1._domainkey.xn--bcher-kva.example" in domain.records


@pytest.mark.parametrize("name", ["", "localhost", "acme..test", "-acme.test", "a b.test", "192.0.2.1"])
async def test_a_malformed_name_leaves_nothing(database: Database, tenant: Tenant, name: str) -> None:
    with pytest.raises(AddressError):
        await create_domain(database, BOX, tenant.id, tenant.workspace_id, name)
    assert await database.worker.fetchval("select count(*) from domains") == 0


async def test_a_name_that_is_taken_is_a_conflict(database: Database, tenant: Tenant) -> None:
    await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    with pytest.raises(Conflict, match=r"acme\.test"):
        await create_domain(database, BOX, tenant.id, tenant.workspace_id, "ACME.test")
    # Another organization may claim the name, and cannot have it verified as well.
    other = await make_tenant(database, "Other")
    await create_domain(database, BOX, other.id, other.workspace_id, "acme.test")
    third = await make_tenant(database, "Third")
    with pytest.raises(Conflict, match="verified"):
        await create_domain(database, BOX, third.id, third.workspace_id, "acme.test", verified=True)
    assert await database.worker.fetchval("select count(*) from domains") == 2
    assert await database.worker.fetchval("select count(*) from domain_keys") == 4


async def test_a_domain_never_stands_without_its_keys(database: Database, tenant: Tenant) -> None:
    """Verified without keys would mean unsigned mail: both come in one transaction, or neither does."""
    admin = await asyncpg.connect(database.dsn)
    try:
        await admin.execute("revoke insert on domain_keys from penguinmails_worker")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await create_domain(database, BOX, tenant.id, tenant.workspace_id, "acme.test", verified=True)
    finally:
        await admin.execute("grant insert on domain_keys to penguinmails_worker")
        await admin.close()
    assert await database.worker.fetchval("select count(*) from domains") == 0
