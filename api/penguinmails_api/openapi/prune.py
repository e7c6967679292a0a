"""Components that nothing refers to are left out of the document."""

from __future__ import annotations

import json
from typing import Any

Document = dict[str, Any]


def prune(document: Document) -> None:
    """Again and again, since what is left out may have been the last to refer to something else."""
    components = document["components"]
    while True:
        text = json.dumps(document)
        unused = [
            (kind, name)
            for kind in ("schemas", "responses", "headers", "parameters")
            for name in components.get(kind, {})
            if f'"#/components/{kind}/{name}"' not in text
        ]
        if not unused:
            return
        for kind, name in unused:
            del components[kind][name]
