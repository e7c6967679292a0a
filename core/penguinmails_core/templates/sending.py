"""Messages that take what they say from a template: filled in before the rules of messages look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.errors import FieldError
from penguinmails_core.kit import ids
from penguinmails_core.kit.db import Database
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.models import Template, TemplateVersion
from penguinmails_core.principal import Principal
from penguinmails_core.templates import repository, service
from penguinmails_core.templates.content import parts_of, refusal, render_content
from penguinmails_core.templates.renderer import Renderer

MAX_SUBJECT = 998  # RFC 5322 §2.1.1


class TemplateChoice(Protocol):
    """What a caller says of the template: REST models and GraphQL inputs have these attributes. One of `id` and
    `alias`; `version` None is the published one."""

    @property
    def id(self) -> str | None: ...
    @property
    def alias(self) -> str | None: ...
    @property
    def version(self) -> int | None: ...


class Said(Protocol):
    """A message: what it says itself must be None beside a template."""

    @property
    def subject(self) -> str | None: ...
    @property
    def html(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...
    @property
    def to(self) -> Sequence[str] | str: ...


@dataclass(frozen=True, slots=True)
class Filled:
    subject: str
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    parts: dict[str, Any]
    declared: list[dict[str, Any]]
    samples: dict[str, Any]


class TemplateFiller:
    """Of one request: the messages of a batch look a template up once. `drafts`: to look at, not to send."""

    def __init__(self, database: Database, renderer: Renderer, principal: Principal, *, drafts: bool = False) -> None:
        self._database = database
        self._renderer = renderer
        self._principal = principal
        self._drafts = drafts
        self._found: dict[tuple[str | None, str | None, int | None], _Found | FieldError] = {}

    async def fill(
        self, email: Said, choice: TemplateChoice, variables: Mapping[str, Any] | None, base: str = ""
    ) -> Filled:
        """`base` is the JSON Pointer of the message inside the body. Raises `Unprocessable` for a template that is not
        there or not published, for every variable that is missing, and for `subject`, `html` or `text` beside it."""
        place = f"{base}/template"
        errors = [
            FieldError(f"{base}/{name}", "conflict", f"The template says the {name}. Leave `{name}` out.")
            for name in ("subject", "html", "text")
            if getattr(email, name) is not None
        ]
        if (choice.id is None) == (choice.alias is None):
            errors.append(FieldError(place, "invalid", "Give `id` or `alias` of the template."))
        if errors:
            raise refusal(errors)
        key = (choice.id, choice.alias, choice.version)
        if key not in self._found:
            async with self._database.tenant(self._principal.organization_id) as session:
                self._found[key] = await _find(session, self._principal, choice, drafts=self._drafts)
        found = self._found[key]
        if isinstance(found, FieldError):
            raise refusal([FieldError(place + found.pointer, found.code, found.detail)])
        rendered = await render_content(
            self._renderer,
            found.parts,
            found.declared,
            variables if variables is not None else found.samples,
            seed=seed_of(email),
            pointer=f"{place}/variables",
            part_base=place,
        )
        subject = rendered.subject or ""
        if len(subject) > MAX_SUBJECT:
            detail = f"The subject has {len(subject)} characters with these values; the limit is {MAX_SUBJECT}."
            raise refusal([FieldError(f"{place}/variables", "too_long", detail)])
        return Filled(subject, rendered.html, rendered.text)


async def fill_test(
    database: Database,
    renderer: Renderer,
    principal: Principal,
    template_id: UUID,
    number: int | None,
    variables: Mapping[str, Any] | None,
    seed: str,
) -> Filled:
    """For a test message: any version, the latest when `number` is None, with the sample values when none are given.
    The subject says that it is a test. Raises `NotFound` and `Unprocessable`."""
    async with database.tenant(principal.organization_id) as session:
        version = await service.version_to_show(session, principal, template_id, number)
    rendered = await render_content(
        renderer,
        parts_of(version),
        version.variables,
        variables if variables is not None else version.sample_variables,
        seed=seed.lower(),
        pointer="/variables",
        part_base="",
    )
    return Filled(f"[Test] {rendered.subject}"[:MAX_SUBJECT], rendered.html, rendered.text)


def seed_of(email: Said) -> str:
    """Who decides the spintax: the first recipient, however the address is written."""
    to = email.to if isinstance(email.to, str) else next(iter(email.to), "")
    return to.rpartition("<")[2].strip("> ").lower()


async def _find(
    session: AsyncSession, principal: Principal, choice: TemplateChoice, *, drafts: bool
) -> _Found | FieldError:
    """An error has its pointer below the template."""
    template = await _template(session, principal, choice)
    if isinstance(template, FieldError):
        return template
    newest = template.latest_version if drafts else template.published_version
    number = choice.version if choice.version is not None else newest
    if number is None:
        return FieldError("", "not_published", "No version of the template was published yet.")
    version: TemplateVersion | None = await repository.get_version(session, template, number=number)
    if version is None:
        detail = f"The template has no version {number}; the latest is {template.latest_version}."
        return FieldError("/version", "unknown_version", detail)
    if version.published_at is None and not drafts:
        return FieldError("/version", "not_published", f"Version {number} is a draft. Publish it first.")
    return _Found(parts_of(version), version.variables, version.sample_variables)


async def _template(session: AsyncSession, principal: Principal, choice: TemplateChoice) -> Template | FieldError:
    if choice.id is not None:
        try:
            found = await repository.get(session, principal, ids.decode(Prefix.TEMPLATE, choice.id))
        except ids.IdError:
            found = None
        return found or FieldError("/id", "unknown_template", "There is no such template.")
    alias = choice.alias or ""
    # What cannot be an alias is not asked for: PostgreSQL takes no U+0000.
    found = (
        await repository.find_alias(session, principal, principal.target_workspace_id, alias)
        if alias.isascii() and alias.isprintable()
        else None
    )
    return found or FieldError("/alias", "unknown_template", "No template of the workspace has this alias.")
