"""Templates, their versions and previews."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry
from strawberry.scalars import JSON

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.templates.renderer import Rendered
from penguinmails_core.templates.service import Shown
from penguinmails_graphql.relay import Node
from penguinmails_graphql.scalars import DateTime


@strawberry.enum
class TemplateVariableType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"


@strawberry.enum(description="`DRAFT`: no version was published yet, so nothing can be sent.")
class TemplateStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


@strawberry.enum(description="`SUPERSEDED`: it was published before, and another one is now.")
class TemplateVersionStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"


@strawberry.type(description="A message to be filled in for each person.")
class Template(Node):
    name: str
    alias: str | None
    status: TemplateStatus
    latest_version: int
    latest_version_id: strawberry.ID
    published_version: int | None = strawberry.field(description="What is sent; null for a draft.")
    published_version_id: strawberry.ID | None
    workspace_id: strawberry.ID
    created_at: DateTime
    updated_at: DateTime

    @classmethod
    def of(cls, found: Shown) -> Self:
        row, published = found.row, found.published_id
        return cls(
            id=strawberry.ID(ids.encode(Prefix.TEMPLATE, row.id)),
            name=row.name,
            alias=row.alias,
            status=TemplateStatus.DRAFT if row.published_version is None else TemplateStatus.PUBLISHED,
            latest_version=row.latest_version,
            latest_version_id=strawberry.ID(ids.encode(Prefix.TEMPLATE_VERSION, found.latest_id)),
            published_version=row.published_version,
            published_version_id=strawberry.ID(ids.encode(Prefix.TEMPLATE_VERSION, published)) if published else None,
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, row.workspace_id)),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type(description="What a template expects under a name.")
class TemplateVariable:
    name: str
    type: TemplateVariableType
    required: bool
    fallback: JSON | None
    description: str | None


@strawberry.type(description="What a template says, or said: a version never changes.")
class TemplateVersion:
    id: strawberry.ID
    template_id: strawberry.ID
    version: int
    status: TemplateVersionStatus
    subject: str
    html: str | None
    mjml: str | None
    text: str | None = strawberry.field(description="Null: made from the HTML.")
    spintax: bool
    inline_css: bool
    variables: list[TemplateVariable] = strawberry.field(description="Those that were declared.")
    used_variables: list[str]
    sample_variables: JSON
    note: str | None
    created_at: DateTime
    published_at: DateTime | None

    @classmethod
    def of(cls, template: models.Template, row: models.TemplateVersion) -> Self:
        published = template.published_version == row.version
        status = "published" if published else "draft" if row.published_at is None else "superseded"
        return cls(
            id=strawberry.ID(ids.encode(Prefix.TEMPLATE_VERSION, row.id)),
            template_id=strawberry.ID(ids.encode(Prefix.TEMPLATE, row.template_id)),
            version=row.version,
            status=TemplateVersionStatus(status),
            subject=row.subject,
            html=row.source if row.format == "html" else None,
            mjml=row.source if row.format == "mjml" else None,
            text=row.text,
            spintax=row.spintax,
            inline_css=row.inline_css,
            variables=[
                TemplateVariable(
                    name=item["name"],
                    type=TemplateVariableType(item["type"]),
                    required=item["required"],
                    fallback=None if item["fallback"] is None else JSON(item["fallback"]),
                    description=item["description"],
                )
                for item in row.variables
            ],
            used_variables=row.used,
            sample_variables=JSON(row.sample_variables),
            note=row.note,
            created_at=DateTime(row.created_at),
            published_at=DateTime(row.published_at) if row.published_at else None,
        )


@strawberry.type(description="A template filled in: what a recipient would get.")
class TemplatePreview:
    version: int
    subject: str
    html: str | None
    text: str | None

    @classmethod
    def of(cls, version: int, rendered: Rendered) -> Self:
        return cls(version=version, subject=rendered.subject or "", html=rendered.html, text=rendered.text)
