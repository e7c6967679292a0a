"""The server object with everything that was registered to it; one for the process, since it holds no state."""

from __future__ import annotations

import logging
from functools import cache

from penguinmails_api.oauth2.endpoint_rules import Device, Introspection, Revocation
from penguinmails_api.oauth2.grants.client import ClientGrant
from penguinmails_api.oauth2.grants.code import CodeGrant
from penguinmails_api.oauth2.grants.device import DeviceGrant
from penguinmails_api.oauth2.grants.refresh import RefreshGrant
from penguinmails_api.oauth2.pkce import RequirePkce
from penguinmails_api.oauth2.server import Server


@cache
def server() -> Server:
    # At DEBUG Authlib writes whole tokens into the log.
    logging.getLogger("authlib").setLevel(logging.INFO)
    made = Server()
    made.register_grant(CodeGrant, [RequirePkce()])
    made.register_grant(RefreshGrant)
    made.register_grant(ClientGrant)
    made.register_grant(DeviceGrant)
    for endpoint in (Revocation, Introspection, Device):
        made.register_endpoint(endpoint)
    return made
