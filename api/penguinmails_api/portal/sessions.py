"""Sessions of portal visitors: a sealed token in the path of every page.

No cookie: in a frame of another site browsers give none back, and without one no other site can act for the visitor.
Nothing is stored either: the token says which link it came from, and the link is looked at with every request, so that
its end is the end of all its sessions. Each page hands out a token for the next half hour.
"""

from __future__ import annotations

import base64
import binascii
import struct
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from penguinmails_core.kit.crypto import CryptoError, SecretBox

PREFIX = "whps_"
IDLE = timedelta(minutes=30)
_RENEW = 300  # seconds: a token that is younger is used on, so that addresses stay the same for a while
_CONTEXT = b"webhook_portal_session"
_FORM = struct.Struct(">16s16sQ")


@dataclass(frozen=True, slots=True)
class PortalSession:
    """`expires` in Unix seconds."""

    organization_id: UUID
    link_id: UUID
    expires: int

    @property
    def over(self) -> bool:
        return self.expires <= time.time()


def issue(box: SecretBox, organization_id: UUID, link_id: UUID) -> str:
    expires = int(time.time() + IDLE.total_seconds())
    sealed = box.seal(_FORM.pack(organization_id.bytes, link_id.bytes, expires), _CONTEXT)
    return PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read(box: SecretBox, token: str) -> PortalSession | None:
    """None for what is no token of ours. It may be over."""
    if not token.startswith(PREFIX) or len(token) > 300 or not token.isascii():
        return None
    text = token.removeprefix(PREFIX)
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        organization, link, expires = _FORM.unpack(box.open(sealed, _CONTEXT))
    except (binascii.Error, CryptoError, struct.error):
        return None
    return PortalSession(UUID(bytes=organization), UUID(bytes=link), expires)


def renewed(box: SecretBox, session: PortalSession, token: str) -> str:
    """The token for the links of a page that is shown now."""
    if session.expires - time.time() > IDLE.total_seconds() - _RENEW:
        return token
    return issue(box, session.organization_id, session.link_id)
