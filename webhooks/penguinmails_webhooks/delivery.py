"""One attempt: render, sign, send, judge. No database here, and no transaction is open while it runs."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from penguinmails_core.kit import trace
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.crypto import CryptoError, SecretBox
from penguinmails_core.kit.http import HttpResult, InvalidRequest, InvalidUrl, OutgoingError, OutgoingHttp, Timings
from penguinmails_core.kit.ids import Prefix, encode, new_uuid
from penguinmails_webhooks.attempt_detail import detail_of
from penguinmails_webhooks.destinations.base import Message, Target
from penguinmails_webhooks.destinations.registry import Destinations
from penguinmails_webhooks.events import render
from penguinmails_webhooks.records import Delivery, Outcome
from penguinmails_webhooks.request import Opener, RequestSettings
from penguinmails_webhooks.retry import Verdict, judge, next_attempt
from penguinmails_webhooks.signing import signed_headers

log = logging.getLogger(__name__)

MAX_RESPONSE_TEXT = 2048  # bytes of an answer that are kept
_CONTENT_TYPE = {"content-type": "application/json"}


class Sender:
    """`scale` multiplies the retry schedule. `destinations`: what is beside HTTP."""

    def __init__(
        self,
        http: OutgoingHttp,
        box: SecretBox,
        *,
        scale: float,
        rng: random.Random,
        destinations: Destinations | None = None,
    ) -> None:
        self._http = http
        self._destinations = destinations or Destinations(http, allow_private=False, timeout=15.0)
        self._opener = Opener(box)
        self._scale = scale
        self._rng = rng

    async def attempt(self, delivery: Delivery) -> Outcome:
        """Never raises but for cancellation: whatever goes wrong is an outcome."""
        started_at, started = utcnow(), time.perf_counter()
        result: HttpResult | None = None
        sent: dict[str, str] = {}
        detail: str | None = None
        error: str | None = None
        final = False
        try:
            if delivery.event is None:
                error, final = "expired: the event log does not keep this event any more", True
            else:
                endpoint, event = encode(Prefix.WEBHOOK_ENDPOINT, delivery.key[1]), delivery.event["type"]
                with trace.span("webhook attempt", endpoint_id=endpoint, event=event, number=delivery.number) as span:
                    result = await self._post(delivery, sent)
                    detail = detail_of(result, sent)
                    if span is not None:
                        span.set_attribute("http.response.status_code", result.status)
        except OutgoingError as problem:
            error, final = str(problem), isinstance(problem, InvalidUrl | InvalidRequest)
            detail = detail_of(problem, sent)
        except CryptoError as problem:
            log.error("webhook endpoint %s: its secret cannot be opened: %s", delivery.key[1], problem)
            error = "secret: the signing secret cannot be opened; ask the operator of this server"
        except Exception:
            log.exception("webhook delivery %s failed on our side", delivery.id)
            error = "internal: the request could not be made because of an error on our side"
        duration = round((time.perf_counter() - started) * 1000)
        return replace(self._outcome(delivery, started_at, duration, result, error, final), detail=detail)

    async def _post(self, delivery: Delivery, sent: dict[str, str]) -> HttpResult:
        """`sent` is filled with the headers, for the case that nothing comes back."""
        assert delivery.event is not None
        settings = self._opener.settings(delivery.key[1], delivery.request)
        body = render(delivery.event, pin=settings.pin, thin=settings.thin)
        secrets = [self._opener.secret(delivery.key[1], delivery.secret), *settings.old_secrets()]
        signed = signed_headers(secrets, encode(Prefix.EVENT, delivery.event_id), int(time.time()), body)
        if settings.destination != "http":
            return await self._hand_over(delivery, settings, body, signed)
        # Ours last: whatever an endpoint asked for, it is signed, and it is JSON.
        sent.update({**settings.headers, **signed, **_CONTENT_TYPE})
        return await self._http.post(
            delivery.url, body=body, headers=sent, repeatable=True, certificate=settings.certificate
        )

    async def _hand_over(
        self, delivery: Delivery, settings: RequestSettings, body: bytes, signed: Mapping[str, str]
    ) -> HttpResult:
        """To a queue or a stream. Recorded as 202, and with what it said as the answer."""
        assert delivery.event is not None
        started, event_id = time.perf_counter(), encode(Prefix.EVENT, delivery.event_id)
        target = Target(delivery.key, delivery.url, settings.destination_settings, settings.destination_secret)
        message = Message(event_id, delivery.event["type"], body, signed, delivery.fifo_key or event_id)
        said = await self._destinations.send(settings.destination, target, message)
        total = (time.perf_counter() - started) * 1000
        timings = Timings(None, None, None, None, total)
        return HttpResult(202, {}, orjson.dumps(said), False, round(total), timings, None, False, None, False)

    async def close(self) -> None:
        """Connections to queues; the HTTP client is the caller's."""
        await self._destinations.close()

    def _outcome(
        self,
        delivery: Delivery,
        started_at: datetime,
        duration_ms: int,
        result: HttpResult | None,
        error: str | None,
        final: bool,
    ) -> Outcome:
        code = result.status if result else None
        verdict = judge(code, result.headers if result else None)
        status, wait, disable, given_up = "exhausted", None, None, False
        if verdict is Verdict.DELIVERED:
            status = "delivered"
        elif verdict is Verdict.GONE:
            error, disable = "gone: the receiver answered 410, so the endpoint was disabled", "gone"
        elif verdict is Verdict.ABORT:
            error = f"aborted: the receiver answered {code} and asked not to be sent this event again"
        else:
            error = error or f"status: the receiver answered {code}, not 2xx"
            wait = None if final else self._wait(delivery.number, result)
            given_up = wait is None
            if wait is not None:
                status = "pending"
            if delivery.failed_too_long:
                disable = "failing"
        return Outcome(
            delivery=delivery,
            attempt_id=new_uuid(),
            started_at=started_at,
            duration_ms=duration_ms,
            status_code=code,
            error=_text(error.encode("utf-8", "replace")) if error else None,
            response_body=_text(result.body) if result else None,
            status=status,
            wait=wait,
            unwell=verdict in (Verdict.RETRY, Verdict.GONE) and delivery.event is not None,
            given_up=given_up,
            disable=disable,
        )

    def _wait(self, number: int, result: HttpResult | None) -> float | None:
        now = utcnow()
        retry_after = result.headers.get("Retry-After") if result else None
        due = next_attempt(number, retry_after=retry_after, now=now, rng=self._rng, scale=self._scale)
        return None if due is None else (due - now).total_seconds()


def _text(body: bytes) -> str | None:
    """What a text column can hold: no NUL, only characters, at most 2 KB."""
    text = body[:MAX_RESPONSE_TEXT].decode("utf-8", "replace").replace("\0", "\ufffd")
    return text.encode()[:MAX_RESPONSE_TEXT].decode("utf-8", "ignore") or None
