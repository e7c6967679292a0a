"""Reports over real SMTP: those that prove themselves move their recipient, all others move nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penguinmails_core.bounces.repository import forget_refused
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.ids import new_uuid
from penguinmails_sender.intake.verp import Kind, Verp
from penguinmails_sender.smtp import Envelope, Outcome
from penguinmails_sender.transports import SmtpTransport
from tests.sender.engine.world import BOX, DOMAIN
from tests.sender.intake.world import BLOCKED, FULL, VERP, Desk, complaint, dsn, header

ADA = "ada@example.com"


async def test_a_dead_mailbox_is_bounced_told_and_suppressed_with_its_evidence(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    assert await desk.statuses() == {ADA: "sent"}
    await desk.taken(path.upper(), dsn(ADA))

    row = await desk.world.recipient()
    assert (row["status"], row["code"], row["enhanced_code"], row["reason"]) == (
        "bounced",
        550,
        "5.1.1",
        "mailbox_not_found",
    )
    assert "User unknown" in row["reply"]
    assert await desk.events_of(ADA) == ["queued", "sent", "bounced"]
    [report] = await desk.reports()
    assert (report["rule"], report["effect"], report["suppressed"], report["seen"]) == ("hard", "bounced", True, 1)
    [suppression] = await desk.suppressions()
    assert (suppression["address"], suppression["reason"], suppression["scope"]) == (ADA, "hard_bounce", "organization")
    evidence = suppression["evidence"]
    assert (evidence["code"], evidence["enhanced_code"], evidence["remote_host"]) == (550, "5.1.1", "mx.example.com")
    assert evidence["bounce_report_id"].startswith("brp_")
    assert [e["type"] for e in await desk.world.events() if e["resource_id"] == suppression["id"]] == [
        "suppression.created"
    ]
    assert desk.changes == 1


async def test_a_block_bounces_and_blames_nobody(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    await desk.taken(path, dsn(ADA, cause=BLOCKED))
    assert await desk.statuses() == {ADA: "bounced"}
    assert await desk.rules() == [("not_delivered", "bounced", False)]
    assert await desk.suppressions() == []


async def test_a_delay_is_told_and_the_end_still_comes(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    await desk.taken(path, dsn(ADA, cause=FULL, action="delayed"))
    row = await desk.world.recipient()
    assert (row["status"], row["reason"], row["due_at"]) == ("sent", "mailbox_full", None)
    await desk.taken(path, dsn(ADA, cause=FULL, label="2"))
    assert await desk.events_of(ADA) == ["queued", "sent", "delivery_delayed", "bounced"]
    assert await desk.suppressions() == []
    await desk.taken(path, dsn(ADA, cause=FULL, action="delayed", label="3"))
    assert (await desk.rules())[-1] == ("state_does_not_fit", "none", False)


@pytest.mark.parametrize(
    "forged",
    [
        "b+" + Verp(SecretBox([b"x" * 32])).token(Kind.RECIPIENT, new_uuid(), new_uuid()),
        "b+" + "a" * 61,
        "b+nothing",
    ],
    ids=["of another server", "made up", "none"],
)
async def test_a_forged_return_path_changes_nothing_and_can_be_looked_at(desk: Desk, forged: str) -> None:
    await desk.sent(ADA)
    await desk.refused(f"{forged}@{DOMAIN}", dsn(ADA))
    await desk.refused(f"{forged}@{DOMAIN}", dsn(ADA))
    assert await desk.statuses() == {ADA: "sent"}
    assert await desk.suppressions() == []
    assert await desk.reports() == []
    [row] = await desk.refusals()
    assert (row["cause"], row["recipient"], row["seen"]) == ("forged_token", f"{forged}@{DOMAIN}", 2)
    assert "Undelivered Mail" in row["excerpt"]
    assert desk.intake.counts == {"forged_token": 2}
    assert desk.changes == 0


async def test_a_token_of_another_recipient_moves_that_one_only(desk: Desk) -> None:
    """Who has had a mail can speak of that mail, and of nobody else's."""
    path, _ = await desk.sent(ADA)
    await desk.sent("bob@example.com")
    await desk.taken(path, dsn("bob@example.com"))
    assert await desk.statuses() == {ADA: "bounced", "bob@example.com": "sent"}
    assert await desk.rules() == [("hard_elsewhere", "bounced", False)]
    assert await desk.suppressions() == []


async def test_a_bounce_with_a_sender_is_nobodys_report(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    await desk.taken(path, dsn(ADA), sender="mallory@example.net")
    assert await desk.statuses() == {ADA: "sent"}
    assert await desk.rules() == [("sender_not_null", "none", False)]
    assert await desk.suppressions() == []


async def test_the_same_report_counts_once_by_whichever_way_it_comes(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    report = dsn(ADA)
    again = b"Received: from elsewhere\r\n by here; today\r\nReturn-Path: <>\r\n" + report
    await asyncio.gather(*[desk.taken(path, raw) for raw in (report, again, report)])
    assert await desk.events_of(ADA) == ["queued", "sent", "bounced"]
    [row] = await desk.reports()
    assert row["seen"] == 3
    assert desk.intake.counts["repeated"] == 2


async def test_several_recipients_of_one_transaction_are_told_apart_and_none_is_suppressed(desk: Desk) -> None:
    """Each of them has the token, so one could speak for the others."""
    path, _ = await desk.sent(ADA, "Bob@Example.com", "eve@example.com")
    await desk.taken(path, dsn("bob@example.com", "somebody@example.com"))
    assert await desk.statuses() == {ADA: "sent", "Bob@example.com": "bounced", "eve@example.com": "sent"}
    assert await desk.rules() == [("hard_shared_token", "bounced", False), ("not_a_recipient", "none", False)]
    assert await desk.suppressions() == []


async def test_a_complaint_counts_by_the_token_in_the_mail_it_shows(desk: Desk) -> None:
    _, original = await desk.sent(ADA)
    await desk.taken(f"complaints@{DOMAIN}", complaint(original), sender="feedback@provider.example")
    assert await desk.statuses() == {ADA: "complained"}
    assert await desk.events_of(ADA) == ["queued", "sent", "complained"]
    [suppression] = await desk.suppressions()
    assert (suppression["address"], suppression["reason"]) == (ADA, "complaint")
    assert (await desk.world.recipient())["code"] == 250, "what the server said when it took the mail stays"


async def test_too_many_complaints_stop_the_lane(desk: Desk) -> None:
    """With the report's own change: whoever reads it need do nothing more."""
    originals = [(await desk.sent(f"p{number}@example.com"))[1] for number in range(5)]
    for original in originals:
        assert await desk.paused_lanes() == []
        await desk.taken(f"complaints@{DOMAIN}", complaint(original), sender="feedback@provider.example")
    assert await desk.paused_lanes() == ["other"]


async def test_a_complaint_counts_by_the_return_path_that_it_names(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    fields = f"Original-Mail-From: <{path}>\r\nOriginal-Rcpt-To: <redacted@example.com>\r\n"
    await desk.taken(
        f"complaints@{DOMAIN}", complaint(b"Subject: x\r\n\r\n", fields=fields), sender="f@provider.example"
    )
    assert await desk.statuses() == {ADA: "complained"}


async def test_a_complaint_without_proof_or_about_an_unknown_person_changes_nothing(desk: Desk) -> None:
    _, original = await desk.sent(ADA, "bob@example.com")
    await desk.refused(f"complaints@{DOMAIN}", complaint(b"To: ada@example.com\r\n\r\n"), sender="f@provider.example")
    hidden = original.replace(b"ada@example.com", b"redacted@example.com")
    await desk.taken(f"complaints@{DOMAIN}", complaint(hidden), sender="f@provider.example")
    assert await desk.statuses() == {ADA: "sent", "bob@example.com": "sent"}
    assert await desk.suppressions() == []
    assert [row["cause"] for row in await desk.refusals()] == ["no_token"]
    assert await desk.rules() == [("not_a_recipient", "none", False)]


async def test_not_spam_is_no_complaint(desk: Desk) -> None:
    _, original = await desk.sent(ADA)
    await desk.taken(f"complaints@{DOMAIN}", complaint(original, kind="not-spam"), sender="f@provider.example")
    assert await desk.rules() == [("feedback_noted", "none", False)]
    assert await desk.statuses() == {ADA: "sent"}


async def test_an_automatic_answer_is_noted(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    answer = (
        f"From: {ADA}\r\nTo: <{path}>\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI am away\r\n"
    ).encode()
    await desk.taken(path, answer)
    assert await desk.rules() == [("automatic_answer", "none", False)]
    assert await desk.events_of(ADA) == ["queued", "sent"]


async def test_a_report_about_a_message_that_is_gone_is_refused(desk: Desk) -> None:
    path = VERP.address(VERP.token(Kind.RECIPIENT, desk.world.tenant.id, new_uuid()), DOMAIN)
    await desk.refused(path, dsn(ADA))
    assert [row["cause"] for row in await desk.refusals()] == ["message_gone"]


async def test_nobody_else_lives_here(desk: Desk) -> None:
    for address in (f"ada@{DOMAIN}", "bounces@example.net"):
        result = await desk.report(address, dsn(ADA))
        assert result.code == 550
        assert result.enhanced_code == "5.1.1"
    assert await desk.refusals() == []


async def test_a_header_of_ours_cannot_be_set_by_the_caller(desk: Desk) -> None:
    _, raw = await desk.sent(ADA, headers={"X-Report-Token": "mine"})
    token = Verp(BOX).read(header(raw, "X-Report-Token"))
    assert token is not None
    assert token.id == (await desk.world.recipient())["id"]


async def test_while_the_database_is_away_reports_are_asked_for_again(desk: Desk) -> None:
    path, _ = await desk.sent(ADA)
    await desk.world.database.worker.close()
    for address in (path, f"b+forged@{DOMAIN}"):
        result = await desk.report(address, dsn(ADA))
        assert (result.outcome, result.code) == (Outcome.DEFERRED, 451)


async def test_refused_mails_are_forgotten_after_their_time_and_beyond_a_number(desk: Desk) -> None:
    for number in range(4):
        await desk.refused(f"b+{number}@{DOMAIN}", dsn(ADA, label=str(number)))
    await desk.world.run_sql(
        "update refused_reports set received_at = now() - interval '31 days' where recipient like 'b+0@%'"
    )
    assert await forget_refused(desk.world.database.worker, timedelta(days=30), 2) == 1
    assert await forget_refused(desk.world.database.worker, timedelta(days=30), 1) == 1
    assert [row["recipient"] for row in await desk.refusals()] == [f"b+2@{DOMAIN}", f"b+3@{DOMAIN}"]


async def test_only_so_many_refused_mails_are_kept_of_a_minute(desk: Desk) -> None:
    client = SmtpTransport("127.0.0.1", desk.door.port, final=True, tls="off", max_connections=4)
    try:
        await asyncio.gather(
            *[client.deliver(Envelope("", (f"b+{n}@{DOMAIN}",), dsn(ADA, label=str(n)))) for n in range(150)]
        )
    finally:
        await client.aclose()
    assert desk.intake.counts["forged_token"] == 150
    assert len(await desk.refusals()) <= 120  # the test may see two minutes
