"""The table of cases as requests. Signatures are made here from the specification, not by the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "cases.json").read_text())
_KEYS = {"A": b"\x31\xf2\x90\xfa" * 8, "B": bytes(range(24)), "LONG": bytes(range(64))}
_ED25519 = {name: Ed25519PrivateKey.from_private_bytes(name.encode() * 32) for name in "KL"}


@dataclass(frozen=True, slots=True)
class Case:
    """`request` is what a driver reads; `reference`: whether published libraries agree and can be asked."""

    name: str
    expect: str
    request: dict[str, Any] = field(repr=False)
    reference: bool
    ed25519: bool


def secret(name: str) -> str:
    kind, _, key = name.rpartition(" ")
    if name.startswith("PUBLIC "):
        public = _ED25519[key].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return "whpk_" + base64.b64encode(public).decode()
    if key in _KEYS:
        return ("" if kind == "bare" else "whsec_") + base64.b64encode(_KEYS[key]).decode()
    return name


def cases(now: int) -> list[Case]:
    """Every case as if it were `now`, in Unix seconds."""
    return [_case(row, now) for row in _TABLE["cases"]]


def _case(row: dict[str, Any], now: int) -> Case:
    sent = {"id": row.get("id", "evt_1"), "age": row.get("age", 0), "body": row.get("body", _TABLE["body"])}
    signed = sent | row.get("signed", {})
    stamp = row.get("timestamp", str(now - sent["age"]))
    content = f"{signed['id']}.{row.get('timestamp', str(now - signed['age']))}.{signed['body']}".encode()
    headers = {
        "webhook-id": sent["id"],
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(part, content) for part in row.get("signatures", ["v1:A"])),
    }
    headers.pop(row.get("omit", ""), None)
    change = {"upper": str.upper, "title": str.title, "lower": str.lower}[row.get("header_case", "lower")]
    request = {
        "secrets": [secret(name) for name in row.get("secrets", ["A"])],
        "headers": {change(name): value for name, value in headers.items()},
        "body": base64.b64encode(sent["body"].encode()).decode(),
        "now": now,
    }
    fixed = "timestamp" in row  # those libraries read any number as a time
    reference = row.get("reference", True) is not None and not fixed and not row.get("ed25519", False)
    return Case(row["name"], row["expect"], request, reference, row.get("ed25519", False))


def _signature(part: str, content: bytes) -> str:
    how, colon, name = part.partition(":")
    if not colon:
        return part
    if how == "v1a":
        return "v1a," + base64.b64encode(_ED25519[name].sign(content)).decode()
    digest = hmac.new(_KEYS[name], content, hashlib.sha256).digest()
    text = base64.b64encode(digest).decode()
    written = {
        "v1": f"v1,{text}",
        "v2": f"v2,{text}",
        "bare": text,
        "hex": f"v1,{digest.hex()}",
        "unpadded": f"v1,{text.rstrip('=')}",
    }
    return written[how]
