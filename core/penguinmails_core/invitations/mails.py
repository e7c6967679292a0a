"""What the mail with an invitation says. Names and notes are other people's words: they stand as plain text, after what
tells where the mail comes from."""

from __future__ import annotations

from penguinmails_core.identity.mails import Mail, compose
from penguinmails_core.invitations.service import Letter


def invitation(letter: Letter, link: str) -> Mail:
    who = letter.invited_by or "An administrator"
    paragraphs = [
        f"{who} invites you to join {letter.organization} on PenguinMails as {letter.role}. Have a look here:",
        "The link works once, within seven days. If you do not know what this is about, ignore this message.",
    ]
    if letter.note:
        paragraphs.insert(1, f"Their note: {letter.note}")
    return compose(f"You are invited to {letter.organization}", paragraphs, link, "See the invitation")
