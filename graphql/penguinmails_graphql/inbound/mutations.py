"""Make, change and delete inbound sources; replay what came."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.inbound.schemes import InboundScheme
from penguinmails_core.inbound.service import DEFAULT_OVERLAP, MAX_OVERLAP
from penguinmails_core.kit import ids
from penguinmails_core.kit.doorbell import INBOUND
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_graphql.context import Info, caller_of, fresh_caller_of
from penguinmails_graphql.inbound.types import InboundMessage, InboundSource, InboundSourceStatus
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, uuid_of

WRITE = Scope.INBOUND_WRITE
Made = tuple[models.InboundSource, str | None]


@strawberry.enum
class InboundAlgorithm(StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


@strawberry.enum
class InboundEncoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


@strawberry.input(description="What `HMAC`, `TOKEN` and `BASIC` leave open; the other schemes take none.")
class InboundSettingsInput:
    header: str | None = None
    prefix: str | None = None
    algorithm: InboundAlgorithm | None = None
    encoding: InboundEncoding | None = None
    id_header: str | None = None

    def given(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in ("header", "prefix", "algorithm", "encoding", "id_header")}
        return {name: str(value) for name, value in values.items() if value is not None}


@strawberry.input
class CreateInboundSourceInput:
    name: str
    scheme: InboundScheme
    secret: str | None = strawberry.field(
        default=None, description="Left out, one is made, where the sender lets you choose it."
    )
    settings: InboundSettingsInput | None = None


@strawberry.input(description="Only what is given is changed; `settings` are replaced as a whole.")
class UpdateInboundSourceInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    settings: InboundSettingsInput | None = strawberry.UNSET
    status: InboundSourceStatus | None = strawberry.UNSET

    def changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("name", "status"):
            value = getattr(self, name)
            if value is not strawberry.UNSET and value is not None:
                found[name] = value
        if self.settings is not strawberry.UNSET:
            found["settings"] = self.settings.given() if self.settings else {}
        return found


@strawberry.type
class InboundSourcePayload:
    inbound_source: InboundSource


@strawberry.type(description="Keep the secret: it is shown this once. Null when you gave it, and in a replay.")
class InboundSourceSecretPayload:
    inbound_source: InboundSource
    secret: str | None


@strawberry.type
class InboundMessagePayload:
    inbound_message: InboundMessage


@strawberry.type
class InboundMutation:
    @strawberry.mutation(description="A URL for the webhooks of one sender.")
    async def create_inbound_source(
        self, info: Info, input: CreateInboundSourceInput, idempotency_key: IdempotencyKey = None
    ) -> InboundSourceSecretPayload | None:
        caller, service = caller_of(info, WRITE), info.context.services.inbound_sources
        asked: dict[str, Any] = {
            "name": input.name,
            "scheme": str(input.scheme),
            "secret": input.secret,
            "settings": input.settings.given() if input.settings else None,
        }

        async def work(session: AsyncSession) -> Made:
            return await service.create(session, caller, **asked)

        async def load(session: AsyncSession, name: str) -> Made:
            return await service.get(session, caller, ids.decode(Prefix.INBOUND_SOURCE, name)), None

        row, secret = await once(
            info.context, "createInboundSource", idempotency_key, asked, work, name=_name_of_made, load=load
        )
        return InboundSourceSecretPayload(inbound_source=InboundSource.of(row, service.url_of(row)), secret=secret)

    @strawberry.mutation(description="The scheme stays: another sender gets another source.")
    async def update_inbound_source(self, info: Info, input: UpdateInboundSourceInput) -> InboundSourcePayload | None:
        caller, service, changes = caller_of(info, WRITE), info.context.services.inbound_sources, input.changes()
        source_id = uuid_of(Prefix.INBOUND_SOURCE, input.id, "inbound source")

        async def work(session: AsyncSession) -> models.InboundSource:
            return await service.update(session, caller, source_id, changes)

        row = await info.context.write(work)
        return InboundSourcePayload(inbound_source=InboundSource.of(row, service.url_of(row)))

    @strawberry.mutation(description="Its URL answers 404 from then on, and the messages that came by it are gone.")
    async def delete_inbound_source(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller = await fresh_caller_of(info, WRITE)
        source_id = uuid_of(Prefix.INBOUND_SOURCE, id, "inbound source")

        async def work(session: AsyncSession) -> None:
            await info.context.services.inbound_sources.delete(session, caller, source_id)

        await info.context.write(work)
        return DeletedPayload(id=id)

    @strawberry.mutation(description="A new secret beside those before, which count for `overlapSeconds` more.")
    async def rotate_inbound_secret(
        self,
        info: Info,
        id: strawberry.ID,
        secret: str | None = None,
        overlap_seconds: int = int(DEFAULT_OVERLAP.total_seconds()),
        idempotency_key: IdempotencyKey = None,
    ) -> InboundSourceSecretPayload | None:
        caller, service = await fresh_caller_of(info, WRITE), info.context.services.inbound_sources
        source_id, overlap = uuid_of(Prefix.INBOUND_SOURCE, id, "inbound source"), timedelta(seconds=overlap_seconds)
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            detail = f"`overlapSeconds` must be 0 to {MAX_OVERLAP.total_seconds():.0f}."
            raise Unprocessable(detail, errors=[FieldError("overlapSeconds", "out_of_range", detail)])

        async def work(session: AsyncSession) -> Made:
            return await service.rotate_secret(session, caller, source_id, secret=secret, overlap=overlap)

        async def load(session: AsyncSession, _: str) -> Made:
            return await service.get(session, caller, source_id), None

        asked = {"id": str(id), "secret": secret, "overlap": overlap_seconds}
        row, made = await once(
            info.context, "rotateInboundSecret", idempotency_key, asked, work, name=_name_of_made, load=load
        )
        return InboundSourceSecretPayload(inbound_source=InboundSource.of(row, service.url_of(row)), secret=made)

    @strawberry.mutation(description="Every integration that wants it gets it again. A rejected one cannot be.")
    async def replay_inbound_message(
        self, info: Info, id: strawberry.ID, idempotency_key: IdempotencyKey = None
    ) -> InboundMessagePayload | None:
        caller, service = caller_of(info, WRITE), info.context.services.inbound_sources
        message_id = uuid_of(Prefix.INBOUND_MESSAGE, id, "inbound message")

        async def work(session: AsyncSession) -> models.InboundMessage:
            return await service.replay(session, caller, message_id)

        async def load(session: AsyncSession, _: str) -> models.InboundMessage:
            return await service.get_message(session, caller, message_id)

        row = await once(
            info.context,
            "replayInboundMessage",
            idempotency_key,
            {"id": str(id)},
            work,
            INBOUND,
            name=lambda _: str(id),
            load=load,
        )
        return InboundMessagePayload(inbound_message=InboundMessage.of(row, whole=True))


def _name_of_made(made: Made) -> str:
    return ids.encode(Prefix.INBOUND_SOURCE, made[0].id)
