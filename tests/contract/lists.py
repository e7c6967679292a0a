"""The two lists that a person has to agree to: what needs no credentials, and what the specification leaves out."""

from __future__ import annotations

PUBLIC = {
    "operations_landing": "says where to go from here",
    "operations_health": "asked by load balancers",
    "operations_readiness": "asked by load balancers",
    "operations_metrics": "asked by Prometheus; a proxy keeps it off the internet",
    "operations_problem": "the page that a problem's `type` leads to, read in a browser",
}
"""operationId -> why anybody may call it."""

KEPT_OUT = {
    "/openapi.json": "the specification itself",
    "/openapi/v2.json": "the specification of version 2",
    "/asyncapi.json": "the specification of events",
    "/docs": "pages for people",
    "/docs.md": "pages for people",
    "/docs/*": "pages for people",
    "/llms.txt": "tells language models what there is to read",
    "/problems": "pages for people",
    "/problems.md": "pages for people",
    "/login*": "pages for people, and what their script calls",
    "/signup": "pages for people",
    "/verify-email": "pages for people",
    "/reset-password*": "pages for people",
    "/logout": "the button of those pages",
    "/account*": "pages for people",
    "/static/*": "style and script of the pages",
}
"""path (or a prefix and `*`) -> why the specification does not hold it."""


def kept_out(path: str) -> bool:
    """Whether the specification leaves this path out on purpose."""
    return any(path == place or (place.endswith("*") and path.startswith(place[:-1])) for place in KEPT_OUT)
