"""What may be said of a template."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.templates.content import Content
from penguinmails_core.templates.variables import Variable
from penguinmails_graphql.templates.types import TemplateVariableType


def values_of(value: object, name: str) -> dict[str, Any]:
    """A JSON object, from a JSON argument. Raises `Unprocessable` naming the argument."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        detail = f"`{name}` must be an object: values by name."
        raise Unprocessable(detail, errors=[FieldError(f"/{name}", "invalid", detail)])
    return value


@strawberry.input(description="What a template expects under a name.")
class TemplateVariableInput:
    name: str
    type: TemplateVariableType = TemplateVariableType.STRING
    required: bool = strawberry.field(default=True, description="Without a value and a fallback, nothing is sent.")
    fallback: JSON | None = None
    description: str | None = None


@strawberry.input(description="Liquid. Give `html`, `mjml` or `text`.")
class TemplateContentInput:
    subject: str
    html: str | None = None
    mjml: str | None = None
    text: str | None = strawberry.field(default=None, description="Left out beside HTML or MJML: made from them.")
    spintax: bool = False
    inline_css: bool = True
    variables: list[TemplateVariableInput] | None = None
    sample_variables: JSON | None = None
    note: str | None = None

    def to_content(self) -> Content:
        return Content(
            subject=self.subject,
            html=self.html,
            mjml=self.mjml,
            text=self.text,
            spintax=self.spintax,
            inline_css=self.inline_css,
            variables=[
                Variable(item.name, str(item.type), item.required, item.fallback, item.description)
                for item in self.variables or ()
            ],
            sample_variables=values_of(self.sample_variables, "sampleVariables"),
            note=self.note,
        )


@strawberry.input(description="A template and its first version.")
class CreateTemplateInput:
    name: str
    alias: str | None = None
    content: TemplateContentInput
    publish: bool = False


@strawberry.input(description="A draft, unless it is to be published at once.")
class CreateTemplateVersionInput:
    template_id: strawberry.ID
    content: TemplateContentInput
    publish: bool = False


@strawberry.input(description="Only what is given is changed.")
class UpdateTemplateInput:
    id: strawberry.ID
    name: str | None = strawberry.UNSET
    alias: str | None = strawberry.field(default=strawberry.UNSET, description="Null takes it away.")

    def changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.name is not strawberry.UNSET and self.name is not None:
            found["name"] = self.name
        if self.alias is not strawberry.UNSET:
            found["alias"] = self.alias
        return found


@strawberry.input(description="One message to look at.")
class SendTemplateTestInput:
    id: strawberry.ID
    from_: str = strawberry.field(name="from", description="The sender; its domain must be verified.")
    to: str
    version: int | None = strawberry.field(default=None, description="The latest one when left out.")
    variables: JSON | None = strawberry.field(default=None, description="The sample values when left out.")
