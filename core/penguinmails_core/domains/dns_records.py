"""What a sending domain should publish. Pure: how what DNS says is judged is in `judging.py`, who asks in `looking.py`.

Only the RSA DKIM key proves control: it is random, made for one organization and one domain, so only who can write the
zone can publish it. The others make mail arrive, or tell how it did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from penguinmails_core.domains import dmarc, spf
from penguinmails_core.domains.policy import Wanted
from penguinmails_core.kit.dns import Kind

RETURN_PATH, TRACKING = "bounces", "links"  # names of ours under the domain


class Purpose(StrEnum):
    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"
    RETURN_PATH = "return_path"
    TRACKING = "tracking"
    MTA_STS = "mta_sts"
    TLS_REPORTS = "tls_reports"
    BIMI = "bimi"
    DMARC_AUTHORISATION = "dmarc_authorisation"


class RecordStatus(StrEnum):
    UNCHECKED = "unchecked"  # nobody has looked yet
    FOUND = "found"
    MISSING = "missing"
    MISMATCH = "mismatch"  # there is something else, or too much
    PROPAGATING = "propagating"  # some resolvers see it, most do not yet
    UNAVAILABLE = "unavailable"  # DNS gave no answer; try again


class Reason(StrEnum):
    """What is wrong with a record."""

    MISSING = "missing"
    SEVERAL = "several"  # receivers then use none of them
    OTHER_KEY = "other_key"
    REVOKED = "revoked"  # a DKIM key without a key (RFC 6376 §3.6.1)
    NOT_REVOKED = "not_revoked"  # a key that was replaced is still there
    MECHANISM_MISSING = "mechanism_missing"
    TOO_MANY_LOOKUPS = "too_many_lookups"
    BROKEN_INCLUDE = "broken_include"
    NO_POLICY = "no_policy"
    WEAKER_POLICY = "weaker_policy"
    REPORTS_ELSEWHERE = "reports_elsewhere"
    OTHER_TARGET = "other_target"
    OTHER_VALUE = "other_value"
    CNAME_CONFLICT = "cname_conflict"
    PROPAGATING = "propagating"
    UNAVAILABLE = "unavailable"


class Publisher(StrEnum):
    """Whose zone the record belongs in."""

    DOMAIN = "domain"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Record:
    """A record to publish. `proof` marks the one that proves control; `terms` are what judging needs beside the value:
    of SPF the mechanisms, of DMARC the policy and the address of reports; of a DKIM key its state."""

    purpose: Purpose
    name: str
    value: str
    proof: bool = False
    type: Kind = "TXT"
    publisher: Publisher = Publisher.DOMAIN
    terms: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What its observation is kept under."""
        return self.name if self.type == "TXT" else f"{self.type} {self.name}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one resolver said."""

    resolver: str
    status: RecordStatus
    values: Sequence[str] = ()
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What the last look found, all resolvers taken together. `values` are the records of this purpose, shortened;
    `reason` is a stable code, `detail` the same for people, `fix` what to do. `publish` is what to publish instead of
    the record's own value: merged with what is there. `visible_by` (ISO 8601): when a change made now is seen
    everywhere. Of SPF, `lookups` and `void` count what evaluating costs."""

    status: RecordStatus
    values: Sequence[str] = ()
    detail: str | None = None
    reason: Reason | None = None
    fix: str | None = None
    publish: str | None = None
    ttl: int | None = None
    visible_by: str | None = None
    conflicts: Sequence[str] = ()
    lookups: int | None = None
    void: int | None = None
    resolvers: Sequence[Seen] = ()

    def to_json(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in _PLAIN}
        seen = [
            {"resolver": one.resolver, "status": str(one.status), "values": list(one.values), "ttl": one.ttl}
            for one in self.resolvers
        ]
        return found | {
            "status": str(self.status),
            "reason": str(self.reason) if self.reason is not None else None,
            "values": list(self.values),
            "conflicts": list(self.conflicts),
            "resolvers": seen,
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Observation:
        if not stored:
            return cls(RecordStatus.UNCHECKED)
        seen = [
            Seen(one["resolver"], RecordStatus(one["status"]), tuple(one["values"]), one["ttl"])
            for one in stored.get("resolvers", ())
        ]
        return cls(
            RecordStatus(stored["status"]),
            tuple(stored["values"]),
            reason=Reason(stored["reason"]) if stored.get("reason") else None,
            conflicts=tuple(stored.get("conflicts", ())),
            resolvers=tuple(seen),
            **{name: stored.get(name) for name in _PLAIN},
        )


_PLAIN = ("detail", "fix", "publish", "ttl", "visible_by", "lookups", "void")


def to_publish(record: Record, seen: Observation) -> str:
    """The value to publish, given what is there: a domain has one SPF record, so ours joins the one it has. A second
    would make receivers use neither (RFC 7208 §4.5)."""
    if seen.publish is None and record.purpose is Purpose.SPF and len(seen.values) == 1:
        return spf.merged(seen.values[0], record.terms[0])
    return seen.publish or record.value


def desired(wanted: Wanted) -> list[Record]:
    """Every record that applies, those that verify the domain first."""
    domain, policy, options = wanted.domain, wanted.policy, wanted.options
    records = [_dkim(domain, key.selector, key.algorithm, key.value, key.state) for key in _in_order(wanted)]
    if policy.spf:
        records.append(Record(Purpose.SPF, domain, f"v=spf1 {policy.spf} ~all", terms=(policy.spf,)))
    value = dmarc.desired(options.dmarc_policy, policy.dmarc_reports)
    terms = (options.dmarc_policy, policy.dmarc_reports)
    records.append(Record(Purpose.DMARC, f"_dmarc.{domain}", value, terms=terms))
    if policy.return_path_host and options.return_path:
        records.append(_alias(Purpose.RETURN_PATH, f"{RETURN_PATH}.{domain}", policy.return_path_host))
    if policy.tracking_host and options.tracking:
        records.append(_alias(Purpose.TRACKING, f"{TRACKING}.{domain}", policy.tracking_host))
    return [*records, *_transport(wanted), *_bimi(wanted), *_authorisation(domain, policy.dmarc_reports)]


def _in_order(wanted: Wanted) -> list[Any]:
    return sorted(wanted.keys, key=lambda key: (_STATES.index(key.state), len(key.selector), key.selector))


_STATES = ("active", "next", "retiring", "revoked")


def _dkim(domain: str, selector: str, algorithm: str, value: str, state: str) -> Record:
    shown = revoked(value) if state == "revoked" else value
    proof = state == "active" and algorithm == "rsa-sha256"
    return Record(Purpose.DKIM, f"{selector}._domainkey.{domain}", shown, proof, terms=(state,))


def revoked(value: str) -> str:
    """An empty `p=`: the key is withdrawn (RFC 6376 §3.6.1)."""
    kept = [tag.strip() for tag in value.split(";") if tag.strip() and tag.split("=", 1)[0].strip() != "p"]
    return "; ".join([*kept, "p="])


def _alias(purpose: Purpose, name: str, target: str) -> Record:
    return Record(purpose, name, target.rstrip(".").lower(), type="CNAME")


def _transport(wanted: Wanted) -> list[Record]:
    """MTA-STS (RFC 8461) and reports about TLS (RFC 8460), for mail that comes *to* the domain."""
    domain, policy, options = wanted.domain, wanted.policy, wanted.options
    records = []
    if policy.mta_sts_host and options.mta_sts != "off":
        # The id changes when the policy does, for that is when senders fetch it again (§3.1).
        version = hashlib.sha256(f"{options.mta_sts} {policy.mta_sts_host}".encode()).hexdigest()[:20]
        records.append(Record(Purpose.MTA_STS, f"_mta-sts.{domain}", f"v=STSv1; id={version}"))
        records.append(_alias(Purpose.MTA_STS, f"mta-sts.{domain}", policy.mta_sts_host))
    if policy.tls_reports and options.tls_reports:
        value = f"v=TLSRPTv1; rua=mailto:{policy.tls_reports}"
        records.append(Record(Purpose.TLS_REPORTS, f"_smtp._tls.{domain}", value, terms=(policy.tls_reports,)))
    return records


def _bimi(wanted: Wanted) -> list[Record]:
    """Only where DMARC is enforced: elsewhere receivers show no logo."""
    options = wanted.options
    if not options.bimi_logo or options.dmarc_policy == "none":
        return []
    value = f"v=BIMI1; l={options.bimi_logo}; a={options.bimi_certificate or ''}"
    return [Record(Purpose.BIMI, f"default._bimi.{wanted.domain}", value)]


def _authorisation(domain: str, reports: str) -> list[Record]:
    """Receivers send reports to another domain only when that one says so (RFC 9990 §3)."""
    host = reports.rpartition("@")[2].lower()
    if not host or host == domain or domain.endswith(f".{host}") or host.endswith(f".{domain}"):
        return []
    name = f"{domain}._report._dmarc.{host}"
    return [Record(Purpose.DMARC_AUTHORISATION, name, "v=DMARC1", publisher=Publisher.OPERATOR)]
