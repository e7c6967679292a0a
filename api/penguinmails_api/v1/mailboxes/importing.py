"""Rows of an import: read, checked one by one, kept or refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.v1.mailboxes.schemas import (
    MailboxImport,
    MailboxImportError,
    MailboxImportResult,
    MailboxImportRow,
    MailboxRow,
)
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.mailboxes.importing import Row, import_row, read_csv
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.principal import Principal

_NUMBERS = ("daily_cap", "hourly_cap", "min_gap_seconds", "gap_jitter_seconds")


def rows_of(body: MailboxImport) -> Sequence[MailboxRow | Mapping[str, Any]]:
    """Raises `Unprocessable` unless there is exactly one of both."""
    if (body.mailboxes is None) == (body.csv is None):
        detail = "Give either `mailboxes` or `csv`."
        raise Unprocessable(detail, errors=[FieldError("/csv", "required", detail)])
    if body.mailboxes is not None:
        return body.mailboxes
    assert body.csv is not None
    return read_csv(body.csv)


async def import_all(
    session: AsyncSession,
    caller: Principal,
    service: Mailboxes,
    rows: Sequence[MailboxRow | Mapping[str, Any]],
) -> MailboxImportResult:
    results = []
    for number, row in enumerate(rows):
        try:
            checked = row if isinstance(row, MailboxRow) else MailboxRow.model_validate(_numbers(row))
        except ValidationError as error:
            results.append(Row(number, None, _faults(error)))
            continue
        results.append(await import_row(session, caller, service, number, checked.asked()))
    made = sum(result.mailbox is not None for result in results)
    return MailboxImportResult(created=made, failed=len(results) - made, rows=[_shown(result) for result in results])


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """Cells are text; those of numbers are read as such where they are."""

    def read(text: Any) -> Any:
        return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else text

    found = {name: read(value) if name in _NUMBERS else value for name, value in row.items()}
    for name in ("smtp", "imap"):
        if name in found and "port" in found[name]:
            found[name] = found[name] | {"port": read(found[name]["port"])}
    return found


def _faults(error: ValidationError) -> list[FieldError]:
    return [
        FieldError("/" + "/".join(str(part) for part in fault["loc"]), fault["type"], fault["msg"])
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _shown(row: Row) -> MailboxImportRow:
    return MailboxImportRow(
        index=row.number,
        mailbox_id=ids.encode(Prefix.MAILBOX, row.mailbox.id) if row.mailbox is not None else None,
        errors=[MailboxImportError(pointer=e.pointer, code=e.code, detail=e.detail) for e in row.errors],
    )
