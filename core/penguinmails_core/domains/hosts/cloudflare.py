"""Cloudflare's API, version 4: `GET` and `POST /zones/{id}/dns_records`, `PATCH /zones/{id}/dns_records/{id}`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from penguinmails_core.domains.changes import Action, Change, Existing
from penguinmails_core.domains.exports import TTL, character_strings
from penguinmails_core.domains.hosts.base import DnsHostError
from penguinmails_core.kit.http import OutgoingError, OutgoingHttp

API = "https://api.cloudflare.com/client/v4"
_TYPES = ("TXT", "CNAME", "MX", "A", "AAAA")


@dataclass(frozen=True, slots=True)
class CloudflareHost:
    """`token` may edit the DNS of the zone; it is sent and not kept."""

    http: OutgoingHttp
    zone_id: str
    token: str = field(repr=False)
    url: str = API

    async def read(self, names: Sequence[str]) -> list[Existing]:
        found: list[Existing] = []
        for name in dict.fromkeys(names):
            path = f"/dns_records?per_page=100&name={quote(name)}"
            found += [
                Existing(one["type"], str(one["name"]).lower(), _content(one), str(one["id"]))
                for one in await self._call("GET", path)
                if one.get("type") in _TYPES and str(one.get("name", "")).lower() == name.lower()
            ]
        return found

    async def write(self, changes: Sequence[Change]) -> None:
        """In one batch, which is done as a whole or not at all."""
        batch: dict[str, list[dict[str, Any]]] = {"patches": [], "posts": []}
        for change in changes:
            content = " ".join(character_strings(change.value)) if change.type == "TXT" else change.value
            if change.action is Action.UPDATE:
                batch["patches"].append({"id": change.id, "content": content})
            else:
                record = {"type": change.type, "name": change.name, "content": content, "ttl": TTL}
                batch["posts"].append(record | ({"proxied": False} if change.type == "CNAME" else {}))
        await self._call("POST", "/dns_records/batch", batch)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        url = f"{self.url}/zones/{quote(self.zone_id, safe='')}{path}"
        data = json.dumps(body).encode() if body is not None else b""
        try:
            answer = await self.http.request(method, url, headers=headers, body=data)
        except OutgoingError as error:
            raise DnsHostError(f"Cloudflare was not reached: {error.detail}.") from None
        try:
            document = json.loads(answer.body)
            if document["success"] is True:
                return document["result"]
            reasons = "; ".join(str(error.get("message", "")) for error in document["errors"])[:300]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DnsHostError(f"Cloudflare answered {answer.status} with something unreadable.") from None
        raise DnsHostError(f"Cloudflare refused ({answer.status}): {reasons or 'no reason given'}.")


def _content(record: dict[str, Any]) -> str:
    """TXT comes in quotes, in several strings perhaps, or bare from zones of old."""
    text = str(record.get("content", ""))
    if record["type"] != "TXT":
        return text.rstrip(".").lower()
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return "".join(re.sub(r"\\(.)", r"\1", part) for part in parts) if parts else text
