"""MTA-STS (RFC 8461): a domain says over HTTPS which of its servers are genuine and that they speak proper TLS.

A policy counts until its `max_age`, whatever DNS says meanwhile: who can forge DNS must not be able to take it away.
Policies are kept in memory; a worker that starts anew fetches them anew.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from penguinmails_core.kit.dns import DnsError, Resolver
from penguinmails_core.kit.http import HttpResult, OutgoingError

MOST_OCTETS = 64 * 1024
LONGEST_AGE = 31_557_600  # seconds; RFC 8461 §3.2
_LOOK_AGAIN = 300.0  # seconds until DNS is asked again for a changed id
_AFTER_FAILURE = 300.0  # RFC 8461 §3.3: do not hammer a policy host that fails
_MOST = 10_000
_ID = re.compile(r"[A-Za-z0-9]{1,32}").fullmatch
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+").fullmatch


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """`mode`: `enforce`, `testing` or `none`. `mx`: host names, or `*.` and a domain, in lower case. `max_age` in
    seconds."""

    mode: str
    mx: tuple[str, ...]
    max_age: int

    def names(self, host: str) -> bool:
        """Whether `host` is one of the domain's servers; `*` stands for exactly one label (RFC 8461 §4.1)."""
        return host in self.mx or "*." + host.partition(".")[2] in self.mx


class StsError(ValueError):
    """What was published is no policy. Safe to show."""


def parse_policy(text: str) -> StsPolicy:
    """Of a policy file. Unknown fields are left alone; of repeated ones other than `mx` the first counts (RFC 8461
    §3.2). Raises StsError."""
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon:
            if name:
                raise StsError("a line has no colon")
        elif name == "mx":
            patterns.append(value.lower().rstrip("."))
        else:
            fields.setdefault(name, value)
    if fields.get("version") != "STSv1":
        raise StsError("the version is not STSv1")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise StsError("the mode is none of enforce, testing and none")
    if not (age.isascii() and age.isdecimal() and len(age) <= 10):
        raise StsError("max_age is no number of seconds")
    if (mode != "none" and not patterns) or not all(map(_PATTERN, patterns)):
        raise StsError("mx names no server, or something that is no host name")
    return StsPolicy(mode, tuple(patterns), min(int(age), LONGEST_AGE))


def parse_record(texts: list[bytes]) -> str | None:
    """The id of the one `v=STSv1` record among a name's TXT records, None when there is none or more than one."""
    records = [text.decode("ascii", "replace") for text in texts if text.startswith(b"v=STSv1;")]
    if len(records) != 1:
        return None
    for field in records[0].split(";"):
        name, _, value = field.strip().partition("=")
        if name.strip() == "id" and _ID(value.strip()):
            return value.strip()
    return None


class PolicyHttp(Protocol):
    """The part of `kit.http.OutgoingHttp` that is needed."""

    async def get(self, url: str) -> HttpResult: ...


@dataclass(slots=True)
class _Known:
    id: str = ""
    policy: StsPolicy | None = None
    until: float = 0.0  # the policy counts
    look_at: float = 0.0  # ask DNS again


class MtaSts:
    """Policies of domains. `port` of the policy hosts is 443 everywhere but in tests."""

    def __init__(
        self, resolver: Resolver, http: PolicyHttp, *, port: int = 443, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = resolver
        self._http = http
        self._port = port
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def policy(self, domain: str) -> StsPolicy | None:
        """The policy that counts for `domain` (A-labels) now. Raises nothing: without one mail goes as it would."""
        known = self._known.get(domain)
        if known is None or known.look_at <= self._clock():
            task = self._running.get(domain)
            if task is None:
                task = self._running[domain] = asyncio.create_task(self._look(domain, known or _Known()))
                task.add_done_callback(lambda _: self._running.pop(domain, None))
            await asyncio.shield(task)
            known = self._known.get(domain)
        return known.policy if known is not None and known.until > self._clock() else None

    async def _look(self, domain: str, known: _Known) -> None:
        known.look_at = self._clock() + _LOOK_AGAIN
        self._known[domain] = known
        self._known.move_to_end(domain)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        try:
            published = parse_record(await self._resolver.txt(f"_mta-sts.{domain}"))
        except DnsError:
            return
        if published is None or (published == known.id and known.until > self._clock()):
            return
        policy = await self._fetch(domain)
        if policy is None:
            known.look_at = self._clock() + _AFTER_FAILURE
            return
        known.id, known.policy, known.until = published, policy, self._clock() + policy.max_age

    async def _fetch(self, domain: str) -> StsPolicy | None:
        where = f"mta-sts.{domain}" + (f":{self._port}" if self._port != 443 else "")
        try:
            answer = await self._http.get(f"https://{where}/.well-known/mta-sts.txt")
            kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
            if answer.status != 200 or answer.truncated or len(answer.body) > MOST_OCTETS or kind != "text/plain":
                return None
            return parse_policy(answer.body.decode("utf-8", "replace"))
        except (OutgoingError, StsError):
            return None
