"""Domains are learned from their MX, remembered for everybody, and forgotten when nobody mails them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penguinmails_core.emails.lanes import lane_of
from penguinmails_core.kit import providers
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_core.lanes import domains_repository as repository
from penguinmails_core.lanes.domains import DomainGroups, look_up_all, recheck, remember

DNS = StaticResolver(
    {
        "acme.example": {"MX": [(20, "mx.acme.example"), (10, "aspmx.l.google.com")]},
        "globex.example": {"MX": [(0, "globex.mail.protection.outlook.com")]},
        "own.example": {"MX": [(5, "mx.own.example")]},
        "bare.google.com": {"A": ["192.0.2.1"]},
        "broken.example": {"MX": DnsUnavailable("broken.example", "SERVFAIL")},
    }
)


@pytest.fixture(autouse=True)
def _nothing_learned() -> Iterator[None]:
    providers.forget_learned()
    yield
    providers.forget_learned()


async def test_the_best_mx_says_the_group() -> None:
    names = ["acme.example", "globex.example", "own.example", "bare.google.com", "broken.example", "gone.example"]
    found = {row.domain: row for row in await look_up_all(DNS, names)}
    assert [found[name].group for name in names] == ["google", "microsoft365", "other", "google", "other", "other"]
    # A resolver's trouble is asked again soon, what does not exist within the hour.
    assert found["broken.example"].good_for < found["gone.example"].good_for < found["own.example"].good_for
    assert found["acme.example"].host == "aspmx.l.google.com"


async def test_what_one_process_learns_others_read(database: Database) -> None:
    groups = DomainGroups(database.ingest)
    await groups.refresh()
    assert lane_of("live", "campaign", "acme.example") == "live/campaign/default/other"
    await repository.learn(database.worker, [("acme.example", "google", "aspmx.l.google.com", 60.0)])
    await groups.refresh()
    assert lane_of("live", "campaign", "acme.example") == "live/campaign/default/google"
    await repository.learn(database.worker, [("acme.example", "other", "mx.acme.example", 60.0)])
    await groups.refresh()
    assert lane_of("live", "campaign", "acme.example") == "live/campaign/default/other"


async def test_a_fresh_process_starts_with_what_is_known(database: Database) -> None:
    await remember(database.worker, await look_up_all(DNS, ["acme.example", "own.example"]))
    providers.forget_learned()
    groups = DomainGroups(database.ingest)
    await groups.start()
    try:
        assert providers.provider_group("acme.example") == "google"
        assert providers.provider_group("own.example") == "other"
    finally:
        await groups.stop()


async def test_what_was_learned_long_ago_is_asked_again(database: Database) -> None:
    await repository.learn(database.worker, [("globex.example", "google", "old.google.com", -1.0)])
    assert await recheck(database.worker, DNS) == 1
    assert await repository.known(database.worker, ["globex.example"]) == {"globex.example": "microsoft365"}
    assert providers.provider_group("globex.example") == "microsoft365"
    assert await recheck(database.worker, DNS) == 0


async def test_what_nobody_mails_is_forgotten(database: Database) -> None:
    await repository.learn(
        database.worker, [("acme.example", "google", None, 60.0), ("own.example", "other", None, 60.0)]
    )
    await database.worker.execute("update recipient_domains set seen_at = now() - interval '91 days'")
    assert await repository.known(database.worker, ["acme.example"]) == {"acme.example": "google"}  # mailed: seen
    await recheck(database.worker, DNS)
    assert set(await repository.known(database.worker, ["acme.example", "own.example"])) == {"acme.example"}


def test_memory_is_bounded_and_the_table_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_MOST", 2)
    for name in ("a.example", "b.example", "c.example"):
        providers.learn(name, "google")
    assert [providers.provider_group(name) for name in ("a.example", "b.example", "c.example")] == [
        "other",
        "google",
        "google",
    ]
    providers.learn("gmail.com", "yahoo")
    assert providers.provider_group("gmail.com") == "google"
