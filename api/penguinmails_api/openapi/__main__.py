"""Writes the contract: openapi/v1.json (or the file that is named), and beside it v2.json, events.json (every event in
every version) and events.asyncapi.json."""

from __future__ import annotations

import sys
from pathlib import Path

from penguinmails_api.openapi.document import render
from penguinmails_api.version import VERSION
from penguinmails_webhooks import asyncapi
from penguinmails_webhooks.event_types import released_shapes


def main() -> None:
    from penguinmails_api.app import api

    target = Path(sys.argv[1] if len(sys.argv) > 1 else "openapi/v1.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(api().openapi()), encoding="utf-8")
    (target.parent / "v2.json").write_text(render(api().openapi_v2()), encoding="utf-8")
    (target.parent / "events.json").write_text(render(released_shapes()), encoding="utf-8")
    (target.parent / "events.asyncapi.json").write_text(render(asyncapi.build(VERSION)), encoding="utf-8")


if __name__ == "__main__":
    main()
