"""The dependency of every operation: its options are known to it and make sense, before anything is done."""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import APIRoute

from penguinmails_api.context import RequestContext
from penguinmails_api.conventions import ends, fieldsets
from penguinmails_api.conventions.declared import READ, Declared, declared_by, fields_of
from penguinmails_api.conventions.options import DRY_RUN, EXPAND, FIELDS, Options, refused


async def check(request: Request) -> None:
    """Raises `Unprocessable` for an option that this operation does not take, naming what it takes."""
    context: RequestContext = request.state.context
    route: APIRoute = request.scope["route"]
    declared = declared_by(route.openapi_extra)
    context.answer_headers += ends.headers(declared)
    options = context.options
    if options.given:
        _check_given(request.method, route, declared, options)
    if options.if_match is not None and not declared.if_match:
        raise refused("If-Match", "not_supported", "This operation does not look at If-Match. Leave it out.")


def _check_given(method: str, route: APIRoute, declared: Declared, options: Options) -> None:
    reads = method in READ
    if options.fields is not None:
        known = fields_of(route.response_model) if reads else ()
        if not known:
            raise refused(FIELDS, "unknown_field", "`fields` is for GETs that answer JSON.")
        fieldsets.check(options.fields, known)
    if unknown := [name for name in sorted(options.expand) if name not in declared.expand]:
        choices = f"there are {', '.join(declared.expand)}" if declared.expand else "there is nothing to expand here"
        raise refused(EXPAND, "unknown_field", f"`expand` knows no {', '.join(unknown)[:100]}; {choices}.")
    if DRY_RUN in options.given and (reads or not declared.dry_run):
        why = "it changes nothing" if reads else "it cannot be rehearsed"
        raise refused(DRY_RUN, "unknown_field", f"This operation takes no `dry_run`: {why}.")
