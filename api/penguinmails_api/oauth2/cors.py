"""Which endpoints pages of any origin may call: those that clients call, without cookies. Never what people see."""

from __future__ import annotations

from fastapi import APIRouter, Response

ANYBODY = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "WWW-Authenticate, DPoP-Nonce"}
_PREFLIGHT = ANYBODY | {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, DPoP",
    "Access-Control-Max-Age": "86400",
}


async def preflight() -> Response:
    return Response(status_code=204, headers=_PREFLIGHT)


def allow(router: APIRouter, *paths: str) -> None:
    """Answer preflight requests at these paths."""
    for path in paths:
        router.add_api_route(path, preflight, methods=["OPTIONS"], include_in_schema=False)
