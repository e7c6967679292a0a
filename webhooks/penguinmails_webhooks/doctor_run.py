"""Carries out a test of an endpoint: DNS, TLS, one signed request, and what all of it tells. No database here, and no
transaction is open while it runs."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urljoin

from penguinmails_core.kit.dns import DnsError
from penguinmails_core.kit.http import ClientCertificate, HttpResult, OutgoingError, OutgoingHttp, TimedOut
from penguinmails_core.kit.http_dns import AddressResolver
from penguinmails_core.kit.http_guard import DnsFailed, Target, check_address, parse_url
from penguinmails_core.kit.tls import TlsFacts, look_at_tls
from penguinmails_webhooks.doctor import Finding, Level, Secret, Signed, capitalised
from penguinmails_webhooks.doctor_echo import PREFIX, diagnose, read_echo

TIMEOUT = 15.0  # seconds for all of it
MAX_RESPONSE = 64 * 1024
_SLOW_MS = 5_000
_EXPIRES_SOON_DAYS = 14


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds; None for what did not happen. `tls_check` is a handshake before the request; `connect` and `tls`
    are the request's own."""

    dns: float | None = None
    tls_check: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened. `error`: why no answer came, one word and a sentence. `redirect`: where the answer sends to, which
    was not followed."""

    addresses: list[str] = field(default_factory=list)
    tls: TlsFacts | None = None
    result: HttpResult | None = None
    error: tuple[str, str] | None = None
    redirect: str | None = None
    timing: Timing = field(default_factory=Timing)
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.result is not None and all(finding.level is not Level.ERROR for finding in self.findings)


class Doctor:
    """`trust`: makes the context that says whom to trust, by default the system's store; `resolver`: DNS."""

    def __init__(
        self,
        resolver: AddressResolver,
        *,
        allow_private: bool,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        timeout: float = TIMEOUT,
    ) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._trust = trust
        self._timeout = timeout

    async def examine(
        self,
        url: str,
        signed: Signed,
        headers: Mapping[str, str],
        secrets: Sequence[Secret],
        *,
        certificate: ClientCertificate | None = None,
    ) -> Outcome:
        """Sends once and never raises for what the receiver does. `certificate`: shown to a receiver that asks."""
        started = time.perf_counter()
        run = _Run(self._resolver, self._allow_private, self._trust, self._timeout, url)
        try:
            async with asyncio.timeout(self._timeout):
                await run.go(signed.body, headers, certificate)
        except TimeoutError:
            run.failed(TimedOut(f"no complete answer within {self._timeout:g} s ({run.stage})"))
        except OutgoingError as error:
            run.failed(error)
        answered = time.time()
        total = (time.perf_counter() - started) * 1000
        findings = await asyncio.to_thread(_findings, run, signed, secrets, answered, total)
        return Outcome(
            addresses=run.addresses,
            tls=run.tls,
            result=run.result,
            error=run.error,
            redirect=_redirect(url, run.result),
            timing=replace(run.timing, total=total),
            findings=findings,
        )


class _Run:
    """One test under way: what is known of it so far."""

    def __init__(
        self,
        resolver: AddressResolver,
        allow_private: bool,
        trust: Callable[[], ssl.SSLContext],
        timeout: float,
        url: str,
    ) -> None:
        self._resolver, self._allow_private, self._trust = resolver, allow_private, trust
        self._timeout = timeout
        self._url = url
        self.stage = "resolving the host"
        self.addresses: list[str] = []
        self.tls: TlsFacts | None = None
        self.result: HttpResult | None = None
        self.error: tuple[str, str] | None = None
        self.timing = Timing()

    def failed(self, error: OutgoingError) -> None:
        self.error = (error.reason, error.detail)

    async def go(self, body: bytes, headers: Mapping[str, str], certificate: ClientCertificate | None) -> None:
        target = parse_url(self._url, allow_private=self._allow_private)
        self.addresses = await self._resolve(target)
        if target.url.scheme == "https":
            self.stage = "looking at TLS"
            context = await asyncio.to_thread(self._trust)  # reading the authorities takes milliseconds
            started = time.perf_counter()
            self.tls = await look_at_tls(
                self.addresses, target.port, target.host, allow_private=self._allow_private, context=context
            )
            if certificate is not None and self.tls is not None and self.tls.certificate is None:
                self.tls = None  # this look showed no certificate of ours; the request does
            self.timing = replace(self.timing, tls_check=(time.perf_counter() - started) * 1000)
        self.stage = "waiting for the answer"
        async with OutgoingHttp(
            allow_private=self._allow_private,
            timeout=self._timeout,
            max_response=MAX_RESPONSE,
            resolver=_Pinned(self.addresses),
            trust=self._trust,
        ) as http:
            self.result = await http.post(self._url, body=body, headers=headers, certificate=certificate)
        timings = self.result.timings
        self.timing = replace(
            self.timing, connect=timings.connect_ms, tls=timings.tls_ms, first_byte=timings.first_byte_ms
        )

    async def _resolve(self, target: Target) -> list[str]:
        """Raises `DnsFailed` and `ForbiddenAddress`, which do not say the address."""
        if target.literal:
            return [target.host]
        started = time.perf_counter()
        if target.host == "localhost" or target.host.endswith(".localhost"):
            found = ["127.0.0.1", "::1"]
        else:
            try:
                found = await self._resolver.addresses(target.host)
            except DnsError as error:
                raise DnsFailed(f"{target.host} cannot be resolved: {error.reason}") from None
        self.timing = replace(self.timing, dns=(time.perf_counter() - started) * 1000)
        if not found:
            raise DnsFailed(f"{target.host} has no address")
        for address in found:
            check_address(address, allow_private=self._allow_private)
        return found


class _Pinned:
    """The request goes to what was looked at, whatever DNS says by then."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(addresses)

    async def addresses(self, host: str) -> list[str]:
        return self._addresses


def _redirect(url: str, result: HttpResult | None) -> str | None:
    if result is None or result.status not in (301, 302, 303, 307, 308):
        return None
    location = result.headers.get("Location")
    try:
        return urljoin(url, location)[:2048] if location else None
    except ValueError:
        return None


def _findings(run: _Run, signed: Signed, secrets: Sequence[Secret], now: float, total: float) -> list[Finding]:
    found = list(_of_tls(run.tls, now))
    if run.error is not None:
        found.append(Finding(Level.ERROR, run.error[0], run.error[1]))
    if run.result is not None:
        found += _of_answer(run, total)
        echo = read_echo(run.result.headers, run.result.body)
        found += diagnose(signed, secrets, echo, now=now) if not echo.empty else [_no_echo(run.result.status)]
    return [capitalised(finding) for finding in found]


def _of_tls(tls: TlsFacts | None, now: float) -> list[Finding]:
    if tls is None:
        return []
    if tls.problem is not None:
        return [Finding(Level.ERROR, *tls.problem)]
    if tls.certificate is not None:
        days = (tls.certificate.not_after - datetime.fromtimestamp(now, UTC)).days
        if days < _EXPIRES_SOON_DAYS:
            return [Finding(Level.WARNING, "certificate_expires_soon", f"the certificate expires in {days} days")]
    return []


def _of_answer(run: _Run, total: float) -> list[Finding]:
    assert run.result is not None
    status = run.result.status
    found = []
    if (place := _redirect(run._url, run.result)) is not None:
        detail = f"the receiver redirects to {place}; redirects are never followed. Make that the endpoint's URL"
        found.append(Finding(Level.ERROR, "redirect", detail))
    elif status == 410:
        found.append(
            Finding(Level.ERROR, "gone", "the receiver answered 410; for a real event, that disables the endpoint")
        )
    elif not 200 <= status < 300:
        found.append(Finding(Level.ERROR, "status", f"the receiver answered {status}; only 2xx counts as received"))
    else:
        found.append(Finding(Level.OK, "received", f"the receiver answered {status}"))
    if total > _SLOW_MS:
        detail = f"this took {total / 1000:.1f} s of {TIMEOUT:g} s; answer first and work afterwards"
        found.append(Finding(Level.WARNING, "slow", detail))
    return found


def _no_echo(status: int) -> Finding:
    refused = " It refused the request, perhaps over the signature." if status in (400, 401, 403) else ""
    detail = (
        f"The receiver did not say what it computed.{refused} Let it answer tests with the header `{PREFIX}signature`, "
        "and a mistake in its signature is named here."
    )
    return Finding(Level.WARNING, "no_echo", detail)
