"""The whole sender against providers that throttle, greylist and block: the engine with its lanes, the direct
transport, TLS where a lane wants it, and PostgreSQL. `make mailworld` does it with a hundred thousand messages."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

from penguinmails_sender.lanes.book import Limits
from penguinmails_sender.lanes.pools import Pools
from tests.fixtures.mailworld.pace import hurried, hurried_growth
from tests.fixtures.mailworld.world import open_mail_world
from tests.sender.engine.world import World

COUNTS = {
    "gmail.com": 150,
    "hosted-at-google.test": 50,
    "outlook.com": 120,
    "yahoo.com": 120,
    "aol.com": 40,
    "icloud.com": 90,
    "small-company.test": 1430,
}
FINAL = "('delivered', 'bounced', 'failed', 'suppressed')"


async def test_two_thousand_messages_reach_everybody_who_is_there(world: World, tmp_path: Path) -> None:
    people = [f"reader-{n}@{domain}" for domain, count in COUNTS.items() for n in range(count)]
    gone = [f"nobody-{n}@{domain}" for domain in COUNTS for n in range(3)]
    everybody = people + gone
    random.Random(7).shuffle(everybody)
    await world.accept_to(everybody)
    async with open_mail_world(tmp_path) as outside:
        transport = outside.transport()
        engine = world.engine(
            live=transport,
            resolver=outside.resolver,
            limits=Limits(hurried(1800), Pools()),
            retry_base=timedelta(seconds=0.5),
        )
        with hurried_growth():
            async with world.running(engine):
                await world.until(f"select not exists (select 1 from email_recipients where status not in {FINAL})")
        await transport.aclose()

        assert outside.delivered == dict.fromkeys(people, 1)  # nobody is left out, nobody is mailed twice
        for server in outside.servers.values():
            # One that we close is counted until the server has seen it go, so now and then one is too many.
            assert server.answers[server.provider.too_many] <= server.sessions // 10, server.provider.name
            assert server.answers[server.provider.enough] == 0, server.provider.name
            assert server.answers[server.provider.block] == 0, server.provider.name
        slowed = sum(server.answers[server.provider.slow] for server in outside.servers.values())
        assert slowed > 0  # or nothing was tried
        grey = [what for _, what in outside.servers["small"].timeline if what == "grey"]
        assert len(grey) >= COUNTS["small-company.test"]  # everybody was sent away once, and came back

    statuses = {row["address"]: row["status"] for row in await world.recipients()}
    assert statuses == dict.fromkeys(people, "delivered") | dict.fromkeys(gone, "bounced")
    suppressed = {row["address"] for row in await world.rows("select address from suppressions")}
    assert suppressed <= set(gone)
    assert {address for address in gone if address.endswith(("@gmail.com", "@icloud.com"))} <= suppressed
    used = await world.rows(
        "select distinct payload->'smtp'->>'tls_version' v from events where type = 'email.delivered'"
    )
    assert {row["v"] for row in used} >= {"TLSv1.3"}
