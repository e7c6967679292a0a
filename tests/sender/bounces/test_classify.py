"""Reports of many kinds, and what is no report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinmails_sender.bounces import Action, Finding, Kind, Reason, classify
from penguinmails_sender.bounces.reasons import facts
from tests.sender.bounces import mails
from tests.sender.bounces.mails import ADA, BOB, group, plain, report

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "bounces.md"


def one(data: bytes) -> Finding:
    (found,) = classify(data)
    return found


@pytest.mark.parametrize(
    ("mail", "reason", "dsn", "hard", "action"),
    [
        (mails.EXIM, Reason.BLOCKED, "5.7.1", False, Action.PAUSE_LANE),
        (mails.GMAIL, Reason.MAILBOX_NOT_FOUND, "5.1.1", True, Action.SUPPRESS),
        (mails.HMAIL, Reason.MAILBOX_FULL, "5.2.2", False, Action.HOLD),
        (mails.SMARTERMAIL, Reason.AUTHENTICATION_FAILED, "5.7.26", False, Action.PAUSE_DOMAIN),
        (mails.DELAYED, Reason.NETWORK, "4.4.1", False, Action.RETRY),
    ],
)
def test_reports_for_people_and_for_machines(mail: bytes, reason: Reason, dsn: str, hard: bool, action: Action) -> None:
    found = one(mail)
    assert (found.address, found.kind) == (ADA, Kind.BOUNCE)
    assert (found.reason, found.dsn, found.hard, found.action) == (reason, dsn, hard, action)


def test_each_recipient_has_a_cause_of_its_own() -> None:
    assert [(found.address, found.reason, found.dsn) for found in classify(mails.QMAIL)] == [
        (ADA, Reason.MAILBOX_NOT_FOUND, "5.1.1"),
        (BOB, Reason.MAILBOX_NOT_FOUND, "5.1.1"),
    ]
    both = group(ADA, "5.1.1", f"550 5.1.1 <{ADA}> User unknown") + "\n" + group(BOB, "2.0.0", "250 Ok", "relayed")
    assert [(found.address, found.kind) for found in classify(report(both))] == [
        (ADA, Kind.BOUNCE),
        (BOB, Kind.DELIVERED),
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("550 5.7.1 Mail from 192.0.2.1 refused: user unknown to this blocklist, see spamhaus.org", Reason.BLOCKED),
        ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", Reason.REPUTATION),
        (
            "550 5.7.515 Access denied, sending domain penguins.example is not authenticated",
            Reason.AUTHENTICATION_FAILED,
        ),
        ("550 5.7.25 The IP address sending this message does not have a PTR record", Reason.REVERSE_DNS_MISSING),
        (
            "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation",
            Reason.REPUTATION,
        ),
        ("452 4.2.2 The email account that you tried to reach is over quota", Reason.MAILBOX_FULL),
        ("450 4.2.1 The user you are trying to contact is receiving mail too quickly", Reason.RATE_LIMITED),
        ("550 5.2.1 The email account that you tried to reach is disabled", Reason.MAILBOX_DISABLED),
        ("550 5.1.10 Recipient not found", Reason.MAILBOX_NOT_FOUND),
        ("556 5.1.10 Domain does not accept mail (null MX)", Reason.DOMAIN_ACCEPTS_NO_MAIL),
        ("552 5.3.4 Message size exceeds fixed maximum message size", Reason.TOO_BIG),
        ("451 4.7.1 Greylisted, please try again in 300 seconds", Reason.GREYLISTED),
        ("550 5.7.1 Our system has detected that this message is likely unsolicited mail", Reason.SPAM),
        ("554 5.7.1 Relay access denied", Reason.RELAYING_DENIED),
    ],
)
def test_what_servers_answer(answer: str, reason: Reason) -> None:
    status = answer.split()[1]
    assert one(report(group(ADA, status, answer))).reason is reason


def test_words_alone_bury_nobody() -> None:
    """A server that refuses the whole message after DATA, or words without any code, may mean somebody else."""
    after_data = f"<{ADA}>: host mx[198.51.100.7] said: 550 5.1.1 Unknown user (in reply to end of DATA command)"
    found = one(report(group(ADA, "5.1.1", "550 5.1.1 Unknown user"), after_data))
    assert (found.reason, found.hard) == (Reason.RECIPIENT_REFUSED, False)
    loose = one(plain(f"Your mail could not be delivered.\n\n{ADA}: no such user\n"))
    assert (loose.reason, loose.hard) == (Reason.RECIPIENT_REFUSED, False)


def test_a_resolver_that_fails_speaks_against_nobody() -> None:
    answer = "Host or domain name not found. Name service error for iceberg.example type=MX: Host not found, try again"
    found = one(report(group(ADA, "4.4.3", answer, "delayed")))
    assert (found.reason, found.hard) == (Reason.NETWORK, False)


def test_every_reason_that_suppresses_is_about_the_recipient() -> None:
    answers = ("550 5.7.1 blocked", "554 5.7.1 spam", "550 5.7.26 DMARC", "552 5.2.2 full", "550 5.0.0 no")
    for answer in answers:
        found = one(report(group(ADA, answer.split()[1], answer)))
        assert found.action is not Action.SUPPRESS
        assert not found.hard


def test_complaints() -> None:
    found = one(mails.complaint())
    assert (found.address, found.kind, found.reason) == (ADA, Kind.FEEDBACK, Reason.COMPLAINT)
    assert one(mails.complaint(extra="")).address == ADA, "from the mail that came back"
    assert one(mails.complaint("auth-failure")).reason is Reason.AUTHENTICATION_REPORT
    assert one(mails.complaint("not-spam")).action is Action.NONE
    many = mails.complaint(extra=f"Original-Rcpt-To: {ADA}\nOriginal-Rcpt-To: {BOB}\n")
    assert [found.address for found in classify(many)] == [ADA, BOB]


def test_away_is_no_bounce_and_an_ordinary_mail_is_nothing() -> None:
    assert (one(mails.AWAY).kind, one(mails.AWAY).address) == (Kind.VACATION, ADA)
    assert classify(mails.ORDINARY) == []
    assert classify(b"") == []


@given(st.binary(max_size=600))
def test_garbage_is_read_without_an_error(data: bytes) -> None:
    for head in (
        b"",
        b"From: MAILER-DAEMON\nSubject: Undelivered\nContent-Type: multipart/report; boundary=b\n\n--b\n",
    ):
        classify(head + data)


@given(st.data())
def test_a_damaged_report_is_read_without_an_error(data: st.DataObject) -> None:
    mail = bytearray(data.draw(st.sampled_from([mails.QMAIL, mails.EXIM, mails.complaint(), mails.DELAYED])))
    for _ in range(data.draw(st.integers(1, 20))):
        mail[data.draw(st.integers(0, len(mail) - 1))] = data.draw(st.integers(0, 255))
    for found in classify(bytes(mail)):
        assert isinstance(found, Finding)


def test_a_hostile_report_is_read_in_time_that_grows_with_its_length() -> None:
    """No pattern runs wild: a text made for that is judged by its beginning."""
    hostile = plain(f"could not be delivered\n\n<{ADA}>: " + "user mailbox account " * 60_000)
    assert len(classify(hostile)) == 1


def test_the_guide_tells_of_every_reason_with_its_scope_and_action() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| `(\w+)`", GUIDE.read_text(), re.MULTILINE)
    told = {reason: (scope, action) for scope, reasons, action in rows for reason in re.findall(r"`(\w+)`", reasons)}
    failures = {reason: facts(reason) for reason in Reason if facts(reason).action is not Action.NONE}
    assert told == {reason: (fact.scope, fact.action) for reason, fact in failures.items()}
