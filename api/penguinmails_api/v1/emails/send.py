"""`POST /v1/emails`, from bytes to bytes, and what it shares with `batch.py`.

Hot: the two are what the product is called for, so they are answered without the framework's routing, dependency
injection and response models. The contract is the same pydantic models that the specification is made of; every other
route is an ordinary FastAPI endpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import ValidationError

from penguinmails_api.context import Headers, RequestContext
from penguinmails_api.conventions.middleware import DRY
from penguinmails_api.conventions.options import DRY_RUN, Options, flag
from penguinmails_api.exceptions import invalid_json, validation_problem
from penguinmails_api.gateway import HotRoute, Receive, Scope, read_body
from penguinmails_api.idempotency import read_key
from penguinmails_api.rate_limits.admission import batch_cost
from penguinmails_api.responses import RawResponse
from penguinmails_api.v1.emails.send_schemas import EmailCreate
from penguinmails_core.api_keys.send_caps import Spent
from penguinmails_core.config import ApiSettings
from penguinmails_core.emails.accept import AcceptRequest, MessageRows, Verdict
from penguinmails_core.emails.compose import compose
from penguinmails_core.emails.draft import Draft
from penguinmails_core.errors import (
    FieldError,
    Problem,
    Unprocessable,
)
from penguinmails_core.idempotency.keys import fingerprint
from penguinmails_core.kit import ids
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.scopes import Scope as ApiScope
from penguinmails_core.templates.sending import TemplateFiller

SEND_PATH = "/v1/emails"
_REPLAYED: Headers = [(b"idempotency-replayed", b"true")]
ADDRESS_FIELDS = frozenset(("to", "cc", "bcc", "reply_to"))
_validate_email = EmailCreate.__pydantic_validator__.validate_json


async def send_email(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
    """Accept one message: 202 once it is committed."""
    caller = ctx.caller
    caller.require(ApiScope.EMAILS_WRITE)
    rehearse_if_asked(ctx, scope)
    body = await read_body(receive)
    try:
        email: EmailCreate = _validate_email(body)
    except ValidationError as error:
        raise as_invalid(error, body) from None
    try:
        draft = await draft_of(ctx, email, utcnow(), "")
    except Unprocessable:
        if email.template is None or (replay := await replay_after_all(ctx, scope, body, 202)) is None:
            raise
        return replay
    answer = orjson.dumps(draft.answer())
    return await accept_rows(ctx, scope, body, [draft.rows], 202, answer)


async def draft_of(ctx: RequestContext, email: EmailCreate, now: datetime, base: str) -> Draft:
    services = ctx.services
    if email.template is not None:
        if ctx.filler is None:
            ctx.filler = TemplateFiller(services.database, services.renderer, ctx.caller)
        filled = await ctx.filler.fill(email, email.template, email.template.variables, base)
        said = {"subject": filled.subject, "html": filled.html, "text": filled.text}
        email = email.model_copy(update=said)
    domains, limits = services.domains, services.draft_limits
    return await compose(ctx.caller, email, domains, limits, now=now, base=base, mailbox_id=email.mailbox_id)


async def accept_rows(
    ctx: RequestContext,
    scope: Scope,
    body: bytes,
    rows: Sequence[MessageRows],
    status: int,
    answer: bytes,
    spent: Spent | None = None,
) -> RawResponse:
    """Charge the caller's limits and commit, or replay what an earlier request with the same Idempotency-Key was told;
    what is not accepted costs no sends. `spent`: what was already counted for the caller's daily caps."""
    request, services = request_of(ctx, scope, body, rows, status, answer), ctx.services
    sends = sum(len(message.recipients) for message in rows)
    try:
        await services.admission.charge(ctx, batch_cost(len(rows)), sends)
    except Problem:
        if spent is not None:
            await services.send_caps.give_back(spent)
        raise
    if not rows:  # nothing was done, so there is nothing to replay
        return RawResponse(status, answer)
    if ctx.options.dry_run:
        services.admission.give_back(ctx)
        await services.send_caps.rehearse(ctx.caller, sends, spent)
        return RawResponse(status, answer)
    try:
        verdict = await services.send_caps.accept(ctx.caller, request, spent)
    except Problem:
        services.admission.give_back(ctx)
        raise
    if verdict.fresh:
        return RawResponse(status, answer)
    services.admission.give_back(ctx)
    return replay_of(verdict)


def request_of(
    ctx: RequestContext, scope: Scope, body: bytes, rows: Sequence[MessageRows], status: int, answer: bytes
) -> AcceptRequest:
    caller, key, token = ctx.caller, read_key(scope["headers"]), ids.new_uuid()
    if key is None:
        return AcceptRequest(caller.organization_id, caller.id, rows, token)
    mark = fingerprint(scope["method"], scope["path"], scope["query_string"], body)
    return AcceptRequest(caller.organization_id, caller.id, rows, token, key, mark, status, answer)


async def replay_after_all(ctx: RequestContext, scope: Scope, body: bytes, status: int) -> RawResponse | None:
    """What this very request was told before, when its template is not what it was then: deleted, say."""
    if ctx.options.dry_run:
        return None
    verdict = await ctx.services.send_caps.stored(request_of(ctx, scope, body, [], status, b""))
    return replay_of(verdict) if verdict is not None else None


def replay_of(verdict: Verdict) -> RawResponse:
    assert verdict.status is not None
    assert verdict.response is not None
    return RawResponse(verdict.status, verdict.response, _REPLAYED)


def rehearse_if_asked(ctx: RequestContext, scope: Scope) -> None:
    """For routes whose only parameter is `dry_run`. Raises `Unprocessable` for others."""
    if scope["query_string"]:
        rehearse(ctx, parameters(scope, (DRY_RUN,)))


def rehearse(ctx: RequestContext, given: dict[str, list[str]]) -> None:
    """`?dry_run=true`: all checks are made, and nothing is accepted."""
    if flag(DRY_RUN, given.get(DRY_RUN, ())):
        ctx.options = Options(dry_run=True)
        ctx.answer_headers.append(DRY)


def parameters(scope: Scope, known: Sequence[str]) -> dict[str, list[str]]:
    query: bytes = scope["query_string"]
    if not query:
        return {}
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    unknown = [
        FieldError(name, "unknown_parameter", f"`{name}` is not known here.") for name in found.keys() - set(known)
    ]
    if unknown:
        raise Unprocessable("There are unknown query parameters.", errors=unknown)
    return found


def as_invalid(error: ValidationError, body: bytes, address_fields: Collection[str] = ADDRESS_FIELDS) -> Problem:
    """`address_fields` take an address or a list of them, which pydantic reports as two shapes."""
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as fault:
            return invalid_json(fault.msg, fault.lineno, fault.colno)
        return invalid_json(details[0]["ctx"]["error"], 1, 1)
    return validation_problem(details_of(error, (), address_fields))


def details_of(
    error: ValidationError, prefix: tuple[str | int, ...], address_fields: Collection[str] = ADDRESS_FIELDS
) -> list[dict[str, Any]]:
    """Errors located in the body; of the two shapes that an address field may have, the one the caller meant."""
    found: dict[tuple[str | int, ...], dict[str, Any]] = {}
    for detail in error.errors(include_url=False):
        loc = [*prefix, *detail["loc"]]
        place = next((i for i, part in enumerate(loc) if part in address_fields), None)
        path: tuple[str | int, ...] = ("body", *loc)
        entry: dict[str, Any] = {**detail, "loc": path}
        if place is not None:
            path = ("body", *loc[: place + 1], *(part for part in loc[place + 1 :] if isinstance(part, int)))
            entry = {**entry, "loc": path, "msg": "give an address, or a list of addresses"}
            # Of "not a list" and "item 3 is not text" the longer path says more; "not text" adds nothing to it.
            if any(len(other) > len(path) and other[: len(path)] == path for other in found):
                continue
        found[path] = entry
    return list(found.values())


def hot_routes(api: ApiSettings) -> dict[tuple[str, str], HotRoute]:
    """What the gateway answers itself. Base64 makes attachments a third larger than their bytes."""
    one = api.max_message_bytes * 4 // 3 + 256 * 1024
    return {("POST", SEND_PATH): HotRoute(send_email, one)}
