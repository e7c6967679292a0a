"""Amazon SES notifications that Amazon SNS sent as mail: JSON in the text ("Amazon SNS notification contents")."""

from __future__ import annotations

import json
from typing import Any

from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.reading import Mail


def speaks(mail: Mail) -> bool:
    return (
        '"notificationType' in mail.text.replace("\\", "")[:4000] or '"eventType' in mail.text.replace("\\", "")[:4000]
    )


def read(mail: Mail, found: list[Said]) -> list[Said]:
    """Bounces and deliveries; complaints are read as feedback elsewhere."""
    note = _note(mail.text)
    bounce, delivery = note.get("bounce"), note.get("delivery")
    if isinstance(bounce, dict):
        return [
            Said(
                str(one.get("emailAddress", "")).strip("<>"),
                str(one.get("diagnosticCode", "")).removeprefix("smtp;").strip(),
                str(one.get("status", "")),
                "delayed" if bounce.get("bounceType") == "Transient" and "status" not in one else "failed",
            )
            for one in bounce.get("bouncedRecipients", [])
            if isinstance(one, dict)
        ]
    if isinstance(delivery, dict):
        answer = str(delivery.get("smtpResponse", ""))
        return [Said(str(address), answer, action="delivered") for address in delivery.get("recipients", [])]
    return found


def _note(text: str) -> dict[str, Any]:
    """The notification, alone or as the `Message` of an SNS envelope; a text below it is passed over."""
    start = text.find("{")
    try:
        outer, _ = json.JSONDecoder().raw_decode(text[start:].replace("\n", " ")) if start >= 0 else ({}, 0)
        inner = outer.get("Message", outer) if isinstance(outer, dict) else {}
        note = json.loads(inner) if isinstance(inner, str) else inner
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}
