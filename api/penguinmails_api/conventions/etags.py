"""ETags (RFC 9110 §8.8.3): a hash of the whole resource as GET shows it, the same whatever `fields` were asked for.

async with context.services.database.tenant(...) as session:
    await etags.match(context, lambda: _current(session))   # in the transaction, with the row locked
    ...change...
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import orjson
from pydantic import BaseModel

from penguinmails_api.context import RequestContext
from penguinmails_core.errors import PreconditionFailed


def etag_of(document: Any, untagged: Collection[str] = ()) -> str:
    """It differs when any member differs but the `untagged` ones. `document` is JSON in Python values."""
    if untagged:
        document = {name: value for name, value in document.items() if name not in untagged}
    digest = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest()
    return '"' + base64.urlsafe_b64encode(digest[:18]).decode() + '"'


def etag_of_model(model: BaseModel) -> str:
    """Of what GET would answer with."""
    return etag_of(model.model_dump(mode="json", by_alias=True), untagged_of(type(model)))


def untagged_of(model: Any) -> frozenset[str]:
    """Members that do not count: a key that is in use could never be changed with If-Match otherwise."""
    found: frozenset[str] = getattr(model, "untagged", frozenset())
    return found


def is_known(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110 §13.1.2): whether the client has this already."""
    return if_none_match.strip() == "*" or etag in [_opaque(tag) for tag in if_none_match.split(",")]


def is_current(if_match: str, etag: str) -> bool:
    """Strong comparison (§13.1.1): a weak tag never matches."""
    return if_match.strip() == "*" or etag in [tag.strip() for tag in if_match.split(",")]


def _opaque(tag: str) -> str:
    return tag.strip().removeprefix("W/")


async def match(context: RequestContext, current: Callable[[], Awaitable[BaseModel]]) -> None:
    """Raises `PreconditionFailed` when the request says `If-Match` and the resource is not that one any more.

    `current` loads it as GET shows it; call this in the transaction of the change with the row locked, else two
    changes may both find what they expect.
    """
    wanted = context.options.if_match
    if wanted is None:
        return
    etag = etag_of_model(await current())
    if not is_current(wanted, etag):
        raise PreconditionFailed(
            "The resource has changed since you read it. Read it again, decide again, and send its new ETag.",
            headers={"ETag": etag},
        )
