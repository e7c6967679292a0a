"""DPoP proofs (RFC 9449) at the endpoints of clients and at the API."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from fastapi import Request

from penguinmails_api.oauth2.call import Call
from penguinmails_api.oauth2.errors import OAuthError
from penguinmails_core.errors import Unauthenticated
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.kit.db import Connection, Pool
from penguinmails_core.oauth import flow_repository as repository
from penguinmails_core.oauth.bearer import TokenCredential
from penguinmails_core.oauth.dpop import ALGORITHMS, WINDOW, InvalidProof, Proof, read_proof

_TOKEN = "/oauth2/token"  # noqa: S105  (a path)


async def at_token_endpoint(request: Request, connection: Connection, call: Call) -> None:
    """Sets the key that tokens will be bound to. Raises `OAuthError` for a proof that is wrong, or missing where the
    app insists on one."""
    if request.url.path != _TOKEN:
        return
    shown, app = request.headers.getlist("dpop"), call.store.app
    if not shown:
        if app is not None and app.dpop_bound:
            raise _refused("This app must send a DPoP proof.")
        return
    try:
        call.jkt = (await _once(connection, _read(shown, request.method, {call.issuer + _TOKEN}, None))).jkt
    except InvalidProof as error:
        raise _refused(str(error)) from None


async def at_api(
    pool: Pool,
    public: PublicUrl,
    credential: TokenCredential,
    scope: MutableMapping[str, Any],
    token: str,
    *,
    dpop: bool,
) -> None:
    """A bound token needs a proof by its key, and no other token may pretend to be bound. `scope` is ASGI's; `dpop`:
    the token came with that scheme. Raises `Unauthenticated`."""
    if credential.jkt is None:
        raise challenge("invalid_token", "This token is not bound to a key. Send it as `Bearer`.")
    if not dpop:
        raise challenge("invalid_token", "This token is bound to a key. Send it as `DPoP`, with a proof.")
    shown = [value.decode("latin-1") for name, value in scope["headers"] if name == b"dpop"]
    urls = {origin + scope["path"] for origin in public.origins}
    try:
        proof = _read(shown, scope["method"], urls, token)
        if proof.jkt != credential.jkt:
            raise InvalidProof("The proof is by another key than the one that the token is bound to.")
        await _once(pool, proof)
    except InvalidProof as error:
        raise challenge("invalid_dpop_proof", str(error)) from None


def challenge(error: str, detail: str) -> Unauthenticated:
    algorithms = " ".join(ALGORITHMS)
    told = f'DPoP realm="PenguinMails", error="{error}", error_description="{detail}", algs="{algorithms}"'
    return Unauthenticated(detail, headers={"WWW-Authenticate": told})


def _read(shown: Iterable[str], method: str, urls: set[str], token: str | None) -> Proof:
    proofs = list(shown)
    if len(proofs) != 1:
        raise InvalidProof("Send exactly one DPoP header.")
    return read_proof(proofs[0], method, urls, token)


async def _once(connection: Pool | Connection, proof: Proof) -> Proof:
    if not await repository.show_proof(connection, proof.once, 2 * WINDOW):
        raise InvalidProof("This proof was shown before. Make one for each request.")
    return proof


def _refused(description: str) -> OAuthError:
    return OAuthError("invalid_dpop_proof", description)
