"""What can be wrong with the content of a message, by id. docs/content-checks.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error`: people or providers will mind. `warning`: some will. `info`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    severity: Severity
    what: str
    fix: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

GMAIL_CLIPS = 102 * 1024  # octets of HTML; what comes after is behind a link
CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA), for text of ordinary size
SMALLEST_FONT = 10.0  # pixels

RULES: dict[str, Rule] = {
    "subject_empty": Rule(_E, "There is no subject.", "Say in a few words what the message is about."),
    "subject_long": Rule(
        _I, "The subject is longer than 70 characters; phones show about 40.", "Put what counts first, or shorten it."
    ),
    "subject_fakes_reply": Rule(
        _W, "The subject begins as if this were an answer or a forwarded message.", "Leave out `Re:` and `Fwd:`."
    ),
    "placeholder_left": Rule(
        _E, "A placeholder was not filled in.", "Fill it in, or send the message with a template that does."
    ),
    "link_broken": Rule(_E, "A link leads nowhere.", "Give a whole address that begins with https://."),
    "link_not_https": Rule(_W, "A link is not encrypted.", "Use https:// instead of http://."),
    "link_to_address": Rule(_W, "A link leads to an IP address.", "Use a host name of a domain of yours."),
    "link_with_user": Rule(
        _E, "A link has a user name in it, as phishing has.", "Leave out what stands before the `@`."
    ),
    "link_shortened": Rule(
        _W, "A link hides behind a public shortener, as spam does.", "Link to the page itself, on a domain of yours."
    ),
    "link_text_differs": Rule(
        _E, "The text of a link names another host than it leads to.", "Let both name the same host, or use words."
    ),
    "link_text_vague": Rule(
        _I, "The text of a link says nothing when it is read alone.", "Say where it leads: `See your order`."
    ),
    "link_listed": Rule(
        _E, "The host of a link is on a blocklist.", "Do not link to it; if it is yours, find out why and get it off."
    ),
    "image_without_alt": Rule(
        _W, "An image has no text for those who do not see it.", 'Add `alt`; `alt=""` for decoration.'
    ),
    "image_inline_data": Rule(
        _E, "An image is a data: URI, which Gmail and Outlook do not show.", "Attach it with a `content_id` or link it."
    ),
    "image_not_https": Rule(_W, "An image is loaded without encryption.", "Use https:// instead of http://."),
    "image_without_size": Rule(
        _I, "The size of an image is unknown until it is loaded, so the text jumps.", "Add `width` and `height`."
    ),
    "image_only": Rule(
        _W, "There are images and hardly any text.", "Say in text what the images say; many do not load them."
    ),
    "html_clipped": Rule(
        _W, "Gmail shows the first 102 KB of the HTML only.", "Take out what nobody needs; unsubscribe links first."
    ),
    "html_nearly_clipped": Rule(
        _I, "The HTML is close to the 102 KB that Gmail shows.", "Leave room for tracking and links that are added."
    ),
    "active_content": Rule(
        _E, "There is something that mail programs remove: scripts, forms, frames.", "Link to a page that has it."
    ),
    "stylesheet_remote": Rule(_W, "A style sheet is loaded from elsewhere; most will not.", "Put the rules inline."),
    "unsubscribe_missing": Rule(
        _E, "Campaign mail without a way out that people see.", "Link to `{{unsubscribe_url}}` in the body."
    ),
    "lang_missing": Rule(
        _W, "The HTML does not say its language, so it may be read out wrongly.", 'Add `lang`: `<html lang="en">`.'
    ),
    "layout_table": Rule(
        _I, "A table that seems to be layout is read out as a table.", 'Add `role="presentation"` to it.'
    ),
    "contrast_low": Rule(
        _W, "Text and background are hard to tell apart.", "Choose colours with a contrast of 4.5 to 1 or more."
    ),
    "font_small": Rule(_W, "Text is smaller than 10 pixels.", "Make it larger, the way out above all."),
    "text_missing": Rule(
        _W, "There is no plain text beside the HTML.", "Add one; templates make it from the HTML by themselves."
    ),
    "text_differs": Rule(
        _W, "The plain text says something else than the HTML.", "Let both say the same, or have it made."
    ),
}
