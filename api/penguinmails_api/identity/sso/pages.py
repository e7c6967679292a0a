"""`/sso`: from an address to its organization's identity provider, and back with a session.

Who starts goes by links, not by forms: our policy `form-action 'self'` also holds for redirects after a form. Coming
back changes state with GET, as both protocols have it; what is brought back works once, in the browser that left.
"""

from typing import Annotated
from urllib.parse import parse_qs, quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from penguinmails_api.identity.browser import browser_cookie_name, set_cookie
from penguinmails_api.identity.pages import (
    PageRoute,
    Redirect,
    Visitor,
    VisitorDep,
    keep_session,
    read_form,
    redirect,
    render,
    safe_next,
    signed_in,
)
from penguinmails_api.identity.sso import saml
from penguinmails_core.errors import BadRequest, Forbidden, NotFound
from penguinmails_core.identity.service import SignedIn
from penguinmails_core.identity.sessions import new_token
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import IdError, Prefix
from penguinmails_core.sso.service import secret_context
from penguinmails_core.sso.sign_in import Proven, Provider, Underway

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Next = Annotated[str, Query(alias="next")]
_PROTOCOL_ERROR = "This connection speaks another protocol."


@router.get("/sso")
async def show_sso(visitor: VisitorDep, go_on: Next = "") -> Response:
    return render(visitor, "sso.html", email="", next=safe_next(go_on), provider=None, error="")


@router.post("/sso")
async def find_provider(request: Request, visitor: VisitorDep) -> Response:
    """The domain alone decides, so that the answer says nothing about people."""
    form = await read_form(request, visitor)
    email, go_on = form.get("email").strip(), safe_next(form.get("next"))
    provider = await visitor.services.sso.provider_of_address(email)
    link = f"{_path(provider, 'start')}?next={quote(go_on)}&hint={quote(email[:320])}" if provider else ""
    domain = email.rpartition("@")[2][:255]
    error = "" if provider else f"No single sign-on is set up for {domain or 'this address'}."
    return render(visitor, "sso.html", email=email, next=go_on, provider=provider, link=link, error=error)


@router.get("/sso/confirm")
async def confirm_by_sso(visitor: VisitorDep, go_on: Next = "") -> Response:
    """Sudo mode for who signed in this way: the identity provider asks again."""
    session = signed_in(visitor)
    provider = await visitor.services.sso.provider_of_session(session)
    if provider is None:
        raise Redirect("/login/confirm")
    return redirect(f"{_path(provider, 'start')}?confirm=1&next={quote(safe_next(go_on))}")


@router.get("/sso/oidc/{connection}/start")
async def start_oidc(
    visitor: VisitorDep, connection: str, go_on: Next = "", hint: str = "", confirm: str = ""
) -> Response:
    provider = await _provider(visitor, connection, "oidc")
    departure = await visitor.services.oidc.depart(
        provider, _url(visitor, provider, "callback"), login_hint=hint[:320], fresh=bool(confirm)
    )
    data = departure.data | _memory(visitor, go_on, confirm)
    await visitor.services.sso.leave(departure.state, provider, visitor.browser_hash, data)
    return _away(visitor, departure.url)


@router.get("/sso/oidc/{connection}/callback")
async def finish_oidc(request: Request, visitor: VisitorDep, connection: str) -> Response:
    provider = await _provider(visitor, connection, "oidc")
    answer = dict(request.query_params)
    services = visitor.services
    underway = await services.sso.come_back(answer.get("state", ""), provider, visitor.browser_hash)
    secret = None
    if provider.sealed_secret is not None and services.box is not None:
        secret = services.box.open(provider.sealed_secret, secret_context(provider.id)).decode()
    proven = await services.oidc.prove(provider, secret, _url(visitor, provider, "callback"), underway.data, answer)
    return await _finish(visitor, provider, underway, proven)


@router.get("/sso/saml/finish")
async def finish_saml(visitor: VisitorDep, c: str = "") -> Response:
    """The browser fetches what its identity provider posted: here it brings the cookie that it left with."""
    provider, underway, proven = await visitor.services.sso.fetch_answer(c[:200], visitor.browser_hash)
    return await _finish(visitor, provider, underway, proven)


@router.get("/sso/saml/{connection}/start")
async def start_saml(
    visitor: VisitorDep, connection: str, go_on: Next = "", hint: str = "", confirm: str = ""
) -> Response:
    provider = await _provider(visitor, connection, "saml")
    state = new_token()
    url, request_id = saml.depart(provider, _endpoints(visitor, provider), state, fresh=bool(confirm))
    data = {"request_id": request_id} | _memory(visitor, go_on, confirm)
    await visitor.services.sso.leave(state, provider, visitor.browser_hash, data)
    return _away(visitor, url)


@router.post("/sso/saml/{connection}/acs")
async def take_assertion(request: Request, visitor: VisitorDep, connection: str) -> Response:
    """The one form that other sites may send here (see `csrf.py`). It signs nobody in: it keeps what was proven for
    the browser that asked, which is told apart by its cookie at `finish`."""
    provider = await _provider(visitor, connection, "saml")
    try:
        form = parse_qs((await request.body()).decode("ascii"), strict_parsing=True, max_num_fields=20)
        response, state = form["SAMLResponse"][0], form["RelayState"][0]
    except (ValueError, KeyError):
        raise BadRequest("The identity provider has to post SAMLResponse and RelayState. Start at /sso.") from None
    services = visitor.services
    underway = await services.sso.peek(state, provider)
    proven, assertion_id = await saml.prove(
        provider, _endpoints(visitor, provider), response, underway.data["request_id"]
    )
    if not await services.sso.use_assertion(provider, assertion_id, saml.KEEP_ASSERTION):
        raise Forbidden("This answer of the identity provider was used before. Start again.")
    code = await services.sso.keep_answer(state, proven)
    return redirect(f"/sso/saml/finish?c={code}")


@router.get("/sso/saml/{connection}/metadata")
async def show_metadata(visitor: VisitorDep, connection: str) -> Response:
    provider = await _provider(visitor, connection, "saml")
    return Response(saml.metadata(_endpoints(visitor, provider)), media_type="application/samlmetadata+xml")


async def _finish(visitor: Visitor, provider: Provider, underway: Underway, proven: Proven) -> Response:
    sso, services = visitor.services.sso, visitor.services
    signed: SignedIn
    if underway.confirms is not None:
        session = signed_in(visitor)
        assert visitor.token is not None
        signed = await sso.confirm(provider, proven, underway, visitor.token, session, visitor.browser)
    else:
        signed = await sso.sign_in(provider, proven, visitor.browser, visitor.token)
    go_on = safe_next(underway.next)
    if signed.pending:
        go_on = f"/login/second-factor?next={quote(go_on)}"
    return keep_session(redirect(go_on), services, signed.token)


def _memory(visitor: Visitor, go_on: str, confirm: str) -> dict[str, str | None]:
    confirms = str(signed_in(visitor).id) if confirm else None
    return {"next": safe_next(go_on), "confirms": confirms}


async def _provider(visitor: Visitor, connection: str, protocol: str) -> Provider:
    try:
        connection_id: UUID = ids.decode(Prefix.SSO_CONNECTION, connection)
    except IdError:
        raise NotFound("There is no such single sign-on connection.") from None
    provider = await visitor.services.sso.provider(connection_id)
    if provider.protocol != protocol:
        raise NotFound(_PROTOCOL_ERROR)
    return provider


def _path(provider: Provider, what: str) -> str:
    return f"/sso/{provider.protocol}/{ids.encode(Prefix.SSO_CONNECTION, provider.id)}/{what}"


def _url(visitor: Visitor, provider: Provider, what: str) -> str:
    return visitor.services.public.base + _path(provider, what)


def _endpoints(visitor: Visitor, provider: Provider) -> saml.Endpoints:
    return saml.Endpoints.of(visitor.services.public, ids.encode(Prefix.SSO_CONNECTION, provider.id))


def _away(visitor: Visitor, url: str) -> Response:
    """To another site. The browser must be known when it comes back."""
    response = redirect(url)
    if visitor.new_browser:
        public = visitor.services.public
        value = set_cookie(browser_cookie_name(public), visitor.browser_token, public=public, seconds=None)
        response.headers.append("set-cookie", value)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
