"""Who may ask how often: finds the policies of a caller, charges them, and says what was refused.

One place for every route, credential and answer: API keys, OAuth tokens and sessions are all principals here, and
nobody else writes the headers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from penguinmails_api.context import Headers, RequestContext
from penguinmails_api.rate_limits.limiter import Limiter
from penguinmails_api.rate_limits.local import LocalStore
from penguinmails_api.rate_limits.policies import REQUESTS as REQUEST_UNIT
from penguinmails_api.rate_limits.policies import SENDS, Bound, Bucket, Line, Policy, Verdict, Window
from penguinmails_api.rate_limits.route_index import RouteFacts
from penguinmails_core.config import ApiSettings
from penguinmails_core.errors import Problem, RateLimited, SendQuotaExceeded
from penguinmails_core.limits.cache import Entry, LimitsCache
from penguinmails_core.limits.catalogue import Limit, OrganizationLimits
from penguinmails_core.principal import Principal
from penguinmails_core.usage.periods import Period, Span
from penguinmails_core.usage.spent import Spent

# Guessing keys is hopeless (190 bits); this only keeps a broken client from costing a query per request.
FAILURES = Bucket("unauthenticated", 600, 300, label="unauthenticated-burst")

SAFETY_NET = Bucket("default", 600_000, 20_000, label="burst")
"""Where nothing else is set: a client gone wild is stopped, counted in each process, without a round trip."""

MAX_BATCH = 1_000  # a full batch must fit into the bucket of sends a second
MESSAGES_PER_REQUEST = 100
_MAX_BOUND = 20_000


def batch_cost(messages: int) -> int:
    """What a request with so many messages costs: 1, and 1 for every 100 messages of a batch."""
    return 1 if messages <= 1 else 1 + math.ceil(messages / MESSAGES_PER_REQUEST)


HINT_AT = 20  # per cent left: from here on somebody may want to know
Hint = Callable[[UUID, str, float, int, int], None]


class _Known(NamedTuple):
    limits: OrganizationLimits
    spent: Spent
    bound: Bound


class Admission:
    """`charge` is called once for most requests: by the gateway, or late by handlers that know the price only then."""

    def __init__(
        self, limiter: Limiter, limits: LimitsCache, settings: ApiSettings, hint: Hint = lambda *_: None
    ) -> None:
        self.limiter = limiter
        self._hint = hint
        self.limits = limits
        self._key_bucket, self._address_bucket = _buckets_of(settings)
        self._bound: dict[tuple[object, ...], _Known] = {}

    @property
    def by_address(self) -> bool:
        """Whether the address of every request matters."""
        return self._address_bucket is not None

    async def bind(self, ctx: RequestContext, principal: Principal, facts: RouteFacts, address: str = "") -> None:
        """Find the caller's policies; `address` is needed when `by_address`, or when the route's limits ask for it."""
        cache = self.limits
        entry = cache.cached(principal.organization_id)
        if entry is None:
            entry = await cache.find(principal.organization_id)
        key = (principal.id, facts.operation if facts.limits else "", address)
        known = self._bound.get(key)
        if known is None or known.limits is not entry.limits or known.spent is not entry.spent:
            known = _Known(entry.limits, entry.spent, self._build(principal, entry, facts, address))
            if len(self._bound) >= _MAX_BOUND:
                self._bound.pop(next(iter(self._bound)))
            self._bound[key] = known
        ctx.bound = known.bound

    async def charge(self, ctx: RequestContext, cost: int = 1, sends: int = 0) -> None:
        """Take what was not taken yet for this request. Raises `RateLimited` or `SendQuotaExceeded`: then nothing was
        taken by this call."""
        bound = ctx.bound
        if bound is None:
            return
        due, ctx.cost = max(0, cost - ctx.cost), max(cost, ctx.cost)
        if not due and not (sends and bound.sends):
            return
        verdict = await self.limiter.take(bound, due, sends)
        ctx.limit_headers = bound.headers(verdict)
        if not verdict.allowed:
            ctx.refused = True
            raise self._problem(ctx, verdict, due, sends)
        ctx.sends += sends
        for line, state in zip(verdict.lines, verdict.states, strict=True):
            policy = line.policy
            if isinstance(policy, Window) and state.remaining * 100 <= HINT_AT * policy.quota:
                used = policy.quota - state.remaining
                self._hint(ctx.caller.organization_id, policy.name, policy.start, used, policy.quota)

    async def charge_route(self, principal: Principal, facts: RouteFacts) -> None:
        """What a route declares for itself by caller and organization, when its work is done on another way than by
        calling it. The policies of the request are not charged. Raises `RateLimited`."""
        lines = route_lines(facts, str(principal.id), str(principal.organization_id), "")
        verdict = await self.limiter.take(Bound(lines), 1, 0)
        if not verdict.allowed:
            raise refusal(verdict, 1, 0, None)

    async def charge_error(self, ctx: RequestContext, error: Exception) -> Exception:
        """Errors cost as much as successes: what was not charged yet is now, and over the limit that is the answer."""
        if ctx.principal is None or ctx.cost:
            return error
        try:
            await self.charge(ctx)
        except Problem as refused:
            return refused
        return error

    async def admit_public(self, ctx: RequestContext, facts: RouteFacts, address: str) -> None:
        """Routes without a principal: what they declare for themselves, and the limit of addresses. Their answers carry
        no limit headers, but for Retry-After. Raises `RateLimited`."""
        if not facts.limits and self._address_bucket is None:
            return
        lines = route_lines(facts, address, address, address)
        if self._address_bucket is not None:
            lines.append(Line(self._address_bucket, f"a:{address}"))
        verdict = await self.limiter.take(Bound(lines), facts.cost)
        if not verdict.allowed:
            raise refusal(verdict, facts.cost, 0, None)

    def refuse_at_once(self, ctx: RequestContext) -> None:
        """For routes that are charged late: raises what they were told a moment ago and what cannot have changed, so
        that a client over its limit does not cost the reading of its bodies."""
        bound = ctx.bound
        if bound is not None and bound.refusal is not None and (verdict := bound.remembered()) is not None:
            ctx.cost, ctx.refused = 1, True
            ctx.limit_headers = bound.headers(verdict)
            raise self._problem(ctx, verdict, 1, 0)

    def give_back(self, ctx: RequestContext, sends: int | None = None) -> None:
        """Mail of this request was not accepted after all (a replay, or the database was away): all, or so many sends
        of it."""
        sends = ctx.sends if sends is None else sends
        if ctx.bound is not None and sends:
            self.limiter.give_back(ctx.bound, sends)
        ctx.sends -= sends

    def _problem(self, ctx: RequestContext, verdict: Verdict, cost: int, sends: int) -> Problem:
        entry = self.limits.cached(ctx.caller.organization_id) if ctx.principal is not None else None
        return refusal(verdict, cost, sends, entry.limits if entry is not None else None)

    def _build(self, principal: Principal, entry: Entry, facts: RouteFacts, address: str) -> Bound:
        requests = _organization_lines(entry.limits)
        if self._key_bucket is not None:
            names = ("key", "key-burst") if requests else ("default", "burst")
            rate, burst = self._key_bucket
            requests.append(Line(Bucket(names[0], rate, burst, label=names[1]), f"k:{principal.id}"))
        if self._address_bucket is not None:
            requests.append(Line(self._address_bucket, f"a:{address}"))
        local = not requests and not facts.limits
        requests = requests or [Line(SAFETY_NET, f"k:{principal.id}")]
        requests += route_lines(facts, str(principal.id), str(principal.organization_id), address)
        return Bound(requests, _send_lines(entry, principal.mode), local=local)


class Failures:
    """Requests without a valid credential, by address, counted in this process."""

    def __init__(self) -> None:
        self._store = LocalStore()

    def check(self, address: str) -> Headers:
        """Raises `RateLimited`."""
        bound = _failures_of(address)
        verdict = self._store.look(bound)
        if not verdict.allowed:
            raise refusal(verdict, 1, 0, None)
        return bound.headers(verdict)

    def look(self, address: str) -> Headers:
        bound = _failures_of(address)
        return bound.headers(self._store.look(bound))

    def count(self, address: str) -> Headers:
        bound = _failures_of(address)
        return bound.headers(self._store.take(bound))


def _failures_of(address: str) -> Bound:
    return Bound([Line(FAILURES, address)], local=True)


def refusal(verdict: Verdict, cost: int, sends: int, limits: OrganizationLimits | None) -> Problem:
    """The 429. Only sends over their quota is another problem than too many requests."""
    lines = [verdict.lines[i] for i in verdict.violated]
    seconds = max(1, math.ceil(verdict.retry_after))
    worst = verdict.lines[verdict.nearest].policy
    asked = sends if worst.unit == SENDS else cost
    if asked > worst.quota:
        what = f"{worst.sentence}, and this request alone needs {asked}: split it."
    else:
        what = f"{worst.sentence}. Try again in {seconds} s."
    extra: dict[str, object] = {"violated_policies": [line.policy.label for line in lines]}
    sending = all(line.policy.unit == SENDS for line in lines)
    if sending and limits is not None and limits.throttle is not None:
        throttle = limits.throttle
        what += f" The quota is cut to {throttle.factor:.0%} of the plan's: {throttle.reason}."
        extra["throttle"] = {"factor": throttle.factor, "reason": throttle.reason}
    kind = SendQuotaExceeded if sending else RateLimited
    return kind(what, headers={"Retry-After": str(seconds)}, extra=extra)


def route_lines(facts: RouteFacts, caller: str, organization: str, address: str) -> list[Line]:
    """The limits that a route declares for itself (`rate_limits.special`)."""
    found = []
    for declared in facts.limits:
        subject = {"caller": caller, "organization": organization, "address": address}[declared.by]
        for bucket in declared.buckets(facts.operation):
            found.append(Line(bucket, f"r:{bucket.name}:{subject}", per_call=True))
    return found


def _buckets_of(settings: ApiSettings) -> tuple[tuple[int, int] | None, Bucket | None]:
    key = address = None
    if settings.rate_limit is not None:
        key = (settings.rate_limit, settings.rate_burst or settings.rate_limit)
    if settings.address_rate_limit is not None:
        rate = settings.address_rate_limit
        address = Bucket("address", rate, settings.address_rate_burst or rate, label="address-burst")
    return key, address


def _organization_lines(limits: OrganizationLimits) -> list[Line]:
    found, subject = [], limits.organization_id
    if (second := limits.of(Limit.API_REQUESTS_PER_SECOND)) is not None:
        found.append(Line(_bucket("second", second, second, per=1), f"o:{subject}:s"))
    if (minute := limits.of(Limit.API_REQUESTS_PER_MINUTE)) is not None:
        burst = limits.of(Limit.API_BURST) or minute
        found.append(Line(_bucket("minute", minute, burst, label="burst"), f"o:{subject}:m"))
    if (day := limits.of(Limit.API_REQUESTS_PER_DAY)) is not None:
        found.append(Line(Window("day", day, Span.DAY, unit=REQUEST_UNIT), f"o:{subject}:d"))
    return found


def _send_lines(entry: Entry, mode: str) -> list[Line]:
    """Test mail is never sent, so only its rate is limited."""
    limits, spent = entry.limits, entry.spent
    sends, subject = limits.sends, limits.organization_id
    found = []
    if sends.per_second is not None:
        burst = max(sends.per_second, MAX_BATCH)
        bucket = _bucket("sends-second", sends.per_second, burst, per=1, label="sends-burst", unit=SENDS)
        found.append(Line(bucket, f"s:{subject}:{mode}"))
    if mode == "live":
        for name, quota, span, count, known in (
            ("sends-day", sends.per_day, Span.DAY, spent.today, spent.day),
            ("sends-month", sends.per_month, Span.MONTH, spent.this_month, spent.month),
        ):
            if quota is not None:
                found.append(Line(_window(name, quota, span, count, known), f"s:{subject}:{span}"))
    return found


def _bucket(name: str, rate: int, burst: int, **more: Any) -> Policy:
    """A rate of 0 lets nothing through, which no bucket can say."""
    return Bucket(name, rate, burst, **more) if rate else Window(name, 0, Span.DAY, unit=more.get("unit", REQUEST_UNIT))


def _window(name: str, quota: int, span: Span, count: int, known: Period | None) -> Window:
    return Window(name, quota, span, base=count, base_start=known.start.timestamp() if known is not None else 0.0)
