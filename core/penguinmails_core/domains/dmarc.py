"""DMARC policy records as RFC 9989 has them: read leniently, written without what it removed."""

from __future__ import annotations

from collections.abc import Mapping

POLICIES = ("none", "quarantine", "reject")
_REMOVED = ("pct", "rf", "ri")  # of RFC 7489; accepted when read, never written


def tags(record: str) -> dict[str, str]:
    """Tags in their order, names in lower case; what is no ``name=value`` is left out (RFC 9989 ignores it too)."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def is_dmarc(record: str) -> bool:
    """The version comes first and is written ``DMARC1``."""
    first = record.split(";", 1)[0].partition("=")
    return first[0].strip().lower() == "v" and first[2].strip().upper() == "DMARC1"


def policy_of(record: str) -> str | None:
    value = tags(record).get("p", "").lower()
    return value if value in POLICIES else None


def written(found: Mapping[str, str]) -> str:
    rest = {name: value for name, value in found.items() if name not in ("v", "p", *_REMOVED)}
    return "; ".join(f"{name}={value}" for name, value in ({"v": "DMARC1", "p": found["p"]} | rest).items())


def desired(policy: str, reports: str) -> str:
    """`reports`: the address of aggregate reports, or empty."""
    return written({"v": "DMARC1", "p": policy} | ({"rua": f"mailto:{reports}"} if reports else {}))


def merged(record: str, policy: str, reports: str) -> str:
    """What the owner has, with a policy at least as strong as `policy` and our address beside theirs."""
    found = tags(record)
    now = policy_of(record)
    stronger = max(POLICIES.index(policy), POLICIES.index(now) if now else 0)
    found["p"] = POLICIES[stronger]
    addresses = [uri.strip() for uri in found.get("rua", "").split(",") if uri.strip()]
    if reports and not reports_to(record, reports):
        addresses.append(f"mailto:{reports}")
    if addresses:
        found["rua"] = ",".join(addresses)
    return written(found)


def reports_to(record: str, address: str) -> bool:
    """Whether `address` gets aggregate reports; a size limit behind ``!`` does not matter."""
    uris = tags(record).get("rua", "").split(",")
    return f"mailto:{address}".lower() in [uri.split("!", 1)[0].strip().lower() for uri in uris]
