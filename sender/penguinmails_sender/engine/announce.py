"""Events of what a claim or a takeover decided; results write their own. Always in the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from penguinmails_core.emails.payload import data_of_joined
from penguinmails_core.events.types import EventType
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.db import Connection
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.models.email import RecipientStatus
from penguinmails_core.sending import repository
from penguinmails_sender.engine.outcomes import OUTCOME_UNKNOWN


async def tell_finished(connection: Connection, rows: Sequence[Any]) -> None:
    """Rows of `repository.claim` that will not be sent: suppressed or expired."""
    entries = []
    for row in rows:
        kind = EventType.EMAIL_SUPPRESSED if row["verdict"] == "suppressed" else EventType.EMAIL_FAILED
        entries.append((row, kind, {**data_of_joined(row), "reason": row["verdict"]}, row["event_sequence"] + 1))
    await _tell(connection, entries)


async def tell_lost(connection: Connection, rows: Sequence[Any]) -> None:
    """Rows of `repository.take_over_lost`: due again, or given up."""
    entries = []
    for row in rows:
        data = {**data_of_joined(row), "attempt": row["number"]}
        if row["status"] == RecipientStatus.QUEUED:
            data["next_attempt_at"] = rfc3339(row["due_at"])
            entries.append((row, EventType.EMAIL_DELIVERY_DELAYED, data, row["event_sequence"]))
        else:
            data["reason"] = OUTCOME_UNKNOWN
            entries.append((row, EventType.EMAIL_FAILED, data, row["event_sequence"]))
    await _tell(connection, entries)


async def _tell(connection: Connection, entries: Sequence[tuple[Any, EventType, dict[str, Any], int]]) -> None:
    columns = zip(
        *[
            (
                row["organization_id"],
                row["workspace_id"],
                new_uuid(),
                row["mode"],
                kind,
                row["id"],
                sequence,
                orjson.dumps(data).decode(),
            )
            for row, kind, data, sequence in entries
        ],
        strict=True,
    )
    await repository.write_events(connection, list(columns))
