"""The hash chain: what each entry's SHA-256 is made of.

``hash = SHA-256(previous_hash || canonical)``, where `canonical` is the entry as JSON in UTF-8, with sorted members and
without spaces (the rules of RFC 8785 for the values we store: texts, booleans, null and numbers that read the same
after a trip through PostgreSQL). `previous_hash` of the first entry is empty. The format is documented in
docs/audit-log.md, so that an export can be checked without our code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
MEMBERS = (
    "organization_id",
    "id",
    "sequence",
    "at",
    "workspace_id",
    "mode",
    "actor_kind",
    "actor_id",
    "actor_user_id",
    "actor_label",
    "action",
    "resource_type",
    "resource_id",
    "before",
    "after",
    "request_id",
    "ip",
    "user_agent",
)


def moment(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds: all that the column holds."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def canonical(row: Mapping[str, Any]) -> bytes:
    """The octets of an entry that are hashed. `row` has the columns named in `MEMBERS`."""
    members = {name: _member(row[name]) for name in MEMBERS}
    members["format"] = FORMAT
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def hash_of(row: Mapping[str, Any], previous_hash: bytes) -> bytes:
    return hashlib.sha256(previous_hash + canonical(row)).digest()


def _member(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    return value if value is None or isinstance(value, (str, int, bool, dict)) else str(value)


__all__ = ["FORMAT", "MEMBERS", "canonical", "hash_of", "moment"]
