"""Twenty-odd shapes of message, from plain to hostile, for every program that verifies what we sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from penguinmails_sender.message import Attachment, Mailbox, OutgoingMessage

PLAIN = OutgoingMessage(
    message_id="01h@acme.test",
    date=datetime(2026, 11, 25, 8, tzinfo=UTC),
    from_=Mailbox("hello@acme.test", "Acme"),
    to=(Mailbox("ada@example.test", "Ada Lovelace"),),
    subject="Your invoice",
    text="Hello Ada,\n\nyour invoice is ready.\n\nThe team\n",
)
HTML = "<!doctype html><html><body><h1>Invoice</h1>\n<p>Hello Ada</p></body></html>\n"
ONE_CLICK = (
    ("List-Unsubscribe", "<https://u.acme.test/" + "k" * 300 + ">, <mailto:u@acme.test?subject=unsubscribe>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)

SHAPES: dict[str, OutgoingMessage] = {
    "plain": PLAIN,
    "html only": replace(PLAIN, text=None, html=HTML),
    "alternative": replace(PLAIN, html=HTML),
    "international subject and names": replace(
        PLAIN, subject="Счёт 請求書 🐧 " * 12, from_=Mailbox("hello@acme.test", "Pingüino, Ltd. 漢字")
    ),
    "8-bit body": replace(PLAIN, text="Grüße aus Köln\nпривет, 例え 🐧\n", html="<p>Grüße 🐧</p>\n"),
    "long headers": replace(
        PLAIN, subject="word " * 180, headers=(("X-Long", "x" * 900), ("X-Words", "lorem ipsum " * 70))
    ),
    "white space in headers": replace(
        PLAIN, subject="  two  spaces \t and a tab ", from_=Mailbox("hello@acme.test", "A  c\tme")
    ),
    "attachment": replace(PLAIN, attachments=(Attachment("a.bin", "application/octet-stream", bytes(range(256)) * 9),)),
    "inline image": replace(
        PLAIN,
        html="<p><img src='cid:logo'></p>\n",
        attachments=(Attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n", "logo"),),
    ),
    "attachment with an international name": replace(
        PLAIN, attachments=(Attachment("Rechnung für März 漢.pdf", "application/pdf", b"%PDF-1.7\n" * 40),)
    ),
    "large": replace(PLAIN, attachments=(Attachment("big.bin", "application/octet-stream", b"\x00\xff" * 400_000),)),
    "dots": replace(PLAIN, text=".\n..\n.hidden\nend.\n.\n"),
    "From lines": replace(PLAIN, text="From me to you\n>From the start\nFrom \n"),
    "empty body": replace(PLAIN, text=""),
    "only blank lines": replace(PLAIN, text="\n\n\n\n"),
    "trailing blank lines": replace(PLAIN, text="Hello\n\n\n\n"),
    "no line end": replace(PLAIN, text="Hello"),
    "white space in the body": replace(PLAIN, text="a  b\t\tc \n \t \n  d\n"),
    "lines too long for SMTP": replace(PLAIN, text="x" * 5000 + "\n" + "é" * 3000 + "\n"),
    "one-click unsubscribe": replace(PLAIN, html=HTML, headers=ONE_CLICK),
    "campaign headers": replace(
        PLAIN,
        headers=(*ONE_CLICK, ("List-Id", "News <news.acme.test>"), ("Feedback-ID", "c1:acme:campaign:pm")),
    ),
    "several recipients": replace(
        PLAIN,
        to=tuple(Mailbox(f"reader-{n}@example.test", f"Reader {n}") for n in range(40)),
        cc=(Mailbox("grace@example.test"),),
        reply_to=(Mailbox("support@acme.test", "Support"),),
    ),
    "in a thread": replace(
        PLAIN,
        headers=(
            ("In-Reply-To", "<1@example.test>"),
            ("References", " ".join(f"<{n}.{'r' * 40}@example.test>" for n in range(12))),
        ),
    ),
    "international addresses": replace(
        PLAIN, from_=Mailbox("björn@acme.test", "Björn"), to=(Mailbox("дарья@example.test", "Дарья"),)
    ),
    "international domain": replace(PLAIN, to=(Mailbox("ada@münchen.example", "Ada"),)),
    "quoted local part": replace(PLAIN, to=(Mailbox('"ada lovelace"@example.test', 'Ada "the first" Lovelace'),)),
}
