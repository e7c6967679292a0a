"""Make, change and delete topics."""

from __future__ import annotations

from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.scopes import Scope
from penguinmails_core.topics import service
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.once import IdempotencyKey, once
from penguinmails_graphql.relay import DeletedPayload, given, uuid_of
from penguinmails_graphql.topics.types import Topic

WRITE = Scope.SUPPRESSIONS_WRITE


@strawberry.input
class CreateTopicInput:
    list: str = strawberry.field(description="What messages say in `unsubscribe.list`.")
    name: str
    description: str | None = None
    public: bool = strawberry.field(default=True, description="Offered to everybody on the preference page.")


@strawberry.input(description="Only what is given is changed; a null `description` takes it away.")
class UpdateTopicInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    public: bool | None = strawberry.UNSET

    def values(self) -> dict[str, Any]:
        found = given(self, "name", "description", "public")
        return {name: value for name, value in found.items() if value is not None or name == "description"}


@strawberry.type
class TopicPayload:
    topic: Topic


@strawberry.type
class TopicsMutation:
    @strawberry.mutation(description="Give a list a name that people read on the preference page.")
    async def create_topic(
        self, info: Info, input: CreateTopicInput, idempotency_key: IdempotencyKey = None
    ) -> TopicPayload | None:
        caller = caller_of(info, WRITE)
        asked = {
            "list": input.list,
            "name": input.name,
            "description": input.description,
            "public": input.public,
        }

        async def work(session: AsyncSession) -> models.Topic:
            return await service.create(session, caller, asked)

        async def load(session: AsyncSession, name: str) -> models.Topic:
            return await service.get(session, caller, ids.decode(Prefix.TOPIC, name))

        row = await once(
            info.context,
            "createTopic",
            idempotency_key,
            asked,
            work,
            name=lambda row: ids.encode(Prefix.TOPIC, row.id),
            load=load,
        )
        return TopicPayload(topic=Topic.of(row))

    @strawberry.mutation(description="Name, description, and to whom it is offered.")
    async def update_topic(self, info: Info, input: UpdateTopicInput) -> TopicPayload | None:
        caller, topic_id, values = caller_of(info, WRITE), uuid_of(Prefix.TOPIC, input.id, "topic"), input.values()

        async def work(session: AsyncSession) -> models.Topic:
            return await service.update(session, caller, topic_id, values)

        return TopicPayload(topic=Topic.of(await info.context.write(work)))

    @strawberry.mutation(description="The list loses its name for people. Whoever left it stays off it.")
    async def delete_topic(self, info: Info, id: strawberry.ID) -> DeletedPayload | None:
        caller, topic_id = caller_of(info, WRITE), uuid_of(Prefix.TOPIC, id, "topic")

        async def work(session: AsyncSession) -> None:
            await service.delete(session, caller, topic_id)

        await info.context.write(work)
        return DeletedPayload(id=id)
