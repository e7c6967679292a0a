"""Requests that a browser makes with its cookie must come from our own pages.

`SameSite` is not the defence: another port or a sub-domain is the same site, and its forms carry a Lax cookie. So a
request that may change something needs ``Sec-Fetch-Site: same-origin`` (or ``none``: typed by a person) and, when an
Origin is sent, ours. Browsers leave Sec-Fetch-Site out on plain http by IP; then Origin must be there and ours. Neither
header: refused. Requests with an Authorization header carry no ambient authority and are exempt.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from penguinmails_core.errors import CrossSiteRequest
from penguinmails_core.identity.origin import PublicUrl

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_ANSWERS = ("/sso/saml/", "/acs")  # start and end of the one path where other sites post: SAML answers
_FROM_US = frozenset((b"same-origin", b"none"))


def check(scope: MutableMapping[str, Any], public: PublicUrl, *, form: bool = False) -> None:
    """Raises `CrossSiteRequest`. The gateway calls it for every request with a cookie and no Authorization; pages that
    take forms from browsers without a cookie (sign-in) call it themselves. `form`: the page has a secret of its own in
    the form, so a client that tells neither header is believed."""
    if scope["method"] in _SAFE:
        return
    if scope["path"].startswith(_ANSWERS[0]) and scope["path"].endswith(_ANSWERS[1]):
        return  # signs nobody in: the browser has to fetch the answer with its cookie
    site = origin = None
    for name, value in scope["headers"]:
        if name == b"sec-fetch-site":
            site = value
        elif name == b"origin":
            origin = value
    if origin is not None and origin.decode("latin-1") not in public.origins:
        raise _refused(f"The Origin of this request is not {public.base}.")
    if site is not None and site not in _FROM_US:
        raise _refused("The request came from a page of another origin (Sec-Fetch-Site).")
    if site is None and origin is None and not form:
        raise _refused("The request tells neither Sec-Fetch-Site nor Origin, as browsers do.")


def _refused(detail: str) -> CrossSiteRequest:
    return CrossSiteRequest(detail + " Programs authenticate with `Authorization: Bearer` instead of a cookie.")
