"""How a route is declared: one call says its name, scope and errors, to the server and to the specification alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions.check import check as check_options
from penguinmails_api.conventions.declared import KEY, Declared
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.scopes import Scope

# Every operation under /v1 may answer these; others are added where they are real.
COMMON_ERRORS = (400, 401, 403, 404, 409, 422, 429, 500, 503)

# Ways in, as `openapi/security.py` describes them. Whichever is taken, the operation's scope is needed.
OAUTH = "oauth2"
SCHEMES = ("apiKey", OAUTH, "session")


def get_context(request: Request) -> RequestContext:
    context: RequestContext = request.state.context
    return context


async def _provide_context(request: Request) -> RequestContext:
    """FastAPI would run a plain function in a thread, which costs more than most endpoints."""
    return get_context(request)


Context = Annotated[RequestContext, Depends(_provide_context)]


def require(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    """A dependency that raises `MissingScope` when the caller's key does not have `scope`."""

    async def check(request: Request) -> None:
        get_context(request).caller.require(scope)

    return check


async def require_sudo(request: Request) -> None:
    """Raises `ReauthenticationRequired` for a person whose sign-in is not fresh."""
    context = get_context(request)
    if context.session is not None:
        await context.services.identity.require_sudo(context.session)


async def refuse_unknown_parameters(request: Request) -> None:
    """For routes without a query: a misspelled parameter must not be silently ignored. Routes with one declare it as a
    model that forbids others."""
    query: bytes = request.scope["query_string"]
    if query and not request.scope["route"].dependant.query_params:
        errors = [
            FieldError(name, "unknown_field", f"`{name}` is not known here. This operation takes no parameters.")
            for name in request.query_params
        ]
        raise Unprocessable("This operation takes no query parameters.", errors=errors)


def operation(
    operation_id: str,
    *,
    scope: Scope | None = None,
    errors: Sequence[int] = (),
    idempotent: bool = False,
    paginated: bool = False,
    sudo: bool = False,
    apps: bool = True,
    expand: Sequence[str] = (),
    dry_run: bool = True,
    if_match: bool = False,
    etag: bool | None = None,
    deprecated: datetime | None = None,
    sunset: datetime | None = None,
    successor: str | None = None,
    cost: int = 1,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route: ``@router.get("", **operation("emails_list", scope=...))``.

    `scope` is enforced and documented; None means that any valid key will do. `errors` are statuses beyond
    `COMMON_ERRORS`. `idempotent` documents the Idempotency-Key header (see `penguinmails_api.idempotency`). `sudo`:
    keys, secrets and deletion ask people in a browser for a fresh sign-in; keys and tokens are not asked. `apps`
    False: the service refuses OAuth apps, so the specification does not offer it to them.
    `cost`: how many requests of the caller's limits one call takes; what a route may be asked at all, however cheap, is
    declared with `rate_limits.special.limit`.

    Conventions (docs/conventions.md): `fields` and `dry_run` come by themselves; `dry_run=False` says that a change
    cannot be rehearsed. `expand` names what GET puts in place on request (`context.options.expand`). `if_match`: the
    endpoint calls `conventions.etags.match`. `etag`: GET and PATCH have an ETag though their path does not end in an id
    (or have none though it does). `deprecated` and `sunset` announce an end, `successor` is the path to use instead.
    """
    scopes = [str(scope)] if scope else []
    hints: dict[str, Any] = {
        "security": [{scheme: list(scopes)} for scheme in SCHEMES if apps or scheme != OAUTH],
        "x-required-scopes": scopes,
        "x-errors": sorted({*COMMON_ERRORS, *errors}),
        KEY: Declared(tuple(expand), dry_run, if_match, etag, deprecated, sunset, successor),
        "x-cost": cost,
    }
    if idempotent:
        hints["x-idempotent"] = True
    if paginated:
        hints["x-sdk-paginate"] = "cursor"
    dependencies = [Depends(require(scope))] if scope else []
    if sudo:
        hints["x-sudo"] = True
        dependencies.append(Depends(require_sudo))
    dependencies += [Depends(check_options), Depends(refuse_unknown_parameters)]
    return {"operation_id": operation_id, "dependencies": dependencies, "openapi_extra": hints | (extra or {})}


def public(operation_id: str, *, errors: Sequence[int] = ()) -> dict[str, Any]:
    """As `operation`, for routes that need no key."""
    hints = {"security": [], "x-errors": sorted({500, *errors}), "x-sdk-internal": True}
    return {"operation_id": operation_id, "openapi_extra": hints}
