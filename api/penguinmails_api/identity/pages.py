"""What every page for people has: the layout, the visitor, forms, redirects, and problems shown as pages.

Other features (OAuth consent, connected apps, invitations) build on it:

    from penguinmails_api.identity.pages import PageRoute, VisitorDep, read_form, render, signed_in

    router = APIRouter(route_class=PageRoute, include_in_schema=False)

    @router.get("/account/apps")
    async def show_apps(visitor: VisitorDep) -> Response:
        session = signed_in(visitor)  # or away to /login, and back afterwards
        return render(visitor, "apps.html", apps=...)

    @router.post("/account/apps")
    async def change_apps(request: Request, visitor: VisitorDep) -> Response:
        signed_in(visitor)
        form = await read_form(request, visitor)  # refuses forms that are not ours
        return redirect("/account/apps")

A template says ``{% extends "layout.html" %}``, fills the blocks `title` and `content`, and puts ``{{ form_token }}``
into each form (the macro `form` does). There is no inline script or style, and nothing comes from another host:
`register_templates` adds a package's own folder of templates. Flash messages: ``redirect(url, notice="saved")``.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from penguinmails_api.context import RequestContext
from penguinmails_api.identity import csrf
from penguinmails_api.identity.assets import asset_url
from penguinmails_api.identity.browser import browser_cookie_name, cookie_name, read_cookie, set_cookie
from penguinmails_api.routing import get_context
from penguinmails_api.services import Services
from penguinmails_core.errors import BadRequest, CrossSiteRequest, Problem, UnsupportedMediaType
from penguinmails_core.identity.sessions import Browser, Session, new_token, well_formed
from penguinmails_core.kit import ids

MAX_FIELDS = 100
_TEMPLATES = Path(__file__).parent / "templates"
_loader = ChoiceLoader([FileSystemLoader(_TEMPLATES)])
_templates = Environment(
    loader=_loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_HEADERS = {
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers then name no Origin in our own forms. Nothing leaves for other sites either way.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Redirect(Exception):
    """Raised instead of an answer: go there (303). `location` is a path of ours."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


@dataclass(slots=True)
class Visitor:
    """Who looks at a page. `session` is the signed-in one, `pending` one that waits for its second factor; `token` is
    the cookie of either. `browser_token` names this browser before anybody signed in."""

    context: RequestContext
    request: Request
    browser: Browser
    browser_token: str
    new_browser: bool
    token: str | None = None
    session: Session | None = None
    pending: Session | None = None

    @property
    def services(self) -> Services:
        return self.context.services

    @property
    def browser_hash(self) -> bytes:
        """What passkey questions are bound to."""
        return sha256(self.browser_token.encode()).digest()

    @property
    def form_token(self) -> str:
        """Bound to this browser and this session; a new sign-in voids forms that are still open."""
        session = self.session or self.pending
        bound = f"form|{self.browser_token}|{session.id if session else ''}"
        return sha256(bound.encode()).hexdigest()


async def get_visitor(request: Request) -> Visitor:
    context = get_context(request)
    services = context.services
    cookies = b"; ".join(value for name, value in request.scope["headers"] if name == b"cookie")
    known = read_cookie(cookies, browser_cookie_name(services.public)) or ""
    browser_token = known if well_formed(known) else new_token()
    visitor = Visitor(
        context=context,
        request=request,
        browser=Browser(request.scope["state"]["client_address"], request.headers.get("user-agent", "")),
        browser_token=browser_token,
        new_browser=browser_token != known,
        token=read_cookie(cookies, cookie_name(services.public)),
    )
    if visitor.token is not None:
        session = await services.identity.sessions.find(visitor.token)
        if session is not None and session.active:
            visitor.session = session
        else:
            visitor.pending = session
    return visitor


VisitorDep = Annotated[Visitor, Depends(get_visitor)]


def signed_in(visitor: Visitor) -> Session:
    """The session, or a redirect to the sign-in page that comes back here."""
    if visitor.session is None:
        raise Redirect("/login" + came_from(visitor.request))
    return visitor.session


async def in_sudo(visitor: Visitor, back: str | None = None) -> Session:
    """As `signed_in`, for keys, secrets and deletion: a fresh sign-in with the strongest factor. `back` is the page to
    come back to (default: this one)."""
    session = signed_in(visitor)
    if not await visitor.services.identity.in_sudo(session):
        raise Redirect("/login/confirm" + (f"?next={quote(back)}" if back else came_from(visitor.request)))
    return session


def came_from(request: Request) -> str:
    if request.method != "GET":
        return ""
    query = request.url.query
    return "?next=" + quote(request.url.path + (f"?{query}" if query else ""), safe="/")


def safe_next(text: str | None, default: str = "/account") -> str:
    """A path of this server to go on to; anything else is an open redirect, and `default` is taken."""
    if not text or not text.startswith("/") or text.startswith("//") or len(text) > 2000:
        return default
    return text if text.isascii() and text.isprintable() and "\\" not in text else default


class Form:
    """The fields of a form. Missing ones are empty: templates mark what is required, services check."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str:
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])


async def read_form(request: Request, visitor: Visitor) -> Form:
    """Raises `CrossSiteRequest` for a form that is not of our own page in this very browser."""
    csrf.check(request.scope, visitor.services.public)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("Send the form as application/x-www-form-urlencoded.")
    body = await request.body()
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise BadRequest("The form could not be read.") from None
    form = Form(fields)
    check_form_token(visitor, form.get("form_token"))
    return form


def check_form_token(visitor: Visitor, token: str) -> None:
    if visitor.new_browser or not hmac.compare_digest(token.encode(), visitor.form_token.encode()):
        raise CrossSiteRequest(
            "This form is of an older visit, or the browser keeps no cookies. Go back, reload the page and try again."
        )


def render(
    visitor: Visitor, template: str, *, status: int = 200, form_action: str | None = "'self'", **values: Any
) -> HTMLResponse:
    """A page. `form_action` is the CSP source list of where forms may lead, redirects after them included (Chromium
    checks those too): a consent page adds the client's validated origin, or passes None to leave the directive out."""
    services = visitor.services
    text = _templates.get_template(template).render(
        form_token=visitor.form_token,
        session=visitor.session,
        asset=asset_url,
        notice=NOTICES.get(visitor.request.query_params.get("notice", "")),
        path=visitor.request.url.path,
        request_id=visitor.context.request_id,
        **values,
    )
    response = HTMLResponse(text, status, headers=_HEADERS | {"Content-Security-Policy": _policy(form_action)})
    if visitor.new_browser:
        name = browser_cookie_name(services.public)
        response.headers.append(
            "set-cookie", set_cookie(name, visitor.browser_token, public=services.public, seconds=None)
        )
    return response


def _policy(form_action: str | None) -> str:
    directives = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    if form_action is not None:
        directives.append(f"form-action {form_action}")
    return "; ".join(directives)


def redirect(location: str, *, notice: str = "", status: int = 303) -> Response:
    """`notice` is a key of `NOTICES`, shown on the page that follows."""
    if notice:
        location += ("&" if "?" in location else "?") + f"notice={notice}"
    return Response(status_code=status, headers={"Location": location})


def keep_session(response: Response, services: Services, token: str | None) -> Response:
    """Gives the browser its session cookie, or with None takes it away."""
    seconds = int(services.settings.auth.session_lifetime.total_seconds()) if token else 0
    value = set_cookie(cookie_name(services.public), token or "", public=services.public, seconds=seconds)
    response.headers.append("set-cookie", value)
    return response


def problem_page(visitor: Visitor, problem: Problem) -> HTMLResponse:
    response = render(visitor, "problem.html", status=problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response


class PageRoute(APIRoute):
    """Problems become pages, `Redirect` a 303."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def show(request: Request) -> Response:
            try:
                return await handler(request)
            except Redirect as away:
                return redirect(away.location)
            except Problem as problem:
                return problem_page(await get_visitor(request), problem)

        return show


def register_templates(folder: Path) -> None:
    """Templates of another feature; their names must not be taken."""
    _loader.loaders = [*_loader.loaders, FileSystemLoader(folder)]


def _moment(value: datetime | None) -> str:
    return value.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC") if value else "never"


_templates.filters["moment"] = _moment
_templates.filters["typeid"] = lambda value, prefix: ids.encode(prefix, value)

NOTICES = {
    "saved": "Saved.",
    "signed-out": "You are signed out.",
    "password-changed": "The password is changed. Your other browsers are signed out.",
    "password-reset": "The new password is set. Sign in with it.",
    "email-sent": "Look into your mail: we sent a link to confirm the new address.",
    "email-changed": "Your e-mail address is changed.",
    "codes-off": "One-time codes are turned off.",
    "passkey-added": "The passkey is added.",
    "passkey-deleted": "The passkey is deleted.",
    "session-ended": "That browser is signed out.",
    "sessions-ended": "Your other browsers are signed out.",
    "joined": "Welcome! You are a member and work in this organization now.",
    "workspace-switched": "You work in another workspace now.",
    "switched": "You work in another organization now.",
    "key-revoked": "The key is revoked.",
    "device-allowed": "Done: the device has access. You can close this page.",
    "device-denied": "The device gets no access. You can close this page.",
    "app-disconnected": "The app has no access any more.",
}

__all__ = [
    "NOTICES",
    "Form",
    "PageRoute",
    "Redirect",
    "Visitor",
    "VisitorDep",
    "check_form_token",
    "get_visitor",
    "in_sudo",
    "keep_session",
    "problem_page",
    "read_form",
    "redirect",
    "register_templates",
    "render",
    "safe_next",
    "signed_in",
]
