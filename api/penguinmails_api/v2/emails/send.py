"""`POST /v2/emails` and `/v2/emails/batch`, from bytes to bytes: the way of version 1 with another shape at both
ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from penguinmails_api.context import RequestContext
from penguinmails_api.gateway import HotRoute, Receive, Scope, read_body
from penguinmails_api.responses import RawResponse
from penguinmails_api.v1.emails.batch import Shape, handler
from penguinmails_api.v1.emails.send import accept_rows, as_invalid, rehearse_if_asked
from penguinmails_api.v2.emails.send_schemas import AsInput, EmailBatchCreate, EmailCreate
from penguinmails_core.config import ApiSettings
from penguinmails_core.emails.compose import compose
from penguinmails_core.emails.draft import Draft
from penguinmails_core.errors import FieldError, Problem, Unprocessable
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.scopes import Scope as ApiScope

SEND_PATH, BATCH_PATH = "/v2/emails", "/v2/emails/batch"
_validate = EmailCreate.__pydantic_validator__.validate_json
_RECIPIENT = re.compile(r"/(to|cc|bcc)(?:/(\d+))?")
_RENAMED = {"/text": "/content/text", "/html": "/content/html", "/scheduled_at": "/send_at"}
_WORDS = {
    "`scheduled_at`": "`send_at`",
    "`to`, `cc` and `bcc` hold": "`recipients` hold",
    "`to` needs at least one address": "`recipients` needs at least one of kind `to`",
}


async def send_email(ctx: RequestContext, scope: Scope, receive: Receive) -> RawResponse:
    """Accept one message: 202 once it is committed."""
    ctx.caller.require(ApiScope.EMAILS_WRITE)
    rehearse_if_asked(ctx, scope)
    body = await read_body(receive)
    try:
        email: EmailCreate = _validate(body)
    except ValidationError as error:
        raise as_invalid(error, body, ()) from None
    draft = await _draft(ctx, email, utcnow(), "")
    return await accept_rows(ctx, scope, body, [draft.rows], 202, orjson.dumps(_answer(draft)))


async def _draft(ctx: RequestContext, email: EmailCreate, now: datetime, base: str) -> Draft:
    """Raises problems in the words of version 2, pointing below `base`."""
    _refuse_names(email, base)
    asked, services = AsInput.of(email), ctx.services
    try:
        return await compose(ctx.caller, asked, services.domains, services.draft_limits, now=now)
    except Problem as problem:
        raise _in_words_of_v2(problem, asked.places, base) from None


def _answer(draft: Draft) -> dict[str, Any]:
    answer = draft.answer()
    answer["send_at"] = answer.pop("scheduled_at")
    return answer


def _refuse_names(email: EmailCreate, base: str) -> None:
    """`Name <address>` is how version 1 writes names; here they have a member."""
    mailboxes = [("/from", email.from_)]
    mailboxes += [(f"/recipients/{index}", mailbox) for index, mailbox in enumerate(email.recipients)]
    mailboxes += [(f"/reply_to/{index}", mailbox) for index, mailbox in enumerate(email.reply_to)]
    detail = "Give the bare address; the display name goes into `name`."
    errors = [
        FieldError(f"{base}{pointer}/address", "name_not_allowed", detail)
        for pointer, mailbox in mailboxes
        if mailbox.address.endswith(">")
    ]
    if errors:
        raise Unprocessable(detail, errors=errors)


def _in_words_of_v2(problem: Problem, places: Mapping[str, Sequence[int]], base: str) -> Problem:
    """The same problem, pointing into the body that was sent."""
    errors = [
        FieldError(base + _pointer(error.pointer, places), error.code, _text(error.detail)) for error in problem.errors
    ]
    return type(problem)(_text(problem.detail), errors=errors, headers=problem.headers, extra=problem.extra)


def _pointer(pointer: str, places: Mapping[str, Sequence[int]]) -> str:
    found = _RECIPIENT.fullmatch(pointer)
    if found is None:
        return _RENAMED.get(pointer, pointer)
    kind, index = found[1], found[2]
    return "/recipients" if index is None else f"/recipients/{places[kind][int(index)]}"


def _text(detail: str) -> str:
    for old, new in _WORDS.items():
        detail = detail.replace(old, new)
    return detail


_SHAPE = Shape(EmailBatchCreate.__pydantic_validator__.validate_json, _validate, _draft, _answer)


def hot_routes(api: ApiSettings) -> dict[tuple[str, str], HotRoute]:
    """What the gateway answers itself."""
    return {
        ("POST", SEND_PATH): HotRoute(send_email, api.max_message_bytes * 4 // 3 + 256 * 1024),
        ("POST", BATCH_PATH): HotRoute(handler(_SHAPE), api.max_batch_bytes),
    }
