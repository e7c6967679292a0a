"""How a route is declared: one call says its name, scope and errors, to the server and to the specification alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from penguinmails_api.context import RequestContext
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.scopes import Scope

# Every operation under /v1 may answer these; others are added where they are real.
COMMON_ERRORS = (400, 401, 403, 404, 409, 422, 429, 500, 503)


def get_context(request: Request) -> RequestContext:
    context: RequestContext = request.state.context
    return context


Context = Annotated[RequestContext, Depends(get_context)]


def require(scope: Scope) -> Callable[[Request], None]:
    """A dependency that raises `MissingScope` when the caller's key does not have `scope`."""

    def check(request: Request) -> None:
        get_context(request).caller.require(scope)

    return check


async def require_sudo(request: Request) -> None:
    """Raises `ReauthenticationRequired` for a person whose sign-in is not fresh."""
    context = get_context(request)
    if context.session is not None:
        await context.services.identity.require_sudo(context.session)


def refuse_unknown_parameters(request: Request) -> None:
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
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route: ``@router.get("", **operation("emails_list", scope=...))``.

    `scope` is enforced and documented; None means that any valid key will do. `errors` are statuses beyond
    `COMMON_ERRORS`. `idempotent` documents the Idempotency-Key header (see `penguinmails_api.idempotency`). `sudo`:
    keys, secrets and deletion ask people in a browser for a fresh sign-in; keys and tokens are not asked.
    """
    hints: dict[str, Any] = {
        "security": [{"apiKey": [str(scope)] if scope else []}],
        "x-required-scopes": [str(scope)] if scope else [],
        "x-errors": sorted({*COMMON_ERRORS, *errors}),
    }
    if idempotent:
        hints["x-idempotent"] = True
    if paginated:
        hints["x-sdk-paginate"] = "cursor"
    dependencies = [Depends(require(scope))] if scope else []
    if sudo:
        hints["x-sudo"] = True
        dependencies.append(Depends(require_sudo))
    dependencies.append(Depends(refuse_unknown_parameters))
    return {"operation_id": operation_id, "dependencies": dependencies, "openapi_extra": hints | (extra or {})}


def public(operation_id: str, *, errors: Sequence[int] = ()) -> dict[str, Any]:
    """As `operation`, for routes that need no key."""
    hints = {"security": [], "x-errors": sorted({500, *errors}), "x-sdk-internal": True}
    return {"operation_id": operation_id, "openapi_extra": hints}
