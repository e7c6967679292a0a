"""`/v1/suppressions`: who is not mailed, why, since when, and how that ends."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_api.conventions.etags import match
from penguinmails_api.idempotency import answer_once
from penguinmails_api.responses import problem_document
from penguinmails_api.routing import Context, get_context, operation
from penguinmails_api.v1.suppressions.schemas import (
    Suppression,
    SuppressionBatch,
    SuppressionBatchCreate,
    SuppressionBatchResult,
    SuppressionCheck,
    SuppressionCheckRequest,
    SuppressionCheckResult,
    SuppressionCreate,
    SuppressionIdInPath,
    SuppressionLiftQuery,
    SuppressionList,
    SuppressionListQuery,
    SuppressionUndo,
    SuppressionUndoRequest,
)
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.principal import Principal
from penguinmails_core.scopes import Scope
from penguinmails_core.suppressions import service

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"])
READ, WRITE = Scope.SUPPRESSIONS_READ, Scope.SUPPRESSIONS_WRITE


@router.post(
    "",
    summary="Suppress an address",
    status_code=201,
    response_model=Suppression,
    **operation("suppressions_create", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_suppression(request: Request, body: SuppressionCreate) -> Response:
    """From now on nothing is sent to the address, by any workspace of the organization; what waits is stopped when its
    turn comes. 409 when it is suppressed already for at least as long."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Suppression:
        return Suppression.of(await service.create(session, caller, body.to_new()))

    return await answer_once(request, work, status=201, ring=(EVENTS,))


@router.post(
    "/batch",
    summary="Suppress many addresses",
    status_code=207,
    response_model=SuppressionBatch,
    response_description="Each address's own result.",
    **operation("suppressions_batch", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def create_batch(request: Request, body: SuppressionBatchCreate) -> Response:
    """Up to 1,000 at once, each judged on its own: one bad address does not keep the others off the list. An address
    that is suppressed already counts as done."""
    context = get_context(request)
    caller = context.caller

    async def work(session: AsyncSession) -> SuppressionBatch:
        made = await service.create_many(session, caller, [item.to_new() for item in body.suppressions])
        results = [_result(caller, index, item, context.request_id) for index, item in enumerate(made)]
        counts = {status: sum(result.status == status for result in results) for status in (201, 200, 422)}
        return SuppressionBatch(data=results, created=counts[201], existing=counts[200], failed=counts[422])

    return await answer_once(request, work, status=207, ring=(EVENTS,))


def _result(caller: Principal, index: int, made: service.Made | FieldError, request_id: str) -> SuppressionBatchResult:
    if isinstance(made, FieldError):
        error = FieldError(f"/suppressions/{index}{made.pointer}", made.code, made.detail)
        document = problem_document(Unprocessable(made.detail, errors=[error]), request_id)
        return SuppressionBatchResult(index=index, status=422, suppression=None, problem=document)
    shown = Suppression.of(made.row) if service.may_see(caller, made.row) else None
    return SuppressionBatchResult(index=index, status=201 if made.created else 200, suppression=shown, problem=None)


@router.post(
    "/check",
    summary="Check addresses",
    response_model=SuppressionCheck,
    **operation("suppressions_check", scope=READ, errors=(413, 415), idempotent=True),
)
async def check_addresses(request: Request, body: SuppressionCheckRequest) -> Response:
    """Which of up to 1,000 addresses would not be mailed now, and why. A POST, since addresses in a URL end up in
    logs; it changes nothing."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> SuppressionCheck:
        found = await service.check(session, caller, body.addresses)
        return SuppressionCheck(data=[SuppressionCheckResult.of(item) for item in found])

    return await answer_once(request, work)


@router.post(
    "/undo",
    summary="Undo suppressions of a span of time",
    response_model=SuppressionUndo,
    **operation("suppressions_undo", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def undo_suppressions(request: Request, body: SuppressionUndoRequest) -> Response:
    """Lifts up to 1,000 that were made in the span and are in force, the oldest first: for bounces that turned out
    not to be true. With `dry_run` it says how many there are. The records stay, each can be restored."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> SuppressionUndo:
        done = await service.undo(session, caller, body.to_undo())
        return SuppressionUndo(lifted=done.lifted, has_more=done.has_more)

    return await answer_once(request, work, ring=(EVENTS,))


@router.get("", summary="List suppressions", **operation("suppressions_list", scope=READ, paginated=True))
async def list_suppressions(context: Context, query: Annotated[SuppressionListQuery, Query()]) -> SuppressionList:
    """The newest first; only those in force unless `status` says otherwise. All filters that are given must match. A
    credential that is bound to a workspace sees those that came from there."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        page = await service.list_suppressions(
            session, caller.inside(query.workspace_id), query.to_filter(), **query.place()
        )
    return SuppressionList.of(*page, backwards=query.backwards)


@router.get("/{suppression_id}", summary="Get a suppression", **operation("suppressions_get", scope=READ))
async def get_suppression(context: Context, suppression_id: SuppressionIdInPath) -> Suppression:
    """One suppression with its evidence, lifted ones too."""
    async with context.services.database.tenant(context.caller.organization_id) as session:
        return Suppression.of(await service.get(session, context.caller, suppression_id))


async def _current(session: AsyncSession, caller: Principal, suppression_id: UUID) -> Suppression:
    """As GET shows it, and nobody else changes it meanwhile."""
    return Suppression.of(await service.get(session, caller, suppression_id, lock=True))


@router.delete(
    "/{suppression_id}",
    summary="Lift a suppression",
    **operation("suppressions_lift", scope=WRITE, if_match=True),
)
async def lift_suppression(
    context: Context,
    suppression_id: SuppressionIdInPath,
    query: Annotated[SuppressionLiftQuery, Query()],
) -> Suppression:
    """Mail may be sent to the address again. The record stays with its evidence, and `restore` takes the lift back."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        await match(context, lambda: _current(session, caller, suppression_id))
        row = Suppression.of(await service.lift(session, caller, suppression_id, consent=query.consent))
    context.services.doorbell.ring(EVENTS)
    return row


@router.post(
    "/{suppression_id}/restore",
    summary="Take a lift back",
    response_model=Suppression,
    **operation("suppressions_restore", scope=WRITE, errors=(413, 415), idempotent=True),
)
async def restore_suppression(request: Request, suppression_id: SuppressionIdInPath) -> Response:
    """The suppression is in force again, as it was. 409 when it is not lifted, has ended by itself, or the address has
    been suppressed anew."""
    caller = get_context(request).caller

    async def work(session: AsyncSession) -> Suppression:
        return Suppression.of(await service.restore(session, caller, suppression_id))

    return await answer_once(request, work, ring=(EVENTS,))
