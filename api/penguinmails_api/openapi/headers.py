"""Headers of answers, and the one of requests."""

from __future__ import annotations

from typing import Any

from penguinmails_api.version import VERSION
from penguinmails_core.idempotency.keys import MAX_CHARACTERS

Document = dict[str, Any]

HEADERS: Document = {
    "Request-Id": {
        "description": "Names this request in our logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{26}$"},
    },
    "PenguinMails-Version": {
        "description": "Version of this specification.",
        "required": True,
        "schema": {"type": "string", "examples": [VERSION]},
    },
    "RateLimit-Limit": {
        "description": "Size of the limit that is nearest to its end; `RateLimit` names it.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "RateLimit-Remaining": {
        "description": "What is left of it at this moment.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "RateLimit-Reset": {"description": "Seconds until it is whole.", "required": True, "schema": {"type": "integer"}},
    "RateLimit-Policy": {
        "description": "All limits: q requests, or q of `qu`, in w seconds (draft-ietf-httpapi-ratelimit-headers).",
        "required": True,
        "schema": {"type": "string", "examples": ['"default";q=600000;w=60, "burst";q=20000;w=2']},
    },
    "RateLimit": {
        "description": "What is left of the nearest limit, and in how many seconds it is whole again.",
        "required": True,
        "schema": {"type": "string", "examples": ['"burst";r=19999;t=1']},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "required": True, "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` when this is the stored answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
ALWAYS = ("Request-Id", "PenguinMails-Version")
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit")
IDEMPOTENCY_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same key with the same request gives the same answer, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": "^[!-~]+$"},
}
