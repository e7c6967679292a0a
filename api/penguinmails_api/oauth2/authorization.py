"""Is this authorization request a good one? The same rules for the browser's and for pushed ones (RFC 9126)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error

from penguinmails_api.oauth2.call import Call, as_current
from penguinmails_api.oauth2.errors import OAuthError, invalid_request
from penguinmails_api.oauth2.forms import Parameters
from penguinmails_api.oauth2.issuing import check_resources
from penguinmails_api.oauth2.server import Client, FormRequest, as_error
from penguinmails_api.oauth2.setup import server
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit.clock import utcnow

_MAX_AGE_DIGITS = 9
_CLOCKS = timedelta(seconds=5)  # by which the database's may differ from ours


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be shown to a person."""

    redirect_uri: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    state: str | None
    prompts: frozenset[str]
    max_age: timedelta | None


def check(call: Call, parameters: Parameters) -> AuthorizationRequest:
    """Raises `OAuthError`: with `redirect_uri` when the client may hear of it through the browser, without it when the
    client or the URI is not known, so that nobody is sent anywhere by a stranger."""
    client = Client(call.store.app) if call.store.app is not None else None
    if client is None:
        raise OAuthError("invalid_client", "There is no such app on this server.")
    redirect_uri = parameters.get("redirect_uri") or client.get_default_redirect_uri()
    if redirect_uri is None:
        raise invalid_request("redirect_uri is missing.")
    if not client.check_redirect_uri(redirect_uri):
        raise invalid_request("The redirect_uri is not one that the app has registered.")
    try:
        return _check(call, parameters, redirect_uri)
    except OAuthError as error:
        error.redirect_uri = redirect_uri
        raise
    except OAuth2Error as error:
        known = as_error(error)
        known.redirect_uri = redirect_uri
        raise known from None


def _check(call: Call, parameters: Parameters, redirect_uri: str) -> AuthorizationRequest:
    if parameters.get("request") is not None:
        raise OAuthError("request_not_supported", "Request objects are not supported. Use PAR (RFC 9126).")
    if parameters.get("response_type") is None:
        raise invalid_request("response_type is missing.")
    if parameters.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The only response_type is code.")
    if parameters.get("response_mode") not in (None, "query"):
        raise invalid_request("The only response_mode is query.")
    prompts = frozenset((parameters.get("prompt") or "").split())
    if "none" in prompts and len(prompts) > 1:
        raise invalid_request("prompt=none cannot stand with others.")
    age = parameters.get("max_age")
    if age is not None and not (age.isascii() and age.isdigit() and len(age) <= _MAX_AGE_DIGITS):
        raise invalid_request("max_age must be a number of seconds.")
    resources = tuple(parameters.all("resource"))
    check_resources(call, resources, ())
    request = FormRequest("GET", call.issuer + "/oauth2/authorize", parameters, {})
    with as_current(call):
        grant = server().get_consent_grant(request)
    return AuthorizationRequest(
        redirect_uri,
        tuple(grant.request.scope.split()),
        resources,
        parameters.get("state"),
        prompts,
        timedelta(seconds=int(age)) if age is not None else None,
    )


def back_to_client(redirect_uri: str, issuer: str, state: str | None, **answer: str) -> str:
    """Where the browser goes next. The registered URI stays as it is, byte for byte; `iss` says who answers, so that
    answers cannot be mixed up (RFC 9207)."""
    parameters = dict(answer)
    if state is not None:
        parameters["state"] = state
    parameters["iss"] = issuer
    return redirect_uri + ("&" if "?" in redirect_uri else "?") + urlencode(parameters)


def must_sign_in(wanted: AuthorizationRequest, session: Session | None, since: datetime | None) -> bool:
    """`since`: when the request came in, None while it does. With `prompt=login` only a sign-in after that counts;
    with `max_age` it also makes up for one that was too long ago."""
    if session is None:
        return True
    fresh = since is not None and session.auth_time + _CLOCKS >= since
    if "login" in wanted.prompts and not fresh:
        return True
    return wanted.max_age is not None and session.auth_time + wanted.max_age < utcnow() and not fresh
