"""What Schemathesis cannot know of this API."""

from __future__ import annotations

import uuid
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

# A walk finds the key that it walks with in the list of keys, and must not end or narrow it. Their own tests try these.
ENDS_THE_KEY = frozenset(("api_keys_revoke", "api_keys_update", "api_keys_rotate"))


@schemathesis.hook
def filter_operations(context: HookContext) -> bool:
    operation = context.operation
    return operation is None or operation.definition.raw.get("operationId") not in ENDS_THE_KEY


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """On walks from one operation to the next no key is used twice: the second answer would be that of the first
    request, about something that the walk has deleted since. Other phases try keys as they come."""
    if case.meta is not None and case.meta.phase.name.value == "stateful" and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
