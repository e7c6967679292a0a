"""What our own mail says. Plain sentences, one link, no images: it must read well in any client."""

from __future__ import annotations

import html
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    text: str
    html: str


def compose(subject: str, paragraphs: list[str], link: str = "", label: str = "") -> Mail:
    """`link` is shown as a button with `label` in HTML, and in full in the text."""
    parts = [*paragraphs[:1], *([link] if link else []), *paragraphs[1:]]
    text = "\n\n".join(parts) + "\n"
    blocks = [f'<p style="margin:0 0 16px">{html.escape(paragraph)}</p>' for paragraph in paragraphs]
    if link:
        button = (
            f'<p style="margin:0 0 16px"><a href="{html.escape(link)}" style="display:inline-block;padding:12px 20px;'
            f'background:#1d4ed8;color:#ffffff;text-decoration:none;border-radius:6px">{html.escape(label)}</a></p>'
        )
        blocks.insert(1, button)
    body = (
        '<div style="font-family:system-ui,sans-serif;font-size:16px;line-height:1.5;color:#1f2937;max-width:560px;'
        f'margin:0 auto;padding:24px">{"".join(blocks)}</div>'
    )
    return Mail(subject, text, body)


def signup(link: str) -> Mail:
    return compose(
        "Confirm your e-mail address",
        [
            "Somebody, hopefully you, wants to sign up for PenguinMails with this address. Confirm it here:",
            "The link works once, within 24 hours. If it was not you, ignore this message: nothing was created.",
        ],
        link,
        "Confirm address",
    )


def known_account(link: str) -> Mail:
    return compose(
        "You already have an account",
        [
            "Somebody, hopefully you, tried to sign up for PenguinMails with this address, but it has an account. "
            "Sign in here:",
            "If you do not know the password, choose “Forgot password?” there. If it was not you, ignore this message.",
        ],
        link,
        "Sign in",
    )


def reset(link: str) -> Mail:
    return compose(
        "Choose a new password",
        [
            "Somebody, hopefully you, asked for a new password for PenguinMails. Choose it here:",
            "The link works once, within an hour. If it was not you, ignore this message: the password stays as it is.",
        ],
        link,
        "Choose a password",
    )


def change_email(link: str) -> Mail:
    return compose(
        "Confirm your new e-mail address",
        [
            "Confirm that you want to use this address to sign in to PenguinMails:",
            "The link works once, within 24 hours. If it was not you, ignore this message.",
        ],
        link,
        "Confirm address",
    )


def notice(what: str) -> Mail:
    """Something about the security of an account changed."""
    return compose(
        f"Security notice: {what}",
        [
            f"{what[0].upper()}{what[1:]} for your PenguinMails account.",
            "If it was you, there is nothing to do. If not, choose a new password now and look at your sessions.",
        ],
    )
