"""What one version of a template says, and whether it can be used at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.texts import text_errors
from penguinmails_core.models import TemplateVersion
from penguinmails_core.templates.renderer import Rendered, Renderer
from penguinmails_core.templates.variables import (
    Variable,
    declared_errors,
    fill_in,
    missing_error,
    value_fault,
    values_errors,
)

MAX_SOURCE = 200_000  # characters of each part; a request has 256 KB
MAX_SUBJECT = 2000
MAX_NOTE = 500


@dataclass(frozen=True, slots=True)
class Content:
    """One of `html`, `mjml` and `text` at least; not both of the first two."""

    subject: str
    html: str | None = None
    mjml: str | None = None
    text: str | None = None
    spintax: bool = False
    inline_css: bool = True
    variables: Sequence[Variable] = ()
    sample_variables: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None

    @property
    def format(self) -> str:
        return "mjml" if self.mjml is not None else "html" if self.html is not None else "text"

    @property
    def source(self) -> str:
        return self.mjml or self.html or ""

    def parts(self) -> dict[str, Any]:
        """As the engine takes it."""
        return {
            "format": self.format,
            "subject": self.subject,
            "source": self.source,
            "text": self.text,
            "spintax": self.spintax,
            "inline_css": self.inline_css,
        }

    def declared(self) -> list[dict[str, Any]]:
        return [
            {
                "name": variable.name,
                "type": variable.type,
                "required": variable.required,
                "fallback": variable.fallback,
                "description": variable.description,
            }
            for variable in self.variables
        ]


@dataclass(frozen=True, slots=True)
class Checked:
    """A content that can be stored; `used` names its variables."""

    content: Content
    used: tuple[str, ...]


def parts_of(version: TemplateVersion) -> dict[str, Any]:
    """As the engine takes it."""
    return {
        "format": version.format,
        "subject": version.subject,
        "source": version.source,
        "text": version.text,
        "spintax": version.spintax,
        "inline_css": version.inline_css,
    }


async def check_content(renderer: Renderer, content: Content) -> Checked:
    """Before anything is stored: every part must be Liquid, and with samples for all variables the whole must render.

    Raises `Unprocessable` with every fault."""
    errors = _shape_errors(content)
    if errors:
        raise refusal(errors)
    faults, used = await renderer.check(content.parts())
    if faults:
        raise refusal([part_error(fault, "") for fault in faults])
    values, lacking = fill_in(content.declared(), content.sample_variables, "/sample_variables")
    if any(error.code != "missing_variable" for error in lacking):
        raise refusal(lacking)
    if not lacking and set(used) <= values.keys():
        rendered = await renderer.render(content.parts(), values)
        if rendered.errors:
            raise refusal([part_error(fault, "") for fault in rendered.errors])
    return Checked(content, used)


def _shape_errors(content: Content) -> list[FieldError]:
    errors: list[FieldError] = []
    if content.html is not None and content.mjml is not None:
        errors.append(FieldError("/mjml", "conflict", "Give `html` or `mjml`, not both."))
    if content.html is None and content.mjml is None and content.text is None:
        errors.append(FieldError("/html", "missing_content", "Give `html`, `mjml` or `text`."))
    for name, value, most in (
        ("subject", content.subject, MAX_SUBJECT),
        ("html", content.html, MAX_SOURCE),
        ("mjml", content.mjml, MAX_SOURCE),
        ("text", content.text, MAX_SOURCE),
    ):
        if value is None:
            continue
        if not 1 <= len(value) <= most:
            errors.append(FieldError(f"/{name}", "invalid_length", f"`{name}` must have 1 to {most} characters."))
        if (fault := value_fault(value)) is not None:
            errors.append(FieldError(f"/{name}", "invalid", f"`{name}`: {fault}."))
    errors += declared_errors(content.variables, "/variables")
    errors += values_errors(content.sample_variables, "/sample_variables")
    if content.note is not None:
        errors += text_errors("/note", content.note, most=MAX_NOTE, lines=True)
    return errors


def part_error(fault: Mapping[str, Any], base: str) -> FieldError:
    """What the engine says of a part, as the caller gets it."""
    line = f" (line {fault['line']})" if fault["line"] else ""
    detail = str(fault["detail"])
    return FieldError(f"{base}/{fault['part']}", str(fault["code"]), f"{detail[:1].upper()}{detail[1:]}{line}.")


def refusal(errors: Sequence[FieldError], what: str = "fields need attention") -> Unprocessable:
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} {what}; see `errors`."
    return Unprocessable(detail, errors=errors)


async def render_content(
    renderer: Renderer,
    parts: Mapping[str, Any],
    declared: Sequence[Mapping[str, Any]],
    given: Mapping[str, Any],
    *,
    seed: str,
    pointer: str,
    part_base: str,
) -> Rendered:
    """`pointer` is where the variables stand in the request, `part_base` where the template does. Raises
    `Unprocessable` that names every variable that is missing."""
    errors = values_errors(given, pointer)
    if errors:
        raise refusal(errors)
    values, errors = fill_in(declared, given, pointer)
    rendered = await renderer.render(parts, values, seed)
    named = {error.pointer for error in errors}
    found = [missing_error(name, pointer) for name in rendered.missing]
    errors += [error for error in found if error.pointer not in named]
    errors += [part_error(fault, part_base) for fault in rendered.errors]
    if errors:
        raise refusal(errors, "things keep the template from being filled in")
    return rendered
