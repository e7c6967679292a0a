"""AWS Signature Version 4 of one request, as Amazon documents it ("Create a signed AWS API request").

By hand, because the request itself goes through our own client: it checks addresses and keeps connections, which the
libraries of Amazon do not let others do.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit


def signed(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    region: str,
    service: str,
    access_key_id: str,
    secret_access_key: str,
    now: datetime,
) -> dict[str, str]:
    """Headers of a POST without a query, with `X-Amz-Date` and `Authorization` added. The Host header is that of
    `url`."""
    parts = urlsplit(url)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    day = stamp[:8]
    found = {**headers, "X-Amz-Date": stamp}
    canonical = {name.lower(): " ".join(value.split()) for name, value in found.items()} | {"host": parts.netloc}
    names = ";".join(sorted(canonical))
    request = "\n".join(
        (
            "POST",
            quote(parts.path or "/", safe="/~"),
            "",
            *(f"{name}:{canonical[name]}" for name in sorted(canonical)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret_access_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    found["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return found
