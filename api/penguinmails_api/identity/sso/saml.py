"""SAML 2.0 as service provider, by python3-saml (the extra `saml`): Redirect binding out, POST binding in.

The library checks signatures, times, issuer and that there is exactly one assertion. What it leaves open is checked
here, on the assertion that it validated: the signed InResponseTo is that of our request, an Audience is us, the
Destination is there, and no assertion is used twice. Answers that nobody asked for (IdP-initiated) are refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penguinmails_core.errors import Forbidden, Unavailable
from penguinmails_core.sso.sign_in import MAX_NAME, MAX_SUBJECT, Proven, Provider

if TYPE_CHECKING:
    from penguinmails_core.identity.origin import PublicUrl

log = logging.getLogger(__name__)

KEEP_ASSERTION = timedelta(hours=24)
MAX_LIFETIME = 12 * 3600  # seconds: no assertion lives for longer than it is remembered
_NS = {"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "samlp": "urn:oasis:names:tc:SAML:2.0:protocol"}
_EMAIL = (
    "email",
    "mail",
    "emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
)
_NAME = (
    "name",
    "displayname",
    "cn",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
)


class SamlUnavailable(Unavailable):
    title = "This server cannot do SAML"
    cause = "The libraries for SAML are not installed: they are an extra."
    fix = "The operator installs `penguinmails-server[saml]` and restarts the server."


class BadAssertion(Exception):
    """Why it is refused, for the log."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Ours, for one connection. They come from the configured URL, never from the Host of a request."""

    entity_id: str
    acs: str

    @classmethod
    def of(cls, public: PublicUrl, typeid: str) -> Endpoints:
        base = f"{public.base}/sso/saml/{typeid}"
        return cls(f"{base}/metadata", f"{base}/acs")


def available() -> bool:
    try:
        _library()
    except SamlUnavailable:
        return False
    return True


def require() -> None:
    """Raises `SamlUnavailable` when the extra is not installed."""
    _library()


def _library() -> Any:
    try:
        from onelogin.saml2 import auth
    except ImportError:
        raise SamlUnavailable(
            "This server cannot do SAML: its operator must install penguinmails-server[saml]."
        ) from None
    return auth


def metadata(ours: Endpoints) -> str:
    """What an identity provider's administrator uploads. It says nothing of the provider, so it may be public."""
    _library()
    from onelogin.saml2.settings import OneLogin_Saml2_Settings

    settings = OneLogin_Saml2_Settings(_settings(ours, None), sp_validation_only=True)
    text: Any = settings.get_sp_metadata()
    return text.decode() if isinstance(text, bytes) else str(text)


def depart(provider: Provider, ours: Endpoints, relay_state: str, *, fresh: bool) -> tuple[str, str]:
    """(where to send the browser, the id of our request). `fresh`: the person must prove anew who they are."""
    auth = _library().OneLogin_Saml2_Auth(_request(ours, {}), _settings(ours, provider))
    url: str = auth.login(return_to=relay_state, force_authn=fresh, set_nameid_policy=False)
    return url, auth.get_last_request_id()


async def prove(provider: Provider, ours: Endpoints, response: str, request_id: str) -> tuple[Proven, str]:
    """Who signed in, and the assertion's id, which the caller uses up. Raises `Forbidden`."""
    try:
        return await asyncio.to_thread(check, provider, ours, response, request_id)
    except BadAssertion as error:
        log.warning("sso: a SAML answer for %s is refused: %s", provider.id, error)
        raise Forbidden("What the identity provider says of you does not hold. Nobody was signed in.") from None


def check(provider: Provider, ours: Endpoints, response: str, request_id: str) -> tuple[Proven, str]:
    """As `prove`, saying why: raises `BadAssertion`."""
    auth = _library().OneLogin_Saml2_Auth(_request(ours, {"SAMLResponse": response}), _settings(ours, provider))
    try:
        auth.process_response(request_id=request_id)
    except Exception as error:  # the XML layer below raises many kinds, DTDForbidden among them
        raise BadAssertion(f"{type(error).__name__}: {error}"[:300]) from None
    if auth.get_errors() or not auth.is_authenticated():
        raise BadAssertion(str(auth.get_last_error_reason() or auth.get_errors())[:300])
    _check_bindings(auth, ours, request_id)
    subject, assertion_id = auth.get_nameid(), auth.get_last_assertion_id()
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise BadAssertion("the NameID is empty, too long or not printable")
    if "transient" in (auth.get_nameid_format() or ""):
        raise BadAssertion("the NameID is transient: it names nobody the next time")
    if not assertion_id:
        raise BadAssertion("the assertion has no ID")
    attributes = {name.lower(): values for name, values in auth.get_attributes().items()}
    email = _first(attributes, _EMAIL) or (subject if "@" in subject else None)
    return Proven(subject, email, (_first(attributes, _NAME) or "")[:MAX_NAME] or None), assertion_id


def _check_bindings(auth: Any, ours: Endpoints, request_id: str) -> None:
    document = auth.get_last_response_xml()
    from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

    root = OneLogin_Saml2_XML.to_etree(document)
    if root.get("Destination") != ours.acs:
        raise BadAssertion("the Destination is missing or not our ACS URL")
    if root.get("InResponseTo") not in (None, request_id):
        raise BadAssertion("the Response answers another request")
    assertions = root.findall("saml:Assertion", _NS)
    if len(assertions) != 1 or len(root.findall(".//saml:Assertion", _NS)) != 1:
        raise BadAssertion("there is not exactly one assertion")
    assertion = assertions[0]
    answers = [
        data
        for confirmation in assertion.findall("saml:Subject/saml:SubjectConfirmation", _NS)
        if confirmation.get("Method") == "urn:oasis:names:tc:SAML:2.0:cm:bearer"
        for data in confirmation.findall("saml:SubjectConfirmationData", _NS)
    ]
    if not answers or any(data.get("InResponseTo") != request_id for data in answers):
        raise BadAssertion("the signed InResponseTo is missing or of another request")
    if any(data.get("Recipient") != ours.acs or not data.get("NotOnOrAfter") for data in answers):
        raise BadAssertion("the Recipient is not our ACS URL, or NotOnOrAfter is missing")
    audiences = [
        (item.text or "").strip()
        for item in assertion.findall("saml:Conditions/saml:AudienceRestriction/saml:Audience", _NS)
    ]
    if ours.entity_id not in audiences:
        raise BadAssertion("no Audience is our entity id")
    expires = auth.get_last_assertion_not_on_or_after()
    from onelogin.saml2.utils import OneLogin_Saml2_Utils

    if expires is not None and expires - OneLogin_Saml2_Utils.now() > MAX_LIFETIME:
        raise BadAssertion("the assertion lives for longer than is remembered")


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        for value in attributes.get(name, ()):
            if isinstance(value, str) and value.strip():
                return value.strip()
    return None


def _request(ours: Endpoints, form: Mapping[str, str]) -> dict[str, Any]:
    """The request as the library wants it, from what is configured."""
    parts = urlsplit(ours.acs)
    return {
        "https": "on" if parts.scheme == "https" else "off",
        "http_host": parts.netloc,
        "script_name": parts.path,
        "get_data": {},
        "post_data": dict(form),
    }


def _settings(ours: Endpoints, provider: Provider | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "strict": True,
        "debug": False,
        "sp": {
            "entityId": ours.entity_id,
            "assertionConsumerService": {
                "url": ours.acs,
                "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
            },
            "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantMessagesSigned": False,
            "wantNameId": True,
            "wantAttributeStatement": False,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "signatureAlgorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "digestAlgorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
        },
    }
    if provider is not None:
        found["idp"] = {
            "entityId": provider.issuer,
            "singleSignOnService": {
                "url": provider.sso_url,
                "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
            },
            "x509cert": provider.certificates[0],
            "x509certMulti": {"signing": list(provider.certificates)},
        }
    return found
