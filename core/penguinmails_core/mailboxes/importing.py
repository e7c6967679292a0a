"""Many mailboxes at once: each row is kept or refused for itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, LimitReached, Problem
from penguinmails_core.mailboxes import rules
from penguinmails_core.mailboxes.service import Mailboxes
from penguinmails_core.models import Mailbox
from penguinmails_core.principal import Principal

_SERVER = ("host", "port", "tls", "username", "password")
COLUMNS = (
    "address",
    "display_name",
    "aliases",
    "signature_text",
    "signature_html",
    *(f"smtp_{name}" for name in _SERVER),
    *(f"imap_{name}" for name in _SERVER),
    "daily_cap",
    "hourly_cap",
    "min_gap_seconds",
    "gap_jitter_seconds",
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one row; `number` counts from 0."""

    number: int
    mailbox: Mailbox | None
    errors: Sequence[FieldError] = ()


def read_csv(text: str) -> list[dict[str, Any]]:
    """The rows as a request would have them. The first line names columns; `aliases` are separated by spaces or
    semicolons. Raises `Unprocessable` for a table that cannot be read."""
    try:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        unknown = sorted(set(names) - set(COLUMNS))
        if unknown or "address" not in names:
            detail = f"Unknown columns: {', '.join(unknown)[:200]}. " if unknown else "There is no column `address`. "
            rules.refuse([FieldError("/csv", "unknown_column", f"{detail}Columns are {', '.join(COLUMNS)}.")])
        reader.fieldnames = names
        rows: list[dict[str, Any]] = []
        for record in reader:
            if len(rows) >= rules.MAX_IMPORT:
                rules.refuse([FieldError("/csv", "too_many", f"An import has at most {rules.MAX_IMPORT} rows.")])
            rows.append(_asked({k: (v or "").strip() for k, v in record.items() if isinstance(k, str) and v}))
    except csv.Error as error:
        rules.refuse([FieldError("/csv", "invalid_csv", f"The CSV cannot be read: {error}.")])
        raise AssertionError from error
    return rows


def _asked(cells: Mapping[str, str]) -> dict[str, Any]:
    asked: dict[str, Any] = {name: value for name, value in cells.items() if value and "_host" not in name}
    for protocol in ("smtp", "imap"):
        server = {name: cells[key] for name in _SERVER if cells.get(key := f"{protocol}_{name}")}
        asked = {name: value for name, value in asked.items() if not name.startswith(f"{protocol}_")}
        if server:
            asked[protocol] = server
    if "aliases" in asked:
        asked["aliases"] = asked["aliases"].replace(";", " ").split()
    return asked


async def import_row(
    session: AsyncSession, principal: Principal, service: Mailboxes, number: int, asked: Mapping[str, Any]
) -> Row:
    """In a savepoint of its own, so that a row which is refused leaves nothing behind. Nothing is called: the mailbox
    is disconnected until it is tested."""
    try:
        async with session.begin_nested():
            return Row(number, await service.create(session, principal, asked))
    except LimitReached as error:
        return Row(number, None, [FieldError("", error.code, error.detail or error.title)])
    except Problem as error:
        return Row(number, None, error.errors or [FieldError("/address", error.code, error.detail or error.title)])
