"""`POST /v1/emails/batch` and its twin of version 2, from bytes to bytes (see `send.py`): all messages or none, or with
`partial=true` each on its own. What differs between versions is in a `Shape`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.options import DRY_RUN, flag
from penguinmails_api.exceptions import invalid_json, validation_problem
from penguinmails_api.gateway import Handler, HotRoute, Receive, Scope, read_body
from penguinmails_api.responses import RawResponse, problem_document
from penguinmails_api.v1.emails.send import (
    ADDRESS_FIELDS,
    accept_rows,
    as_invalid,
    details_of,
    draft_of,
    parameters,
    rehearse,
    replay_after_all,
    replay_of,
    request_of,
)
from penguinmails_api.v1.emails.send_schemas import EmailBatchCreate, EmailCreate
from penguinmails_core.api_keys.send_caps import caps_of
from penguinmails_core.config import ApiSettings
from penguinmails_core.emails.draft import Draft
from penguinmails_core.errors import Problem, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.scopes import Scope as ApiScope

BATCH_PATH = "/v1/emails/batch"
MAX_MESSAGES = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """How a version says messages. `read_batch` gives something with `emails`; both readers raise `ValidationError`.
    `draft` applies the rules to one message; its problems point into the request below the base it is given.
    `address_fields`: as in `as_invalid`."""

    read_batch: Callable[[bytes], Any]
    read_email: Callable[[bytes], Any]
    draft: Callable[[RequestContext, Any, datetime, str], Awaitable[Draft]]
    answer: Callable[[Draft], dict[str, Any]]
    address_fields: Collection[str] = ()


def handler(shape: Shape) -> Handler:
    async def send_batch(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
        """Accept up to 1,000 messages: all or none, or with `partial=true` each on its own."""
        ctx.caller.require(ApiScope.EMAILS_WRITE)
        given = parameters(scope, ("partial", DRY_RUN))
        rehearse(ctx, given)
        partial = flag("partial", given.get("partial", ()))
        body = await read_body(receive)
        return await (_send_partial if partial else _send_all)(ctx, scope, body, shape)

    return send_batch


async def _send_all(ctx: RequestContext, scope: Scope, body: bytes, shape: Shape) -> RawResponse:
    try:
        batch = shape.read_batch(body)
    except ValidationError as error:
        raise as_invalid(error, body, shape.address_fields) from None
    now = utcnow()
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for index, email in enumerate(batch.emails):
        try:
            drafts.append(await shape.draft(ctx, email, now, f"/emails/{index}"))
        except Problem as problem:
            problems.append(problem)
    if problems:
        if any(getattr(email, "template", None) is not None for email in batch.emails):
            replay = await replay_after_all(ctx, scope, body, 202)
            if replay is not None:
                return replay
        raise _together(problems)
    answer = orjson.dumps({"data": [shape.answer(draft) for draft in drafts]})
    return await accept_rows(ctx, scope, body, [draft.rows for draft in drafts], 202, answer)


async def _send_partial(ctx: RequestContext, scope: Scope, body: bytes, shape: Shape) -> RawResponse:
    """207: each message's own result. Shapes are checked message by message too, so one typo costs one message."""
    now = utcnow()
    results: list[dict[str, Any]] = []
    drafts: list[tuple[int, Draft]] = []
    for index, item in enumerate(_items(body, shape)):
        try:
            try:
                email = shape.read_email(orjson.dumps(item))
            except ValidationError as error:
                raise validation_problem(details_of(error, ("emails", index), shape.address_fields)) from None
            draft = await shape.draft(ctx, email, now, f"/emails/{index}")
        except Problem as problem:
            results.append(_failed(index, problem, ctx))
        else:
            drafts.append((index, draft))
            results.append({"index": index, "status": 202, "email": shape.answer(draft), "problem": None})
    spent = None
    if drafts and caps_of(ctx.caller):
        send_caps = ctx.services.send_caps
        spent, problems = await send_caps.fit(ctx.caller, [len(draft.rows.recipients) for _, draft in drafts])
        if any(problems):
            replay = await send_caps.stored(request_of(ctx, scope, body, [], 207, b""))
            if replay is not None:
                if spent is not None:
                    await send_caps.give_back(spent)
                return replay_of(replay)
        for (index, _), refused in zip(drafts, problems, strict=True):
            if refused is not None:
                results[index] = _failed(index, refused, ctx)
        drafts = [entry for entry, refused in zip(drafts, problems, strict=True) if refused is None]
    rows = [draft.rows for _, draft in drafts]
    answer = orjson.dumps({"data": results, "accepted": len(rows), "failed": len(results) - len(rows)}, default=str)
    return await accept_rows(ctx, scope, body, rows, 207, answer, spent)


def _failed(index: int, problem: Problem, ctx: RequestContext) -> dict[str, Any]:
    document = problem_document(problem, ctx.request_id)
    return {"index": index, "status": problem.status, "email": None, "problem": document}


def _items(body: bytes, shape: Shape) -> list[Any]:
    """The raw messages of a batch whose outer shape is right."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_json(error.msg, error.lineno, error.colno) from None
    items = document.get("emails") if isinstance(document, dict) and set(document) == {"emails"} else None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_MESSAGES:
        try:
            shape.read_batch(body)
        except ValidationError as error:
            outer = [detail for detail in details_of(error, (), shape.address_fields) if len(detail["loc"]) <= 2]
            raise validation_problem(outer) from None
    assert isinstance(items, list)
    return items


def _together(problems: Sequence[Problem]) -> Problem:
    """One problem for a batch of which nothing was accepted."""
    errors = [error for problem in problems for error in problem.errors]
    first = problems[0]
    if len({problem.code for problem in problems}) == 1 and not isinstance(first, Unprocessable):
        return type(first)(f"Nothing was accepted. {first.detail}", errors=errors, extra=first.extra)
    return Unprocessable(
        f"Nothing was accepted: {len(problems)} of the messages need attention. "
        "With `?partial=true` the others would be accepted.",
        errors=errors,
    )


V1 = Shape(
    EmailBatchCreate.__pydantic_validator__.validate_json,
    EmailCreate.__pydantic_validator__.validate_json,
    draft_of,
    Draft.answer,
    ADDRESS_FIELDS,
)


def hot_routes(api: ApiSettings) -> dict[tuple[str, str], HotRoute]:
    """What the gateway answers itself."""
    return {("POST", BATCH_PATH): HotRoute(handler(V1), api.max_batch_bytes)}
