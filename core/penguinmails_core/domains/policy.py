"""What the operator and the owner of a domain decide about its DNS; which records there are follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from penguinmails_core.config import DomainsSettings, SenderSettings

DMARC_POLICIES = ("none", "quarantine", "reject")
MTA_STS_MODES = ("off", "testing", "enforce")


@dataclass(frozen=True, slots=True)
class DnsPolicy:
    """The operator's side. Hosts are empty where this server does not offer the thing. `grace`: how long mail still
    leaves after the proof of control has gone from DNS; `keep_old`: how long a replaced DKIM key stays published."""

    spf: str = ""
    return_path_host: str = ""
    tracking_host: str = ""
    mta_sts_host: str = ""
    dmarc_reports: str = ""
    tls_reports: str = ""
    grace: timedelta = timedelta(hours=72)
    rotation_wait: timedelta = timedelta(hours=1)
    keep_old: timedelta = timedelta(days=7)
    check_every: timedelta = timedelta(hours=6)

    @classmethod
    def of(cls, sender: SenderSettings, domains: DomainsSettings) -> DnsPolicy:
        given = {each.name: getattr(domains, each.name) for each in fields(cls) if each.name != "spf"}
        return cls(spf=sender.spf, **given)


@dataclass(frozen=True, slots=True)
class DomainOptions:
    """The owner's side, kept in `domains.options`; what is not kept there has the value given here."""

    dmarc_policy: str = "none"
    return_path: bool = True
    tracking: bool = True
    mta_sts: str = "off"
    tls_reports: bool = False
    bimi_logo: str | None = None
    bimi_certificate: str | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> DomainOptions:
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A DKIM key as DNS is asked to hold it: `state` is `next`, `active`, `retiring` or `revoked`."""

    selector: str
    algorithm: str
    value: str
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that the desired records of a domain are made from."""

    domain: str
    keys: tuple[KeyFacts, ...]
    policy: DnsPolicy = field(default_factory=DnsPolicy)
    options: DomainOptions = field(default_factory=DomainOptions)
