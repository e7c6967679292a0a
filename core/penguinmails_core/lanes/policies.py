"""What lanes may do and when they back off, as `data/policies.toml` says. An operator's own file goes before it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from penguinmails_core.kit.providers import OTHER

Action = Literal["none", "slow", "fewer", "crawl", "pause", "pause_domain"]
_ACTIONS = frozenset(get_args(Action))
_TLS = frozenset({"opportunistic", "required"})
DEFAULT = "default"
_Row = TypeVar("_Row")


class PolicyError(ValueError):
    """A row of a policy file that makes no sense; says which."""


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What one source may send to one group. `per_second` 0 is no limit. `source` and `checked`: where the numbers come
    from and when somebody last looked."""

    group: str
    connections: int
    messages_per_connection: int
    per_second: float
    tls: str
    domains: int
    source: str
    checked: date


@dataclass(frozen=True, slots=True)
class BackOffRule:
    """Counts replies, and acts at `count` within `within` seconds. `group` None: every group."""

    id: str
    action: Action
    count: int
    within: int
    seconds: int
    source: str
    checked: date
    group: str | None = None
    match: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    per_minute: float = 0

    def fits(self, group: str, reason: str, reply: str) -> bool:
        """Whether a reply of this group is one that the rule counts. `reply` is lower case, with its code."""
        if self.group is not None and self.group != group:
            return False
        if self.reasons and reason not in self.reasons:
            return False
        return not self.match or any(text in reply for text in self.match)


@dataclass(frozen=True, slots=True)
class Policies:
    policies: Mapping[str, LanePolicy]
    rules: tuple[BackOffRule, ...] = field(default=())

    def of(self, group: str) -> LanePolicy:
        return self.policies.get(group) or self.policies[DEFAULT]

    def rule_for(self, group: str, reason: str, reply: str) -> BackOffRule | None:
        """The first rule that counts such a reply."""
        lower = reply.lower()
        return next((rule for rule in self.rules if rule.fits(group, reason, lower)), None)


@cache
def shipped() -> Policies:
    """The file that comes with the product."""
    return parse(files("penguinmails_core.lanes").joinpath("data/policies.toml").read_text())


def load(path: Path | None) -> Policies:
    """An operator's file over the shipped one: policies of the same group and rules of the same id are replaced, new
    rules come first. Raises `PolicyError`, and `OSError` for a file that cannot be read."""
    base = shipped()
    if path is None:
        return base
    own = parse(path.read_text(), whole=False)
    replaced = {rule.id for rule in own.rules}
    rules = (*own.rules, *(rule for rule in base.rules if rule.id not in replaced))
    return Policies({**base.policies, **own.policies}, rules)


def parse(text: str, *, whole: bool = True) -> Policies:
    """Raises `PolicyError`. `whole`: the groups `default` and `other` must be there."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from None
    unknown = set(raw) - {"policy", "rule", "pool", "schedule"}
    if unknown:
        raise PolicyError(f"unknown tables: {', '.join(sorted(unknown))}")
    policies = [_policy(row) for row in raw.get("policy", [])]
    rules = tuple(_rule(row) for row in raw.get("rule", []))
    _once("policy", [policy.group for policy in policies])
    _once("rule", [rule.id for rule in rules])
    found = {policy.group: policy for policy in policies}
    if whole and not {DEFAULT, OTHER} <= set(found):
        raise PolicyError(f"the groups {DEFAULT} and {OTHER} need a policy")
    return Policies(found, rules)


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PolicyError(f"{what} {name!r} stands there twice")
        seen.add(name)


def _policy(row: dict[str, Any]) -> LanePolicy:
    name = f"policy {row.get('group')!r}"
    policy = _made(LanePolicy, name, row)
    if policy.connections < 1 or policy.messages_per_connection < 1 or policy.per_second < 0 or policy.domains < 1:
        raise PolicyError(
            f"{name}: connections, messages_per_connection and domains are 1 or more, per_second 0 or more"
        )
    if policy.tls not in _TLS:
        raise PolicyError(f"{name}: tls is one of {', '.join(sorted(_TLS))}")
    return policy


def _rule(row: dict[str, Any]) -> BackOffRule:
    name = f"rule {row.get('id')!r}"
    texts = tuple(str(text).lower() for text in row.get("match", ()))
    rule = _made(BackOffRule, name, {**row, "match": texts, "reasons": frozenset(row.get("reasons", ()))})
    if rule.action not in _ACTIONS:
        raise PolicyError(f"{name}: action is one of {', '.join(sorted(_ACTIONS))}")
    if not rule.match and not rule.reasons:
        raise PolicyError(f"{name}: give match, reasons or both")
    if rule.count < 1 or rule.within < 1 or rule.seconds < 0:
        raise PolicyError(f"{name}: count and within are 1 or more, seconds 0 or more")
    if rule.action in ("pause", "pause_domain", "crawl") and not rule.seconds:
        raise PolicyError(f"{name}: say for how many seconds")
    if rule.action == "crawl" and rule.per_minute <= 0:
        raise PolicyError(f"{name}: a crawl needs per_minute")
    return rule


def _made(kind: type[_Row], name: str, row: Mapping[str, Any]) -> _Row:
    try:
        made = kind(**row)
    except TypeError as error:
        raise PolicyError(f"{name}: {error}") from None
    if not isinstance(row.get("checked"), date) or not str(row.get("source", "")).strip():
        raise PolicyError(f"{name}: needs source and checked (a day)")
    return made
