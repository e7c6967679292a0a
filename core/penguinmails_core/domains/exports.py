"""What a domain should publish, in the words of those who publish it: a zone file, Cloudflare's API, Terraform."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from penguinmails_core.domains.dns_records import Observation, Publisher, Record, RecordStatus, to_publish

TTL = 3600  # seconds
_STRING = 255  # octets of one character-string (RFC 1035 §3.3)


class ExportFormat(StrEnum):
    """`zone`: lines of a zone file (RFC 1035 §5). `cloudflare`: the body of a batch of DNS records for Cloudflare's
    API. `terraform`: resources of its Cloudflare provider, version 5."""

    ZONE = "zone"
    CLOUDFLARE = "cloudflare"
    TERRAFORM = "terraform"


def export(form: ExportFormat, records: Sequence[Record], observed: Mapping[str, Observation]) -> str:
    """Only what is not there yet, or not right. Where a record has to take the place of another one, a comment says so:
    a second SPF or DMARC record beside the first would make receivers use neither."""
    todo = [(record, observed[record.key]) for record in records if record.publisher is Publisher.DOMAIN]
    todo = [(record, seen) for record, seen in todo if seen.status is not RecordStatus.FOUND]
    if form is ExportFormat.ZONE:
        return "".join(_zone_lines(record, seen) for record, seen in todo)
    if form is ExportFormat.CLOUDFLARE:
        return json.dumps({"posts": [_cloudflare(record, seen) for record, seen in todo]}, indent=2) + "\n"
    return "\n".join(_terraform(record, seen) for record, seen in todo)


def character_strings(value: str) -> list[str]:
    """A TXT value in quoted strings of at most 255 octets, escaped (RFC 1035 §5.1)."""
    octets = value.encode()
    parts = [octets[start : start + _STRING] for start in range(0, max(len(octets), 1), _STRING)]
    return ['"' + "".join(_escaped(octet) for octet in part) + '"' for part in parts]


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"


def _replaces(seen: Observation) -> str | None:
    if seen.status is not RecordStatus.MISMATCH:
        return None
    return "Takes the place of what is there: " + " | ".join(" ".join(value.split()) for value in seen.values)


def _content(record: Record, seen: Observation) -> str:
    return " ".join(character_strings(to_publish(record, seen))) if record.type == "TXT" else record.value


def _zone_lines(record: Record, seen: Observation) -> str:
    note = _replaces(seen)
    data = _content(record, seen) if record.type == "TXT" else f"{record.value}."
    line = f"{record.name}.\t{TTL}\tIN\t{record.type}\t{data}\n"
    return (f"; {note}\n" if note else "") + line


def _cloudflare(record: Record, seen: Observation) -> dict[str, object]:
    comment = _replaces(seen)
    found: dict[str, object] = {
        "type": record.type,
        "name": record.name,
        "content": _content(record, seen),
        "ttl": TTL,
    }
    if record.type == "CNAME":
        found["proxied"] = False
    return found | ({"comment": comment[:100]} if comment else {})  # longer ones are refused


def _terraform(record: Record, seen: Observation) -> str:
    note = _replaces(seen)
    content = _hcl(_content(record, seen))
    label = record.name.replace(".", "_").replace("-", "_").lstrip("_")
    lines = [
        *([f"# {note}"] if note else []),
        f'resource "cloudflare_dns_record" "{record.purpose}_{label}" {{',
        "  zone_id = var.zone_id",
        f"  name    = {_hcl(record.name)}",
        f'  type    = "{record.type}"',
        f"  content = {content}",
        f"  ttl     = {TTL}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _hcl(text: str) -> str:
    """A quoted string in which nothing is a template."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'
