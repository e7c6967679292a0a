"""Topics as the API shows them."""

from collections.abc import Sequence
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.emails.options import MAX_LIST_CHARACTERS
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.topics.service import MAX_DESCRIPTION, MAX_NAME

TopicIdInPath = Annotated[UUID, from_path(Prefix.TOPIC, "topic"), typeid(Prefix.TOPIC)]
ListName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_LIST_CHARACTERS,
        pattern="^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$",
        description="What messages say in `unsubscribe.list`; once in the organization.",
        examples=["product-news"],
    ),
]
Name = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME, description="What people read.", examples=["Product news"])
]
Description = Annotated[
    str | None,
    Field(max_length=MAX_DESCRIPTION, description="One sentence more.", examples=["What is new, once a month."]),
]
Public = Annotated[
    bool,
    Field(
        strict=True, description="Offered to everybody on the preference page, not only to those who had mail of it."
    ),
]


def unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `given`."""


class TopicCreate(RequestBody):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"list": "product-news", "name": "Product news", "description": "What is new, once a month."}]
        }
    )

    list: ListName
    name: Name
    description: Description = None
    public: Public = True


class TopicUpdate(RequestBody):
    """Only what is given is changed. The list stays: people have left it by that name."""

    name: Name = Field(default_factory=unset)
    description: Description = Field(default_factory=unset)
    public: Public = Field(default_factory=unset)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class TopicListQuery(PageQuery):
    pass


class Topic(Resource):
    """A list with a name for people, who choose it on the preference page."""

    id: Annotated[str, typeid(Prefix.TOPIC)]
    list: str = Field(examples=["product-news"])
    name: str = Field(examples=["Product news"])
    description: str | None = Field(examples=["What is new, once a month."])
    public: bool
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, row: models.Topic) -> Self:
        return cls(
            id=ids.encode(Prefix.TOPIC, row.id),
            list=row.list,
            name=row.name,
            description=row.description,
            public=row.public,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class TopicList(Page[Topic]):
    """Topics, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.Topic], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Topic.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
