"""The engine keeps to its lanes, over all processes, and writes down what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penguinmails_core.domains.service import create_domain
from penguinmails_core.emails.lanes import LaneKey
from penguinmails_core.kit import providers
from penguinmails_core.kit.dns import DnsUnavailable, StaticResolver
from penguinmails_core.lanes.policies import Policies, shipped
from penguinmails_sender.lanes.book import Limits
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.lanes.pools import Pools, SourceAddress
from penguinmails_sender.transports import Envelope, Outcome, RecipientResult
from tests.fixtures.factories import make_tenant
from tests.fixtures.mail import draft
from tests.sender.engine.world import BOX, World

GOOGLE = LaneKey("default", "google")
DNS = StaticResolver(
    {
        "acme.example": {"MX": [(10, "aspmx.l.google.com")]},
        "globex.example": {"MX": [(10, "globex-example.mail.protection.outlook.com")]},
        "broken.example": {"MX": DnsUnavailable("broken.example", "SERVFAIL")},
    }
)
BLOCKED = (
    550,
    "5.7.1",
    "Unfortunately, messages from [192.0.2.1] weren't sent: part of their network is on our block list (S3150)",
)


class Provider:
    """Answers as it is told: (code, enhanced code, words), or None for a 250. Keeps what it was given."""

    final = True

    def __init__(self, answer: Callable[[str], tuple[int, str, str] | None] = lambda _: None) -> None:
        self.answer = answer
        self.envelopes: list[Envelope] = []

    async def deliver(self, envelope: Envelope) -> list[RecipientResult]:
        self.envelopes.append(envelope)
        return [self._result(address) for address in envelope.recipients]

    def _result(self, address: str) -> RecipientResult:
        code, enhanced, words = self.answer(address) or (250, "2.0.0", "OK")
        outcome = {2: Outcome.DELIVERED, 4: Outcome.DEFERRED, 5: Outcome.BOUNCED}[code // 100]
        return RecipientResult(address, outcome, code, enhanced, words, "mx.example", command="DATA")

    async def aclose(self) -> None:
        return None

    @property
    def addresses(self) -> list[str]:
        return [address for envelope in self.envelopes for address in envelope.recipients]


@pytest.fixture(autouse=True)
def _nothing_learned() -> Iterator[None]:
    providers.forget_learned()
    yield
    providers.forget_learned()


def paced(group: str = "google", pools: Pools | None = None, **numbers: Any) -> Limits:
    """The shipped policies with other numbers for one group."""
    base = shipped()
    own = replace(base.of(group), **numbers)
    return Limits(Policies({**base.policies, group: own}, base.rules), pools or Pools())


async def lane(world: World, group: str = "google") -> Any:
    [row] = await world.rows("select * from lanes where provider_group = $1", group)
    return row


# ---------------------------------------------------------------------- provider groups


async def test_unknown_domains_are_looked_up_and_their_mail_leaves_in_the_right_lane(world: World) -> None:
    await world.accept_to(["ada@acme.example", "bob@globex.example", "cy@broken.example", "di@gone.example"])
    assert {row["lane"] for row in await world.recipients()} == {"live/transactional/default/other"}
    provider = Provider()
    engine = world.engine(live=provider, resolver=DNS)
    assert await engine.run_once() == 4  # looked at, not sent
    assert provider.envelopes == []
    assert await world.attempts() == []
    assert await engine.run_once() == 4
    lanes = {row["address"]: row["lane"].rpartition("/")[2] for row in await world.recipients()}
    assert lanes == {
        "ada@acme.example": "google",
        "bob@globex.example": "microsoft365",
        "cy@broken.example": "other",
        "di@gone.example": "other",
    }
    assert sorted(provider.addresses) == sorted(lanes)
    assert all(row["attempts"] == 1 for row in await world.recipients())
    # From now on an accept knows.
    await world.accept_to(["eve@acme.example"])
    assert [row["lane"] for row in await world.recipients()][-1] == "live/transactional/default/google"


async def test_what_another_process_learned_is_moved_by_the_claim(world: World) -> None:
    await world.accept_to(["ada@acme.example"])
    await world.run_sql(
        "insert into recipient_domains (domain, provider_group, recheck_at) values ('acme.example', 'google', now())"
    )
    provider = Provider()
    engine = world.engine(live=provider, resolver=DNS)
    assert await engine.run_once() == 1
    assert (await world.recipient())["lane"] == "live/transactional/default/google"
    assert provider.envelopes == []
    assert await engine.run_once() == 1
    assert provider.addresses == ["ada@acme.example"]


async def test_capture_asks_nobody(world: World) -> None:
    await world.accept_to(["ada@acme.example"])
    assert await world.engine().run_once() == 1
    assert await world.rows("select * from recipient_domains") == []


# ---------------------------------------------------------------------- limits


async def test_a_rate_holds_over_two_processes(world: World) -> None:
    await world.accept_to([f"ada{n}@gmail.com" for n in range(5)])
    limits = paced(per_second=0.001)
    one, two = (world.engine(live=Provider(), name=name, limits=limits) for name in ("one", "two"))
    assert [await one.run_once(), await two.run_once(), await one.run_once()] == [1, 0, 0]
    await world.run_sql("update lanes set tokens_at = tokens_at - interval '1000 seconds', updated_at = now()")
    assert [await two.run_once(), await one.run_once()] == [1, 0]


async def test_a_daily_cap_holds_over_two_processes_and_leaves_room_for_urgent_mail(world: World) -> None:
    await world.accept_to(["first@gmail.com"])
    limits = paced(per_second=0)
    one, two = (world.engine(live=Provider(), name=name, limits=limits) for name in ("one", "two"))
    assert await one.run_once() == 1
    await world.run_sql("update lanes set daily_cap = 10, sent_today = 0, updated_at = now()")
    await world.accept_to([f"ada{n}@gmail.com" for n in range(30)], message_class="campaign")
    assert await one.run_once() + await two.run_once() == 9
    await world.accept_to(["urgent@gmail.com"])
    assert await two.run_once() == 1
    assert (await lane(world))["sent_today"] == 10
    await world.run_sql("update lanes set day = day - 1, updated_at = now()")
    assert await one.run_once() == 9


async def test_no_more_is_in_hand_than_the_connections_can_carry(world: World) -> None:
    await world.accept_to([f"ada{n}@gmail.com" for n in range(60)])
    engine = world.engine(live=Provider(), limits=paced(per_second=0, connections=2))
    assert await engine.run_once() == 20
    other = world.engine(live=Provider(), name="two", limits=paced(per_second=0, connections=2))
    assert await other.run_once() == 10  # two processes: one connection each
    assert engine.book.in_hand == {}


async def test_envelopes_carry_what_the_lane_asks_of_a_connection(world: World) -> None:
    pools = Pools({"default": (SourceAddress("192.0.2.7"),)})
    provider = Provider()
    await world.accept_to(["ada@gmail.com"])
    await world.engine(live=provider, limits=paced(pools=pools)).run_once()
    assert [item.policy for item in provider.envelopes] == [ConnectionPolicy("192.0.2.7", "required", 50, 5)]


async def test_a_message_to_two_providers_is_two_transactions_with_the_same_header(world: World) -> None:
    provider = Provider()
    await world.accept(to=["ada@gmail.com", "bob@gmail.com"], cc=["cy@outlook.com"])
    await world.engine(live=provider, limits=paced()).run_once()
    assert sorted(tuple(sorted(item.recipients)) for item in provider.envelopes) == [
        ("ada@gmail.com", "bob@gmail.com"),
        ("cy@outlook.com",),
    ]
    assert all(b"cy@outlook.com" in item.content and b"bob@gmail.com" in item.content for item in provider.envelopes)


async def test_a_small_tenant_does_not_wait_behind_a_large_one(world: World) -> None:
    await world.accept_to([f"ada{n}@gmail.com" for n in range(300)], message_class="campaign")
    small = await make_tenant(world.database)
    await create_domain(world.database, BOX, small.id, small.workspace_id, "small.test", verified=True)
    fields: dict[str, Any] = {"from": "hi@small.test", "to": ["bob@gmail.com"], "message_class": "campaign"}
    rows = draft(small.principal(), **fields).rows
    await world._commit([rows])
    provider = Provider()
    engine = world.engine(live=provider, limits=paced(per_second=0), claim_size=10)
    await engine.run_once()
    assert len(provider.addresses) < 15
    assert "bob@gmail.com" in provider.addresses


# ---------------------------------------------------------------------- what providers say


async def test_a_block_pauses_the_lane_and_suppresses_nobody(world: World) -> None:
    provider = Provider(lambda address: BLOCKED if address.endswith("outlook.com") else None)
    await world.accept_to([f"ada{n}@outlook.com" for n in range(3)])
    engine = world.engine(live=provider, limits=paced())
    await engine.run_once()
    assert await world.rows("select * from suppressions") == []
    row = await lane(world, "microsoft")
    assert (row["pause_rule"], row["pause_reason"]) == ("microsoft.block_list", "blocked")
    [decision] = await world.rows("select * from lane_decisions")
    assert (decision["action"], decision["replies"], decision["organization_id"]) == ("pause", 3, None)
    evidence = await world.rows("select * from lane_evidence where decision_id = $1", decision["id"])
    assert {item["organization_id"] for item in evidence} == {world.tenant.id}
    assert all("S3150" in item["reply"] for item in evidence)

    await world.accept_to(["late@outlook.com", "fine@gmail.com"])
    before = await world.rows("select updated_at from email_recipients where address = 'late@outlook.com'")
    for name in ("one", "two"):  # this process, and one that has just come
        await world.engine(live=provider, limits=paced(), name=name).run_once()
    assert provider.addresses[3:] == ["fine@gmail.com"]
    assert before == await world.rows("select updated_at from email_recipients where address = 'late@outlook.com'")

    provider.answer = lambda _: None
    await world.run_sql("update lanes set paused_until = now() where paused_until is not null")
    await engine.run_once()
    await engine.run_once()
    assert provider.addresses[4:] == ["late@outlook.com"]
    assert [row["action"] for row in await world.rows("select action from lane_decisions order by id")] == [
        "pause",
        "resumed",
    ]
    assert (await lane(world, "microsoft"))["factor"] == 0.25


async def test_rate_replies_slow_the_lane_and_keep_the_mail(world: World) -> None:
    provider = Provider(lambda _: (421, "4.7.0", "Too many messages, try again later; rate limited"))
    await world.accept_to(["ada@gmail.com"])
    await world.engine(live=provider, limits=paced()).run_once()
    assert (await world.recipient())["status"] == "deferred"
    assert (await lane(world))["factor"] == 0.5
    [day] = await world.rows("select * from lane_days")
    assert (day["sent"], day["deferred"], day["blocked"]) == (0, 1, 1)


async def test_authentication_replies_hold_the_domain_back_and_nothing_else(world: World) -> None:
    await create_domain(world.database, BOX, world.tenant.id, world.tenant.workspace_id, "good.test", verified=True)
    words = (550, "5.7.26", "Unauthenticated email from acme.test is not accepted due to domain's DMARC policy")
    provider = Provider(lambda _: words)
    await world.accept_to([f"ada{n}@gmail.com" for n in range(3)])
    engine = world.engine(live=provider, limits=paced())
    await engine.run_once()
    [pause] = await world.rows("select * from sending_pauses")
    assert (pause["domain"], pause["organization_id"]) == ("acme.test", world.tenant.id)
    assert "DMARC" in pause["reply"]
    assert (await lane(world))["paused_until"] is None
    assert await world.rows("select * from suppressions") == []

    provider.answer = lambda _: None
    await world.accept_to(["held@yahoo.com"])
    await world.accept_to(["fine@yahoo.com"], **{"from": "hi@good.test"})
    await engine.run_once()
    assert provider.addresses[3:] == ["fine@yahoo.com"]
    [held] = await world.rows("select * from email_recipients where address = 'held@yahoo.com'")
    assert (held["status"], held["due_at"], held["attempts"]) == ("queued", pause["until"], 0)
    await world.run_sql("update sending_pauses set until = now()")
    await world.hurry()
    await engine.run_once()
    assert provider.addresses[4:] == ["held@yahoo.com"]


async def test_a_tenants_own_pause_holds_back_its_mail_only(world: World) -> None:
    provider = Provider()
    await world.accept_to(["ada@gmail.com"])
    engine = world.engine(live=provider, limits=paced())
    await engine.run_once()
    await world.run_sql("update lane_members set paused_at = now()")
    await world.accept_to(["bob@gmail.com", "cy@outlook.com"])
    # The engine has not heard of it yet: the claiming statement has.
    await engine._claimer.look()
    part = await engine._claimer.next_part(lambda: False)
    assert {row["address"] for row in await engine._claimer.claim(part)} == {"cy@outlook.com"}
    await engine.run_once()
    assert provider.addresses == ["ada@gmail.com"]
    await world.run_sql("update lane_members set paused_at = null")
    await engine.run_once()
    assert provider.addresses == ["ada@gmail.com", "bob@gmail.com"]


async def test_counters_of_a_day_add_up(world: World) -> None:
    answers = {"a@gmail.com": None, "b@gmail.com": (550, "5.1.1", "NoSuchUser"), "c@gmail.com": (451, "4.3.0", "later")}
    await world.accept_to(answers)
    await world.engine(live=Provider(answers.get), limits=paced()).run_once()
    [day] = await world.rows("select * from lane_days")
    assert (day["sent"], day["bounced"], day["deferred"], day["blocked"]) == (1, 1, 1, 0)
    assert day["organization_id"] == world.tenant.id


async def test_a_running_engine_wakes_for_a_paced_lane(world: World) -> None:
    provider = Provider()
    await world.accept_to([f"ada{n}@gmail.com" for n in range(12)])
    limits = paced(per_second=20)
    async with world.running(world.engine(live=provider, limits=limits, poll=timedelta(seconds=30))):
        await world.until("select count(*) = 12 from email_recipients where status = 'delivered'")
    assert len(provider.addresses) == 12
    assert await world.rows("select * from sender_workers") == []  # it said goodbye
