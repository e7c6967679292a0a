"""Suppress addresses, lift a suppression, take a lift back."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import EVENTS
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import Suppression as SuppressionRow
from penguinmails_core.scopes import Scope
from penguinmails_core.suppressions import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import MAX_PAGE, uuid_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.suppressions.types import Suppression, SuppressionReason

MAX_NOTE = 500


@strawberry.input(description="An address that is not to be mailed any more.")
class SuppressAddressInput:
    address: str
    reason: SuppressionReason = SuppressionReason.MANUAL
    note: str | None = None
    expires_at: DateTime | None = strawberry.field(default=None, description="Left out: never.")

    def to_new(self) -> service.NewSuppression:
        if self.note is not None and (len(self.note) > MAX_NOTE or "\0" in self.note):
            detail = f"`note` may have at most {MAX_NOTE} characters and no NUL."
            raise Unprocessable(detail, errors=[FieldError("/note", "too_long", detail)])
        return service.NewSuppression(self.address, str(self.reason), self.note, self.expires_at)


@strawberry.type
class SuppressionPayload:
    suppression: Suppression


@strawberry.type(description="What became of one address of many.")
class SuppressionResult:
    created: bool = strawberry.field(description="False when it was suppressed already.")
    suppression: Suppression | None
    error: str | None = strawberry.field(description="Why the item is not usable; else null.")


@strawberry.type
class SuppressAddressesPayload:
    results: list[SuppressionResult]


@strawberry.type
class UndoSuppressionsPayload:
    lifted: int
    has_more: bool = strawberry.field(description="Whether there are more in the span: ask again.")


@strawberry.type
class SuppressionsMutation:
    @strawberry.mutation(description="No more mail to the address, by any workspace of the organization.")
    async def suppress_address(
        self,
        info: Info,
        input: SuppressAddressInput,
        idempotency_key: IdempotencyKey = None,
    ) -> SuppressionPayload | None:
        caller, new = caller_of(info, Scope.SUPPRESSIONS_WRITE), input.to_new()

        async def work(session: AsyncSession) -> SuppressionRow:
            return await service.create(session, caller, new)

        async def load(session: AsyncSession, name: str) -> SuppressionRow:
            return await service.get(session, caller, ids.decode(Prefix.SUPPRESSION, name))

        asked: dict[str, Any] = {"address": new.address, "reason": new.reason, "note": new.note, "end": new.expires_at}
        row = await once(
            info.context,
            "suppressAddress",
            idempotency_key,
            asked,
            work,
            EVENTS,
            name=lambda row: ids.encode(Prefix.SUPPRESSION, row.id),
            load=load,
        )
        return SuppressionPayload(suppression=Suppression.of(row))

    @strawberry.mutation(description=f"Up to {MAX_PAGE} addresses, each judged on its own. Doing it again is harmless.")
    async def suppress_addresses(
        self, info: Info, inputs: list[SuppressAddressInput]
    ) -> SuppressAddressesPayload | None:
        caller = caller_of(info, Scope.SUPPRESSIONS_WRITE)
        if not 1 <= len(inputs) <= MAX_PAGE:
            detail = f"`inputs` must hold 1 to {MAX_PAGE}; it holds {len(inputs)}."
            raise Unprocessable(detail, errors=[FieldError("/inputs", "out_of_range", detail)])
        items = [item.to_new() for item in inputs]

        async def work(session: AsyncSession) -> list[service.Made | FieldError]:
            return await service.create_many(session, caller, items)

        made = await info.context.write(work, EVENTS)
        results = []
        for item in made:
            if isinstance(item, FieldError):
                results.append(SuppressionResult(created=False, suppression=None, error=item.detail))
                continue
            shown = Suppression.of(item.row) if service.may_see(caller, item.row) else None
            results.append(SuppressionResult(created=item.created, suppression=shown, error=None))
        return SuppressAddressesPayload(results=results)

    @strawberry.mutation(description="Mail may be sent to the address again; the record stays.")
    async def lift_suppression(
        self,
        info: Info,
        id: strawberry.ID,
        consent: Annotated[
            bool,
            strawberry.argument(description="The person has asked for it; needed for unsubscribes and complaints."),
        ] = False,
    ) -> SuppressionPayload | None:
        caller = caller_of(info, Scope.SUPPRESSIONS_WRITE)
        suppression_id = uuid_of(Prefix.SUPPRESSION, id, "suppression")

        async def work(session: AsyncSession) -> SuppressionRow:
            return await service.lift(session, caller, suppression_id, consent=consent)

        return SuppressionPayload(suppression=Suppression.of(await info.context.write(work, EVENTS)))

    @strawberry.mutation(description="Take a lift back: the suppression is in force again, as it was.")
    async def restore_suppression(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> SuppressionPayload | None:
        caller = caller_of(info, Scope.SUPPRESSIONS_WRITE)
        suppression_id = uuid_of(Prefix.SUPPRESSION, id, "suppression")

        async def work(session: AsyncSession) -> SuppressionRow:
            return await service.restore(session, caller, suppression_id)

        async def load(session: AsyncSession, _: str) -> SuppressionRow:
            return await service.get(session, caller, suppression_id)

        asked = {"id": str(id)}
        row = await once(
            info.context, "restoreSuppression", idempotency_key, asked, work, EVENTS, name=lambda _: str(id), load=load
        )
        return SuppressionPayload(suppression=Suppression.of(row))

    @strawberry.mutation(
        description=f"Lift up to {service.MAX_MANY} that were made in a span of time, the oldest first: for bounces "
        "that turned out not to be true. What a person wished is lifted one by one."
    )
    async def undo_suppressions(
        self,
        info: Info,
        from_: Annotated[DateTime, strawberry.argument(name="from")],
        to: DateTime,
        reasons: list[SuppressionReason] | None = None,
    ) -> UndoSuppressionsPayload | None:
        caller = caller_of(info, Scope.SUPPRESSIONS_WRITE)
        wanted = service.Undo(from_, to, [str(reason) for reason in reasons or (SuppressionReason.HARD_BOUNCE,)])

        async def work(session: AsyncSession) -> service.Undone:
            return await service.undo(session, caller, wanted)

        done = await info.context.write(work, EVENTS)
        return UndoSuppressionsPayload(lifted=done.lifted, has_more=done.has_more)
