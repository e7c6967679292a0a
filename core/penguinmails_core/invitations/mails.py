"""What the mail with an invitation says. Names and notes are other people's words: they stand as plain text, after what
tells where the mail comes from."""

from __future__ import annotations

from urllib.parse import quote

from penguinmails_core.identity.mails import Mail, compose
from penguinmails_core.invitations.service import Letter


def link(base: str, letter: Letter) -> str:
    """Where the person looks at the invitation. `base` is where people reach this server."""
    return f"{base}/invitation?token={quote(letter.token)}"


def invitation(letter: Letter, link: str) -> Mail:
    who = letter.invited_by or "An administrator"
    paragraphs = [
        f"{who} invites you to join {letter.organization} on PenguinMails as {letter.role}. Have a look here:",
        "The link works once, within seven days. If you do not know what this is about, ignore this message.",
    ]
    if letter.note:
        paragraphs.insert(1, f"Their note: {letter.note}")
    return compose(f"You are invited to {letter.organization}", paragraphs, link, "See the invitation")
