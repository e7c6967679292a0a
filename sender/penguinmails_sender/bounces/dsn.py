"""Delivery status notifications (RFC 3464; RFC 6533 for addresses in UTF-8)."""

from __future__ import annotations

import re

from penguinmails_sender.bounces import notice
from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.reading import Group, Mail

_ACTIONS = {
    "failed": "failed",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_GENERIC = re.compile(r"\W*(?:[a-z-]+;)?\s*(?:[245]\d\d)?\s*(?:[245]\.0\.0)?\W*", re.IGNORECASE)


def read(mail: Mail) -> list[Said]:
    """One for each recipient that a group names."""
    found = [said for group in mail.status if (said := _recipient(group, mail)) is not None]
    return found


def _recipient(group: Group, mail: Mail) -> Said | None:
    fields = group.fields
    address = _address(fields.get("final-recipient", "")) or _address(fields.get("original-recipient", ""))
    if "final-recipient" not in fields and "original-recipient" not in fields:
        return None
    if not notice.is_address(address):  # such as an X.400 name or a local user
        address = _address(fields.get("x-actual-recipient", "")) or _original(fields) or address
    status = _STATUS.search(fields.get("status", ""))
    action = fields.get("action", "").lower().split("(")[0].strip()
    diagnostic = _diagnostic(group)
    beside = notice.about(mail.notice, address)
    if _GENERIC.fullmatch(diagnostic) or (beside and diagnostic and len(diagnostic) < 16):
        diagnostic = f"{diagnostic} {beside or ''}".strip()
    return Said(
        address,
        diagnostic or beside or _rest(mail),
        status[0] if status else "",
        _ACTIONS.get(action, "delivered" if not action and status and status[0].startswith("2") else "failed"),
        _host(fields.get("remote-mta", "")),
        notice.command(beside or ""),
    )


def _diagnostic(group: Group) -> str:
    values = group.repeated.get("diagnostic-code", [])
    text = " ".join(re.sub(r"^\s*[\w-]+\s*;\s*", "", value) if ";" in value[:20] else value for value in values)
    return text or group.fields.get("x-display-diagnostic", "")


def _rest(mail: Mail) -> str:
    """What people read, when the report has no words for the recipient."""
    return mail.notice[-1500:] if len(mail.status) <= 2 else ""


def _address(value: str) -> str:
    """`rfc822; user@example.com`: without the type, angle brackets and comments."""
    _, _, address = value.rpartition(";") if ";" in value else ("", "", value)
    match = re.search(r"<([^<>\s]+)>", address)
    return (match[1] if match else address.split("(")[0]).strip().strip("<>\"' ").removesuffix(".")


def _original(fields: dict[str, str]) -> str:
    address = _address(fields.get("original-recipient", ""))
    return address if notice.is_address(address) else ""


def _host(value: str) -> str:
    return value.partition(";")[2].strip().split()[0].lower() if value.partition(";")[2].strip() else ""
