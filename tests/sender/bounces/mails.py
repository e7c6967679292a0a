"""Reports in the manner of mail systems, written for these tests from what those systems are known to print."""

from __future__ import annotations

_HEAD = "Return-Path: <>\nFrom: {sender}\nTo: <bounce@penguins.example>\nSubject: {subject}\n"
_ORIGINAL = (
    "Received: from out.penguins.example by mx.relay.example; Tue, 24 Nov 2026 10:00:00 +0000\n"
    "Message-ID: <msg_1@penguins.example>\nFrom: Pingu <pingu@penguins.example>\nTo: {to}\nSubject: Fish\n\nFresh.\n"
)
ADA = "ada@iceberg.example"
BOB = "bob@floe.example"


def plain(text: str, *, sender: str = "MAILER-DAEMON@mx.relay.example", subject: str = "failure notice") -> bytes:
    return (_HEAD.format(sender=sender, subject=subject) + f"\n{text}").encode()


def report(groups: str, text: str = "Your message could not be delivered.", *, to: str = ADA) -> bytes:
    """multipart/report as RFC 3464 has it."""
    head = _HEAD.format(sender="Mail Delivery System <MAILER-DAEMON@mx.relay.example>", subject="Undelivered Mail")
    return (
        f'{head}MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\n{text}\n\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; mx.relay.example\n\n{groups}\n\n"
        f"--b\nContent-Type: message/rfc822\n\n{_ORIGINAL.format(to=to)}\n--b--\n"
    ).encode()


def group(address: str, status: str, diagnostic: str, action: str = "failed") -> str:
    return (
        f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}\n"
    )


def complaint(kind: str = "abuse", extra: str = f"Original-Rcpt-To: {ADA}\n") -> bytes:
    """A feedback report (RFC 5965)."""
    return (
        "From: <feedback@provider.example>\nTo: <fbl@penguins.example>\nSubject: FW: Fish\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n"
        f"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: Provider/1\n"
        f"Version: 1\n{extra}\n"
        f"--b\nContent-Type: message/rfc822\n\n{_ORIGINAL.format(to=ADA)}\n--b--\n"
    ).encode()


QMAIL = plain(
    f"""Hi. This is the qmail-send program at mx.relay.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{ADA}>:
198.51.100.7 does not like recipient.
Remote host said: 550 5.1.1 <{ADA}>: user does not exist
Giving up on 198.51.100.7.

<{BOB}>:
Sorry, no mailbox here by that name. vpopmail (#5.1.1)

--- Below this line is a copy of the message.

"""
    + _ORIGINAL.format(to=ADA)
)
EXIM = plain(
    f"""This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {ADA}
    host mx.iceberg.example [198.51.100.7]
    SMTP error from remote mail server after RCPT TO:<{ADA}>:
    554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org

------ This is a copy of the message, including all the headers. ------

"""
    + _ORIGINAL.format(to=ADA),
    subject="Mail delivery failed: returning message to sender",
)
GMAIL = plain(
    f"""** Address not found **

Your message wasn't delivered to {ADA} because the address couldn't be found, or is unable to receive mail.

The response from the remote server was:
550 5.1.1 The email account that you tried to reach does not exist. https://support.google.com/mail/?p=NoSuchUser

----- Original message -----

"""
    + _ORIGINAL.format(to=ADA),
    sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
    subject="Delivery Status Notification (Failure)",
)
HMAIL = plain(
    f"""Your message did not reach some or all of the intended recipients.

   Sent: Tue, 24 Nov 2026 10:00:00 +0000
   Subject: Fish

The following recipient(s) could not be reached:

{ADA}
   Error Type: SMTP
   Remote server (198.51.100.7) issued an error.
   hMailServer sent: RCPT TO:<{ADA}>
   Remote server replied: 552 5.2.2 Mailbox is over quota

hMailServer
""",
    subject="Message undeliverable: Fish",
    sender="mailer-daemon@mx.relay.example",
)
SMARTERMAIL = plain(
    f"""Could not deliver message to the following recipient(s):

Failed Recipient: {ADA}
Reason: Remote host said: 550 5.7.26 Unauthenticated email from penguins.example is not accepted due to DMARC policy.

   -- The header and top 20 lines of the message follows --

"""
    + _ORIGINAL.format(to=ADA),
    sender="System Administrator <postmaster@mx.relay.example>",
    subject="Delivery Failure",
)
DELAYED = report(
    group(ADA, "4.4.1", "connect to mx.iceberg.example[198.51.100.7]:25: Connection timed out", "delayed"),
    "THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.",
)
AWAY = (
    b"From: Ada <ada@iceberg.example>\nTo: pingu@penguins.example\nSubject: Out of office: Fish\n"
    b"Auto-Submitted: auto-replied\n\nI am on the ice until Monday.\n"
)
ORDINARY = (
    b"Return-Path: <ada@iceberg.example>\nFrom: Ada <ada@iceberg.example>\nTo: pingu@penguins.example\n"
    b"Subject: Re: Fish\n\nThe last delivery failed, could not be delivered on time. "
    b"User bob@floe.example is unknown to me.\n"
)
