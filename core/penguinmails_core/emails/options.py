"""What a message asks of the sender beyond its content, stored with the message as JSON: only what is not usual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from penguinmails_core.emails.draft_input import EmailInput
from penguinmails_core.emails.draft_rules import Faults

MAX_LIST_CHARACTERS = 64
LIST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_OWN = "list-unsubscribe"


def message_options(email: EmailInput, faults: Faults) -> dict[str, Any]:
    """``{}`` for most mail, else ``{"unsubscribe": {"list": "news"}, "tracking": {"clicks": true}}`` and the like."""
    options: dict[str, Any] = {}
    if email.unsubscribe is not None or email.message_class == "campaign":
        unsubscribe = _unsubscribe(email, faults)
        if unsubscribe is not None:
            options["unsubscribe"] = unsubscribe
    if email.tracking is not None and email.html is not None:  # plain text has nothing to follow
        tracking = {name: True for name in ("opens", "clicks") if getattr(email.tracking, name)}
        if tracking:
            options["tracking"] = tracking
    return options


def list_of(options: Mapping[str, Any]) -> str | None:
    """The list that a message is of."""
    name: str | None = options.get("unsubscribe", {}).get("list")
    return name


def _unsubscribe(email: EmailInput, faults: Faults) -> dict[str, Any] | None:
    """Campaign mail always has a way out (RFC 8058; Gmail's and Yahoo's rules for bulk senders): ours, or the one that
    the caller's own header names."""
    asked = email.unsubscribe
    own = any(name.lower() == _OWN for name in email.headers)
    if asked is None:
        return None if own else {}
    if not asked.enabled:
        if email.message_class == "campaign" and not own:
            detail = (
                "Campaign mail must let people unsubscribe. Leave `unsubscribe` out, or give a List-Unsubscribe header "
                "of your own in `headers`."
            )
            faults.add("/unsubscribe/enabled", "unsubscribe_required", detail)
        if asked.list is not None:
            faults.add("/unsubscribe/list", "not_used", "`list` has no meaning without `enabled`. Leave it out.")
        return None
    if own:
        detail = "The message has a List-Unsubscribe header of its own. Leave out that header, or `unsubscribe`."
        faults.add("/unsubscribe", "unsubscribe_twice", detail)
    if asked.list is None:
        return {}
    if not LIST_NAME.fullmatch(asked.list):
        detail = (
            f"`list` is 1 to {MAX_LIST_CHARACTERS} lower-case letters, digits, dots, hyphens and underscores, and "
            "begins and ends with a letter or digit, such as product-news."
        )
        faults.add("/unsubscribe/list", "invalid_list", detail)
    return {"list": asked.list}
