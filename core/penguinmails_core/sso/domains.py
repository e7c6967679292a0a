"""Who owns a mail domain: whoever can put a TXT record there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from penguinmails_core.kit.dns import DnsError, DnsUnavailable, Resolver
from penguinmails_core.models import SsoDomain

_LABEL, _VALUE = "_penguinmails-sso", "penguinmails-sso="


def new_token() -> str:
    """Not a secret: it is published. It ties the record to one connection."""
    return secrets.token_hex(16)


def record_name(domain: str) -> str:
    return f"{_LABEL}.{domain}"


def record_value(token: str) -> str:
    return _VALUE + token


async def look(resolver: Resolver, domains: Sequence[SsoDomain]) -> dict[str, bool | None]:
    """By name: whether the record is there; None when DNS gave no answer."""
    verdicts = await asyncio.gather(*(_look(resolver, domain) for domain in domains))
    return {domain.name: verdict for domain, verdict in zip(domains, verdicts, strict=True)}


async def _look(resolver: Resolver, domain: SsoDomain) -> bool | None:
    try:
        values = await resolver.txt(record_name(domain.name))
    except DnsUnavailable:
        return None
    except DnsError:
        return False
    return record_value(domain.token).encode() in [value.strip() for value in values]
