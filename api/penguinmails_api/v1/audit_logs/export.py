"""The audit log as a file, written page by page: memory stays flat and no transaction stays open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import orjson

from penguinmails_api.context import RequestContext
from penguinmails_api.v1 import csv_cells
from penguinmails_api.v1.audit_logs.schemas import AuditLog
from penguinmails_core.audit import service
from penguinmails_core.audit.service import Export, Filter

Encode = Callable[[Sequence[AuditLog]], bytes]

_COLUMNS = (
    *("id", "sequence", "at", "action", "actor_kind", "actor_id", "actor_user_id", "actor_label", "resource_type"),
    *("resource_id", "workspace_id", "mode", "before", "after", "request_id", "ip", "user_agent", "previous_hash"),
    "hash",
)


def json_lines(entries: Sequence[AuditLog]) -> bytes:
    return b"".join(orjson.dumps(entry.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE) for entry in entries)


def csv_head() -> bytes:
    return (",".join(_COLUMNS) + "\r\n").encode()


def csv_lines(entries: Sequence[AuditLog]) -> bytes:
    """RFC 4180. `before` and `after` are JSON in a cell."""
    rows = []
    for entry in entries:
        plain = entry.model_dump(mode="json")
        actor, resource = plain.pop("actor"), plain.pop("resource")
        plain |= {f"actor_{name}": value for name, value in actor.items()}
        plain |= {f"resource_{name}": value for name, value in resource.items()}
        rows.append([plain[name] for name in _COLUMNS])
    return csv_cells.lines(rows)


async def stream(
    context: RequestContext, wanted: Filter, export: Export, encode: Encode, head: bytes = b""
) -> AsyncIterator[bytes]:
    """The oldest first, one chunk for each page of entries."""
    if head:
        yield head
    caller, database = context.caller, context.services.database
    last = 0
    while True:
        async with database.tenant(caller.organization_id) as session:
            rows = await service.export_page(session, caller, wanted, export, after=last)
        if not rows:
            return
        last = rows[-1].sequence
        yield encode([AuditLog.of(row) for row in rows])
