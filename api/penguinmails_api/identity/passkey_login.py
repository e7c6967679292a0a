"""Passkeys of the sign-in pages, called by our own script (`static/passkeys.js`): JSON in, JSON out.

The same two calls sign in, answer for a second factor, and confirm who one is: the session says which.
"""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from penguinmails_api.exceptions import invalid_json
from penguinmails_api.identity import csrf
from penguinmails_api.identity.pages import Visitor, VisitorDep, check_form_token, keep_session, safe_next
from penguinmails_core.errors import UnsupportedMediaType

router = APIRouter(include_in_schema=False)


async def read_call(request: Request, visitor: Visitor) -> dict[str, Any]:
    """The JSON object of a call by our script. Raises `CrossSiteRequest` for anybody else's."""
    csrf.check(request.scope, visitor.services.public)
    check_form_token(visitor, request.headers.get("x-form-token", ""))
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UnsupportedMediaType("Send JSON with `Content-Type: application/json`.")
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise invalid_json(error.msg, error.lineno, error.colno) from None
    return body if isinstance(body, dict) else {}


def text_of(call: dict[str, Any], name: str) -> str:
    value = call.get(name)
    return value if isinstance(value, str) else ""


@router.post("/login/passkey/options")
async def ask(request: Request, visitor: VisitorDep) -> Response:
    await read_call(request, visitor)
    session = visitor.session or visitor.pending
    options = await visitor.services.identity.passkeys.request_options(
        visitor.browser_hash, visitor.services.public, session.user_id if session else None
    )
    return JSONResponse(options)


@router.post("/login/passkey")
async def answer(request: Request, visitor: VisitorDep) -> Response:
    call = await read_call(request, visitor)
    identity, public = visitor.services.identity, visitor.services.public
    session = visitor.session or visitor.pending
    credential = call.get("credential")
    if session is not None and visitor.token is not None:
        signed = await identity.answer_passkey(
            visitor.token, session, credential, visitor.browser, visitor.browser_hash, public
        )
    else:
        signed = await identity.sign_in_with_passkey(
            credential, visitor.browser, visitor.browser_hash, public, visitor.token
        )
    response = JSONResponse({"location": safe_next(text_of(call, "next"))})
    return keep_session(response, visitor.services, signed.token)
