"""What a key grants, as one value that can be compared and intersected.

Two rules rest on it: nobody hands out more than they have, and a derived key may never do more than its ancestors,
whatever becomes of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from penguinmails_core.errors import FieldError, GrantExceeded
from penguinmails_core.kit.clock import rfc3339
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.scopes import expand

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class KeyColumns(Protocol):
    """What a grant is read from: a row of `api_keys`."""

    @property
    def mode(self) -> str: ...
    @property
    def workspace_id(self) -> UUID | None: ...
    @property
    def scopes(self) -> list[str]: ...
    @property
    def allowed_ips(self) -> list[str] | None: ...
    @property
    def allowed_mailboxes(self) -> list[str] | None: ...
    @property
    def allowed_domains(self) -> list[str] | None: ...
    @property
    def max_sends_per_day(self) -> int | None: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """`mode` None: both. Every limit that is None is no limit. `scopes` are expanded."""

    scopes: frozenset[str]
    mode: str | None = None
    workspace_id: UUID | None = None
    networks: tuple[Network, ...] | None = None
    mailboxes: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    max_sends_per_day: int | None = None
    expires_at: datetime | None = None

    def excess(self, outer: Grant) -> list[Excess]:
        """What this grant has beyond `outer`; empty when it lies within."""
        found = []
        if outer.mode is not None and self.mode != outer.mode:
            found.append(Excess("mode", self.mode, outer.mode))
        if outer.workspace_id is not None and self.workspace_id != outer.workspace_id:
            found.append(Excess("workspace_id", _workspace(self.workspace_id), _workspace(outer.workspace_id)))
        if scopes := sorted(self.scopes - outer.scopes):
            found.append(Excess("scopes", scopes, sorted(outer.scopes)))
        if outer.networks is not None and not _covered(self.networks, outer.networks):
            found.append(Excess("allowed_ips", _shown(self.networks), _shown(outer.networks)))
        for name, mine, theirs in (
            ("allowed_mailboxes", self.mailboxes, outer.mailboxes),
            ("allowed_domains", self.domains, outer.domains),
        ):
            if theirs is not None and (mine is None or not mine <= theirs):
                found.append(Excess(name, sorted(mine - theirs) if mine is not None else None, sorted(theirs)))
        cap = outer.max_sends_per_day
        if cap is not None and (self.max_sends_per_day is None or self.max_sends_per_day > cap):
            found.append(Excess("max_sends_per_day", self.max_sends_per_day, cap))
        end = outer.expires_at
        if end is not None and (self.expires_at is None or self.expires_at > end):
            found.append(Excess("expires_at", rfc3339(self.expires_at) if self.expires_at else None, rfc3339(end)))
        return found

    def intersect(self, other: Grant) -> Grant:
        """What both allow. Mode and workspace are this one's: they are the same all along a line of keys."""
        return Grant(
            scopes=self.scopes & other.scopes,
            mode=self.mode,
            workspace_id=self.workspace_id,
            networks=_overlap(self.networks, other.networks),
            mailboxes=_both(self.mailboxes, other.mailboxes),
            domains=_both(self.domains, other.domains),
            max_sends_per_day=_least(self.max_sends_per_day, other.max_sends_per_day),
            expires_at=_least(self.expires_at, other.expires_at),
        )


@dataclass(frozen=True, slots=True)
class Excess:
    """One limit that would be exceeded: `value` was asked for, `limit` is what there is to give."""

    constraint: str
    value: Any
    limit: Any

    @property
    def detail(self) -> str:
        match self.constraint:
            case "scopes":
                return f"`scopes` holds {', '.join(self.value)}, which you do not have."
            case "mode" | "workspace_id":
                return f"`{self.constraint}` can only be {self.limit}."
            case _ if self.value is None:
                return f"`{self.constraint}` is needed: you are limited to {_list(self.limit)} yourself."
            case _:
                return f"`{self.constraint}` goes beyond {_list(self.limit)}, which is your own limit."


def grant_of(row: KeyColumns) -> Grant:
    """Of this row alone; see `effective` for a derived key."""
    return Grant(
        scopes=expand(row.scopes),
        mode=row.mode,
        workspace_id=row.workspace_id,
        networks=networks_of(row.allowed_ips),
        mailboxes=_set(row.allowed_mailboxes),
        domains=_set(row.allowed_domains),
        max_sends_per_day=row.max_sends_per_day,
        expires_at=row.expires_at,
    )


def effective(chain: Sequence[KeyColumns]) -> Grant:
    """Of a key and its ancestors, the key first."""
    grant = grant_of(chain[0])
    for ancestor in chain[1:]:
        grant = grant.intersect(grant_of(ancestor))
    return grant


def exceeded(excess: Sequence[Excess]) -> GrantExceeded:
    """The problem that tells what goes beyond."""
    errors = [FieldError("/" + item.constraint, "exceeds_grant", item.detail) for item in excess]
    extra: dict[str, Any] = {
        "excess": [{"constraint": item.constraint, "value": item.value, "limit": item.limit} for item in excess]
    }
    scopes = [item.value for item in excess if item.constraint == "scopes"]
    if scopes:
        extra["excess_scopes"] = scopes[0]
    return GrantExceeded(
        "A key can do at most what the one who makes or changes it can do. " + " ".join(item.detail for item in excess),
        errors=errors,
        extra=extra,
    )


def networks_of(texts: Iterable[str] | None) -> tuple[Network, ...] | None:
    return None if texts is None else tuple(ipaddress.ip_network(text) for text in texts)


def _set(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _least(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _covered(inner: tuple[Network, ...] | None, outer: tuple[Network, ...]) -> bool:
    """Each network inside one of `outer`. Two halves of `outer` that only together cover one do not count."""
    return inner is not None and all(any(_within(network, wide) for wide in outer) for network in inner)


def _overlap(one: tuple[Network, ...] | None, other: tuple[Network, ...] | None) -> tuple[Network, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    # Of two networks one holds the other or they share nothing.
    pairs = [(a, b) for a in one for b in other]
    shared = [a if _within(a, b) else b for a, b in pairs if _within(a, b) or _within(b, a)]
    return tuple(dict.fromkeys(shared))


def _shown(networks: tuple[Network, ...] | None) -> list[str] | None:
    return None if networks is None else [str(network) for network in networks]


def _workspace(value: UUID | None) -> str | None:
    return None if value is None else encode(Prefix.WORKSPACE, value)


def _list(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
