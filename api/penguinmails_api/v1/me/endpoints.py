"""`/v1/me`: which organization and workspace a request acts for, and as whom."""

from fastapi import APIRouter

from penguinmails_api.routing import Context, operation
from penguinmails_api.v1.me.schemas import Me
from penguinmails_core.organizations import service

router = APIRouter(prefix="/v1/me", tags=["me"])


@router.get("", summary="Who am I?", **operation("me_get", etag=True))
async def get_me(context: Context) -> Me:
    """The organization and workspace of this request, and the key, app or person behind it. Needs no scope: a good
    first call."""
    caller = context.caller
    async with context.services.database.tenant(caller.organization_id) as session:
        return Me.of(await service.identify(session, caller), caller)
