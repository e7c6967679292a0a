"""Liquid with limits, MJML, inlined styles and the text part. Runs in a worker process of its own (`worker.py`):
what a hostile template can still do here ends with that process.

Everything goes in and out as plain JSON values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any

import css_inline
import liquid
import mrml
from liquid import Environment
from liquid.builtin import DictLoader
from liquid.exceptions import LiquidError
from liquid.mode import Mode
from liquid.undefined import Undefined

from penguinmails_core.templates import filters
from penguinmails_core.templates.html_text import text_of
from penguinmails_core.templates.spintax import VARIABLE, SpintaxError, choose, compile_spintax

MAX_OUTPUT = 2 * 1024 * 1024  # octets of one rendered part
# The sender puts the link of each recipient there (docs/unsubscribe.md); until then it stands for itself.
LATER = {"unsubscribe_url": "{{unsubscribe_url}}"}
_FORBIDDEN_TAGS = ("include", "render", "extends", "block")

_missing: dict[str, None] = {}  # of the part that is rendered; the process works on one thing at a time


class Missing(Undefined):
    """A variable that is not there. It may be tested (`if`, `==`) and given a `default`; whatever else is done with it
    is recorded, so that all of them can be named at once."""

    __slots__ = ()
    force_liquid_default = True

    def _record(self) -> None:
        name = (self.hint or self.name).removesuffix(" is undefined").strip("'\"")
        _missing[self.name if name == "index out of range" else name] = None

    def __str__(self) -> str:
        self._record()
        return ""

    def __iter__(self) -> Any:
        self._record()
        return iter(())

    def __getitem__(self, key: str) -> object:
        self._record()
        return self

    def __len__(self) -> int:
        self._record()
        return 0

    def __int__(self) -> int:
        self._record()
        return 0

    def __bool__(self) -> bool:
        return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Undefined) or other is None or other is False

    def poke(self) -> bool:
        self._record()
        return True


class _Environment(Environment):
    block_nesting_limit = 50
    context_depth_limit = 30
    loop_iteration_limit = 100_000
    local_namespace_limit = 4 * 1024 * 1024
    output_stream_limit = MAX_OUTPUT


def _environment(*, autoescape: bool) -> Environment:
    environment = _Environment(
        tolerance=Mode.STRICT,
        strict_filters=True,
        undefined=Missing,
        autoescape=autoescape,
        loader=DictLoader({}),
    )
    for tag in _FORBIDDEN_TAGS:
        environment.tags.pop(tag, None)
    filters.register(environment)
    for name, function in environment.filters.items():
        if name != "default":
            environment.filters[name] = _strict(function)
    return environment


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """Some filters take what is not there for zero."""

    @wraps(function)
    def strict(*arguments: Any, **named: Any) -> Any:
        for value in arguments:
            if isinstance(value, Missing):
                value.poke()
        return function(*arguments, **named)

    for hint in ("with_context", "with_environment", "validate"):
        if hasattr(function, hint):
            setattr(strict, hint, getattr(function, hint))
    return strict


_HTML, _PLAIN = _environment(autoescape=True), _environment(autoescape=False)


class PartError(Exception):
    """What is wrong with one part of a template, and in which line when that is known."""

    def __init__(self, code: str, detail: str, line: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.line = line


@lru_cache(maxsize=256)
def _compiled(source: str, escape: bool, spin: bool) -> tuple[liquid.BoundTemplate, tuple[int, ...]]:
    counts: list[int] = []
    if spin:
        try:
            spun = compile_spintax(source)
        except SpintaxError as error:
            raise PartError("spintax", f"{error}") from None
        source, counts = spun.source, spun.counts
    try:
        template = (_HTML if escape else _PLAIN).from_string(source)
    except LiquidError as error:
        raise _part_error(error, "liquid_syntax") from None
    return template, tuple(counts)


def _part_error(error: LiquidError, code: str) -> PartError:
    line = None
    if error.token is not None:
        line = str(error.token.source)[: error.token.start_index].count("\n") + 1
    limits = {
        "LoopIterationLimitError": "the loops run too often (100,000 times at most)",
        "OutputStreamLimitError": f"the result is larger than {MAX_OUTPUT} octets",
        "LocalNamespaceLimitError": "what is assigned is too large",
        "ContextDepthError": "it is nested too deep",
    }
    if (limit := limits.get(type(error).__name__)) is not None:
        return PartError("too_expensive", limit, line)
    return PartError(code, str(error.args[0] if error.args else error)[:300], line)


def _render(source: str, variables: Mapping[str, Any], *, escape: bool, spin: bool, seed: str) -> str:
    template, counts = _compiled(source, escape, spin)
    variables = {**variables, **LATER}
    if counts:
        variables = {**variables, VARIABLE: choose(seed, "", list(counts))}
    try:
        return str(template.render(variables))
    except LiquidError as error:
        raise _part_error(error, "liquid_error") from None


def _html_of(version: Mapping[str, Any], rendered: str) -> str:
    if version["format"] == "mjml":
        options = mrml.ParserOptions(include_loader=mrml.noop_loader())
        try:
            rendered = mrml.to_html(rendered, options, mrml.RenderOptions(disable_comments=True, fonts={})).content
        except Exception as error:  # the binding raises plain OSError with what its parser says
            raise PartError("mjml", f"this is no MJML: {str(error)[:200]}") from None
    if version["inline_css"] and "<style" in rendered.lower():
        try:
            rendered = _INLINER.inline(rendered)
        except Exception as error:
            raise PartError("css", f"the styles cannot be inlined: {str(error)[:200]}") from None
    return rendered


_INLINER = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def render(version: Mapping[str, Any], variables: Mapping[str, Any], seed: str) -> dict[str, Any]:
    """`version` has format (html, mjml, text), subject, source, text, spintax, inline_css. The answer: subject, html,
    text, and `missing` and `errors` ({part, code, detail, line}), which say why it is of no use."""
    made: dict[str, Any] = {"subject": None, "html": None, "text": None}
    errors: list[dict[str, Any]] = []
    missing: dict[str, None] = {}
    spin = version["spintax"]

    def part(name: str, source: str, *, escape: bool) -> str | None:
        _missing.clear()
        try:
            rendered = _render(source, variables, escape=escape, spin=spin, seed=seed)
            missing.update(_missing)
            return _html_of(version, rendered) if escape and not _missing else rendered
        except PartError as error:
            errors.append({"part": name, "code": error.code, "detail": error.detail, "line": error.line})
            missing.update(_missing)
            return None

    subject = part("subject", version["subject"], escape=False)
    made["subject"] = " ".join(subject.split()) if subject is not None else None
    if version["format"] != "text":
        made["html"] = part(version["format"], version["source"], escape=True)
    if version["text"] is not None:
        made["text"] = part("text", version["text"], escape=False)
    elif made["html"] is not None and not missing:
        made["text"] = text_of(made["html"])
    return made | {"missing": list(missing), "errors": errors}


def check(version: Mapping[str, Any]) -> dict[str, Any]:
    """Parses every part. The answer: `errors` as in `render`, and `variables` that are used."""
    errors: list[dict[str, Any]] = []
    found: set[str] = set()
    parts = [("subject", version["subject"], False), ("text", version["text"], False)]
    if version["format"] != "text":
        parts.append((version["format"], version["source"], True))
    for name, source, escape in parts:
        if source is None:
            continue
        try:
            template, _ = _compiled(source, escape, version["spintax"])
            found.update(str(variable) for variable in template.analyze().globals)
        except PartError as error:
            errors.append({"part": name, "code": error.code, "detail": error.detail, "line": error.line})
    return {"errors": errors, "variables": sorted(found - {VARIABLE} - LATER.keys())}
