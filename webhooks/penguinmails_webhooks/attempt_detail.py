"""What is kept of an attempt beside its result: how long each part took, whom it reached, the headers of both sides.

Hot: once for every request that is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from penguinmails_core.kit.http import HttpResult, OutgoingError

HIDDEN = "(hidden)"
MAX_HEADERS, MAX_VALUE = 50, 500
# Ours, and no secrets: a signature proves something only together with a secret that is not here.
_SHOWN = frozenset(("content-type", "webhook-id", "webhook-timestamp", "webhook-signature"))
_SECRET_ANSWERS = frozenset(("set-cookie", "authorization", "proxy-authorization"))


def detail_of(result: HttpResult | OutgoingError, sent: Mapping[str, str]) -> str:
    """JSON for the column `detail`. `sent`: the headers of the request; values of those that are not ours are hidden,
    since endpoints set secrets there."""
    timings = result.timings
    found: dict[str, Any] = {
        "remote_address": result.remote_address,
        "request_headers": {name: value if name in _SHOWN else HIDDEN for name, value in sent.items()},
    }
    if timings is not None:
        found |= {
            "dns_ms": _rounded(timings.dns_ms),
            "connect_ms": _rounded(timings.connect_ms),
            "tls_ms": _rounded(timings.tls_ms),
            "first_byte_ms": _rounded(timings.first_byte_ms),
            "total_ms": _rounded(timings.total_ms),
        }
    if isinstance(result, HttpResult):
        found |= {
            "reused": result.reused,
            "tls_version": result.tls_version,
            "response_headers": _shown(result.headers),
        }
    return orjson.dumps(found).decode()


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in headers.items():
        if len(shown) == MAX_HEADERS:
            break
        lower = name.lower()
        shown[lower[:MAX_VALUE]] = HIDDEN if lower in _SECRET_ANSWERS else value[:MAX_VALUE].replace("\0", "\ufffd")
    return shown


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
