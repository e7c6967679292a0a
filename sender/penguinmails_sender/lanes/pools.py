"""IP pools: which local addresses a source sends from. An operator's data, in the lanes file."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from pathlib import Path
from typing import Any
from uuid import UUID

from penguinmails_core.lanes.policies import PolicyError


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A local address and how much of the pool's mail it takes, relative to the others."""

    address: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Pools:
    """Addresses by source. A source without a pool, such as `default`, sends from whichever the system takes."""

    pools: Mapping[str, tuple[SourceAddress, ...]] = field(default_factory=dict)

    def address(self, source: str, message_id: UUID) -> str | None:
        """Weighted rendezvous hashing: every attempt of a message leaves from the same address, and an address that is
        added or taken away moves only its own share."""
        choices = self.pools.get(source)
        if not choices:
            return None
        return max(choices, key=lambda choice: choice.weight / -log(_share(message_id, choice.address))).address


def _share(message_id: UUID, address: str) -> float:
    """Between 0 and 1, both excluded."""
    digest = blake2b(address.encode(), key=message_id.bytes, digest_size=8).digest()
    return (int.from_bytes(digest) + 0.5) / 2**64


def load_pools(path: Path | None) -> Pools:
    """`[[pool]]` of the lanes file. Raises `PolicyError`, and `OSError` for a file that cannot be read."""
    return Pools() if path is None else parse_pools(path.read_text())


def parse_pools(text: str) -> Pools:
    """Raises `PolicyError`."""
    try:
        rows = tomllib.loads(text).get("pool", [])
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from None
    pools: dict[str, tuple[SourceAddress, ...]] = {}
    for row in rows:
        name = row.get("name")
        if not isinstance(name, str) or not name or "/" in name or name in pools:
            raise PolicyError(f"pool {name!r}: give each its own name, without a slash")
        pools[name] = tuple(_address(name, item) for item in row.get("addresses", []))
        if not pools[name]:
            raise PolicyError(f"pool {name!r}: has no addresses")
    return Pools(pools)


def _address(pool: str, item: Any) -> SourceAddress:
    raw = {"address": item} if isinstance(item, str) else dict(item)
    try:
        found = SourceAddress(str(ipaddress.ip_address(raw.pop("address"))), float(raw.pop("weight", 1)))
    except (KeyError, ValueError) as error:
        raise PolicyError(f"pool {pool!r}: {error}") from None
    if raw or not 0 < found.weight < 1e9:
        raise PolicyError(f"pool {pool!r}: an address has `address` and a `weight` above 0, nothing else")
    return found
