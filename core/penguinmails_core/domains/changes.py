"""What would have to change in a zone so that it holds a domain's records. Pure.

Nothing is ever overwritten unseen: an SPF or DMARC record that is there is merged, and what only its owner can decide
(two SPF records, something else where a CNAME should be) is shown as a conflict and left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from penguinmails_core.domains.dns_records import Publisher, Record, RecordStatus
from penguinmails_core.domains.judging import judge
from penguinmails_core.domains.telling import DomainRecords


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    CONFLICT = "conflict"  # left alone


@dataclass(frozen=True, slots=True)
class Existing:
    """A record of the zone. `id` is what the host calls it."""

    type: str
    name: str
    value: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """`old` and `id` are of the record that is replaced."""

    action: Action
    type: str
    name: str
    value: str
    old: str | None = None
    detail: str | None = None
    id: str = ""


def plan_of(domain: DomainRecords, zone: Mapping[str, Sequence[Existing]]) -> list[Change]:
    """`zone`: what is there now, by name in lower case."""
    records = [record for record in domain.records if record.publisher is Publisher.DOMAIN]
    changes = (_change(record, zone.get(record.name.lower(), ())) for record in records)
    return [change for change in changes if change is not None]


def _change(record: Record, there: Sequence[Existing]) -> Change | None:
    same = [one for one in there if one.type == record.type]
    others = sorted({one.type for one in there if one.type != record.type})
    seen = judge(record, [one.value for one in same], others if record.type == "CNAME" else ())
    if seen.status is RecordStatus.FOUND:
        return None
    if record.type != "CNAME" and "CNAME" in others:
        detail = f"{record.name} is an alias; no other record can stand beside a CNAME."
        return Change(Action.CONFLICT, record.type, record.name, record.value, detail=detail)
    if seen.conflicts:
        return Change(Action.CONFLICT, record.type, record.name, record.value, detail=seen.detail)
    value = seen.publish or record.value
    if seen.status is RecordStatus.MISSING:
        return Change(Action.CREATE, record.type, record.name, value)
    old = next((one for one in same if judge(record, [one.value]).values == seen.values), None)
    if old is None:
        return Change(Action.CONFLICT, record.type, record.name, record.value, detail=seen.detail)
    return Change(Action.UPDATE, record.type, record.name, value, old.value, seen.detail, old.id)


def name_of(changes: Sequence[Change]) -> str:
    """The same for the same changes: who applies must have seen them."""
    text = json.dumps([asdict(change) for change in changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
