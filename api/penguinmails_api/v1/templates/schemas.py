"""Templates as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.emails.send_schemas import Address
from penguinmails_api.v1.limits import AtMost
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.templates import content, service
from penguinmails_core.templates import variables as rules
from penguinmails_core.templates.renderer import Rendered

TemplateIdInPath = Annotated[UUID, from_path(Prefix.TEMPLATE, "template"), typeid(Prefix.TEMPLATE)]
VersionIdInPath = Annotated[
    UUID, from_path(Prefix.TEMPLATE_VERSION, "version of the template"), typeid(Prefix.TEMPLATE_VERSION)
]
SUBJECT = "Welcome, {{ first_name | default: 'friend' }}"
HTML = '<p>Hello {{ first_name }}, <a href="{{ login_url }}">sign in</a>.</p>'


class TemplateVariableType(StrEnum):
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"


class TemplateStatus(StrEnum):
    """`draft`: no version was published yet, so nothing can be sent."""

    DRAFT = "draft"
    PUBLISHED = "published"


class TemplateVersionStatus(StrEnum):
    """`superseded`: it was published before, and another one is now."""

    DRAFT = "draft"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"


class TemplateEngine(StrEnum):
    LIQUID = "liquid"


class TemplateVariableInput(RequestBody):
    """What a template expects under a name."""

    name: Annotated[str, AtMost(maxLength=64)] = Field(
        description="Letters, digits and `_`, at most 64.", examples=["first_name"]
    )
    type: TemplateVariableType = TemplateVariableType.STRING
    required: bool = Field(True, strict=True, description="Without a value and a fallback, nothing is sent.")
    fallback: Any = Field(None, description="Taken where no value is given.", examples=["friend"])
    description: str | None = Field(None, max_length=rules.MAX_DESCRIPTION, examples=["As people are addressed"])


class TemplateVariable(Resource):
    name: str = Field(examples=["first_name"])
    type: TemplateVariableType
    required: bool
    fallback: Any = Field(examples=["friend"])
    description: str | None = Field(examples=["As people are addressed"])


Name = Annotated[str, AtMost(maxLength=service.MAX_NAME), Field(description="For people.", examples=["Welcome"])]
Alias = Annotated[
    Annotated[str, AtMost(maxLength=service.MAX_ALIAS)] | None,
    Field(
        description="A name for programs: lower-case letters, digits, `-` and `_`, at most 64; one of its kind in the "
        "workspace.",
        examples=["welcome"],
    ),
]
Source = Annotated[str, AtMost(maxLength=content.MAX_SOURCE)]
Publish = Annotated[bool, Field(strict=True, description="Publish it at once, instead of leaving it a draft.")]
VersionNumber = Annotated[int, Field(ge=1, le=service.MAX_VERSIONS, strict=True)]
Values = Annotated[
    dict[str, Any],
    Field(
        description="Values by name: any JSON, at most 256 KB. Null is as good as nothing given.",
        examples=[{"first_name": "Ada", "login_url": "https://acme.example/login"}],
    ),
]


class TemplateContentInput(RequestBody):
    subject: Annotated[str, AtMost(maxLength=content.MAX_SUBJECT)] = Field(
        description="Liquid. Line breaks become spaces.", examples=[SUBJECT]
    )
    html: Source | None = Field(
        None,
        description="Liquid in HTML; what variables hold is escaped. Give `html`, `mjml` or `text`.",
        examples=[HTML],
    )
    mjml: Source | None = Field(
        None, description="Liquid in MJML, in the place of `html`. `mj-include` is refused.", examples=[None]
    )
    text: Source | None = Field(
        None, description="Liquid. Left out beside HTML or MJML: made from them.", examples=[None]
    )
    spintax: bool = Field(
        False,
        strict=True,
        description="`{Hi|Hello}` says one of both, and the same one to the same person each time.",
    )
    inline_css: bool = Field(
        True, strict=True, description="Write rules of `<style>` into the elements, for mail programs that ignore it."
    )
    variables: Annotated[list[TemplateVariableInput], AtMost(maxItems=rules.MAX_VARIABLES)] = Field(
        default_factory=list, description="Declared variables: types, fallbacks. Others may be used undeclared."
    )
    sample_variables: Values = Field(
        default_factory=dict, description="Values for previews and tests, where none are given."
    )
    note: Annotated[str, AtMost(maxLength=content.MAX_NOTE)] | None = Field(
        None,
        description="What changed, for people.",
        examples=["First words"],
    )

    def to_content(self) -> content.Content:
        return content.Content(
            subject=self.subject,
            html=self.html,
            mjml=self.mjml,
            text=self.text,
            spintax=self.spintax,
            inline_css=self.inline_css,
            variables=[
                rules.Variable(item.name, item.type.value, item.required, item.fallback, item.description)
                for item in self.variables
            ],
            sample_variables=self.sample_variables,
            note=self.note,
        )


class TemplateVersionCreate(TemplateContentInput):
    publish: Publish = False


class TemplateCreate(TemplateContentInput):
    """A template and its first version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Welcome",
                    "alias": "welcome",
                    "subject": SUBJECT,
                    "html": HTML,
                    "variables": [{"name": "first_name", "fallback": "friend"}],
                    "sample_variables": {"first_name": "Ada", "login_url": "https://acme.example/login"},
                    "publish": True,
                }
            ]
        }
    )

    name: Name
    alias: Alias = None
    publish: Publish = False


def _unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `changes`."""


class TemplateUpdate(RequestBody):
    """Only what is given is changed. What a template says is changed by another version of it."""

    name: Name = Field(default_factory=_unset)
    alias: Alias = Field(default_factory=_unset, description="Null takes it away.", examples=["welcome"])

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class TemplateVersionChoice(RequestBody):
    version: VersionNumber | None = Field(
        None, description="The latest one when left out, and for a rollback the one published before.", examples=[1]
    )


class TemplatePreviewRequest(RequestBody):
    version: VersionNumber | None = Field(None, description="The latest one when left out.", examples=[1])
    variables: Values | None = Field(None, description="The template's sample values when left out.")
    seed: str = Field(
        "",
        max_length=320,
        description="Decides spintax: the address of a recipient shows what that one gets.",
        examples=["ada@example.com"],
    )


class TemplateTestSend(RequestBody):
    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={"examples": [{"from": "Penguin <hello@acme.test>", "to": "ada@example.com"}]},
    )

    from_: Address = Field(alias="from", description="The sender; its domain must be verified.")
    to: Address = Field(description="Who gets it, and whose spintax is taken.")
    version: VersionNumber | None = Field(
        None, description="The latest one when left out; drafts may be tested.", examples=[1]
    )
    variables: Values | None = Field(None, description="The template's sample values when left out.")


class Template(Resource):
    """A message to be filled in for each person."""

    id: Annotated[str, typeid(Prefix.TEMPLATE)]
    name: str = Field(examples=["Welcome"])
    alias: str | None = Field(examples=["welcome"])
    status: TemplateStatus
    latest_version: int = Field(examples=[2])
    latest_version_id: Annotated[str, typeid(Prefix.TEMPLATE_VERSION)]
    published_version: int | None = Field(description="What is sent; null for a draft.", examples=[1])
    published_version_id: Annotated[str, typeid(Prefix.TEMPLATE_VERSION)] | None
    workspace_id: Annotated[str, typeid(Prefix.WORKSPACE)]
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, found: service.Shown) -> Self:
        row = found.row
        published = found.published_id
        return cls(
            id=ids.encode(Prefix.TEMPLATE, row.id),
            name=row.name,
            alias=row.alias,
            status=TemplateStatus.DRAFT if row.published_version is None else TemplateStatus.PUBLISHED,
            latest_version=row.latest_version,
            latest_version_id=ids.encode(Prefix.TEMPLATE_VERSION, found.latest_id),
            published_version=row.published_version,
            published_version_id=ids.encode(Prefix.TEMPLATE_VERSION, published) if published else None,
            workspace_id=ids.encode(Prefix.WORKSPACE, row.workspace_id),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class TemplateList(Page[Template]):
    """Templates, the newest first."""

    @classmethod
    def of(cls, found: Sequence[service.Shown], has_more: bool, *, backwards: bool) -> Self:
        ends = [item.row.id for item in found]
        data = [Template.of(item) for item in found]
        return cls(data=data, has_more=has_more, next_cursor=next_cursor(ends, has_more, backwards=backwards))


def status_of(template: models.Template, version: models.TemplateVersion) -> str:
    if template.published_version == version.version:
        return "published"
    return "draft" if version.published_at is None else "superseded"


class TemplateVersion(Resource):
    """What a template says, or said: a version never changes."""

    id: Annotated[str, typeid(Prefix.TEMPLATE_VERSION)]
    template_id: Annotated[str, typeid(Prefix.TEMPLATE)]
    version: int = Field(examples=[1])
    status: TemplateVersionStatus
    engine: TemplateEngine
    subject: str = Field(examples=[SUBJECT])
    html: str | None = Field(examples=[HTML])
    mjml: str | None = Field(examples=[None])
    text: str | None = Field(description="Null: made from the HTML.", examples=[None])
    spintax: bool
    inline_css: bool
    variables: list[TemplateVariable] = Field(description="Those that were declared.")
    used_variables: list[str] = Field(
        description="Names that the parts use, declared or not.", examples=[["first_name", "login_url"]]
    )
    sample_variables: dict[str, Any]
    note: str | None = Field(examples=["First words"])
    created_at: Timestamp
    published_at: Timestamp | None = Field(description="When it was published first.")

    @classmethod
    def of(cls, template: models.Template, row: models.TemplateVersion) -> Self:
        return cls(
            id=ids.encode(Prefix.TEMPLATE_VERSION, row.id),
            template_id=ids.encode(Prefix.TEMPLATE, row.template_id),
            version=row.version,
            status=TemplateVersionStatus(status_of(template, row)),
            engine=TemplateEngine.LIQUID,
            subject=row.subject,
            html=row.source if row.format == "html" else None,
            mjml=row.source if row.format == "mjml" else None,
            text=row.text,
            spintax=row.spintax,
            inline_css=row.inline_css,
            variables=[TemplateVariable(**variable) for variable in row.variables],
            used_variables=row.used,
            sample_variables=row.sample_variables,
            note=row.note,
            created_at=row.created_at,
            published_at=row.published_at,
        )


class TemplateVersionList(Page[TemplateVersion]):
    """Versions of one template, the newest first."""

    @classmethod
    def of(
        cls, template: models.Template, rows: Sequence[models.TemplateVersion], has_more: bool, *, backwards: bool
    ) -> Self:
        data = [TemplateVersion.of(template, row) for row in rows]
        ends = [row.id for row in rows]
        return cls(data=data, has_more=has_more, next_cursor=next_cursor(ends, has_more, backwards=backwards))


class TemplatePreview(Resource):
    """A template filled in: what a recipient would get."""

    version: int = Field(examples=[1])
    subject: str = Field(examples=["Welcome, Ada"])
    html: str | None = Field(examples=['<p>Hello Ada, <a href="https://acme.example/login">sign in</a>.</p>'])
    text: str | None = Field(examples=["Hello Ada, sign in [1].\n\n[1] https://acme.example/login\n"])

    @classmethod
    def of(cls, version: int, rendered: Rendered) -> Self:
        return cls(version=version, subject=rendered.subject or "", html=rendered.html, text=rendered.text)


class TemplateListQuery(PageQuery):
    pass
