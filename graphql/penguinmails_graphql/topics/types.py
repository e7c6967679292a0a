"""What people can choose on the preference page."""

from __future__ import annotations

from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime


@strawberry.type(description="A list with a name for people, who choose it on the preference page.")
class Topic(Node):
    list: str
    name: str
    description: str | None
    public: bool
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, row: models.Topic) -> Self:
        return cls(
            id=strawberry.ID(ids.encode(Prefix.TOPIC, row.id)),
            list=row.list,
            name=row.name,
            description=row.description,
            public=row.public,
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )
