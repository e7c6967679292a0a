"""Schemathesis against a running server: every check there is, requests that fit the document and requests that do not,
and walks from one operation to the next.

    python -m tests.contract.fuzz [--cases 5000] [--seed 1] [--only emails_send]    what `make fuzz` runs
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from penguinmails_api.app import api, create_gateway
from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.runtime.server import ApiServer
from penguinmails_api.services import Settings, open_services
from penguinmails_core.config import DatabaseSettings, StackSettings
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.migrations import migrate
from penguinmails_core.system_mail.service import LOCAL_SENDER
from tests.conftest import ROOT
from tests.contract.completeness import operations
from tests.fixtures.factories import make_tenant

CONFIG = Path(__file__).with_name("schemathesis.toml")
DOCUMENTS = ("/openapi.json", "/openapi/v2.json")
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cases`: requests that were judged."""

    status: int
    cases: int
    output: str


async def fuzz(
    url: str,
    key: str,
    *,
    seed: int,
    examples: int,
    document: str = "/openapi.json",
    phases: Sequence[str] = PHASES,
    arguments: Sequence[str] = (),
) -> Outcome:
    """`examples`: how many requests of each kind to invent for each operation."""
    scratch = Path(tempfile.mkdtemp(prefix="pm-schemathesis-"))  # it keeps what it found in the working directory
    await _fetch(url, document, scratch / "openapi.json")
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--config-file", str(CONFIG), "run", "openapi.json", "--url", url]
    command += ["--header", f"Authorization: Bearer {key}", "--checks", "all", "--seed", str(seed)]
    command += ["--max-examples", str(examples), "--phases", ",".join(phases), "--workers", "1"]
    command += ["--generation-database", "none", "--suppress-health-check", "all", "--continue-on-failure"]
    command += ["--warnings", "off", "--no-color", *arguments]
    # A walk finds the key that it walks with in the list of keys, and must not end or narrow it. Tests of their own try
    # these.
    # A stream has no end and is no JSON: OpenAPI 3.1 has no words for what its events hold.
    for operation in ("api_keys_revoke", "api_keys_update", "api_keys_rotate", "events_stream"):
        command += ["--exclude-operation-id", operation]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=scratch,
        env={
            **os.environ,
            "COLUMNS": "160",
            "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks",
        },
    )
    said, _ = await process.communicate()
    shutil.rmtree(scratch, ignore_errors=True)
    output = said.decode(errors="replace")
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}) as http:
        alive = (await http.get("/v1/me")).status_code
    # A walk may revoke the very key that it walks with; from then on it would have tried 401 only.
    assert alive == 200, f"the key stopped working on the way ({alive})"
    found = re.search(r"([\d,]+) generated", output)
    return Outcome(process.returncode or 0, int(found[1].replace(",", "")) if found else 0, output)


async def _fetch(url: str, document: str, path: Path) -> None:
    """The document that the server serves, without `fields`: it makes members absent that the schema requires, as its
    description says, and OpenAPI has no words for that. The tests of the conventions judge those answers."""
    async with httpx.AsyncClient(base_url=url) as http:
        found = (await http.get(document)).json()
    for _, _, operation in operations(found):
        parameters = operation.get("parameters", [])
        operation["parameters"] = [each for each in parameters if each.get("name") != "fields"]
    path.write_text(json.dumps(found))


async def main(cases: int, seed: int, only: str | None) -> int:
    root = Path(tempfile.mkdtemp(prefix="pm-fuzz-"))
    root.chmod(0o755)
    stack = EmbeddedStack(root, postgres_settings={"fsync": "off", "full_page_writes": "off"})
    await asyncio.to_thread(stack.start)
    try:
        await migrate(stack.database_url)
        settings = Settings(
            stack=StackSettings(system_mail_from=LOCAL_SENDER),
            database=DatabaseSettings(pool_size=8, ingest_connections=2, worker_connections=4),
        )
        services = await open_services(stack.database_url, stack.redis_url, settings, box=SecretBox([b"k" * 32]))
        await prepare_mail(services)
        server = ApiServer(create_gateway(services), "127.0.0.1", 0)
        server.bind()
        await server.start()
        try:
            tenant = await make_tenant(services.database)
            count = sum(1 for document in (api().openapi(), api().openapi_v2()) for _ in operations(document))
            arguments = ["--include-operation-id", only] if only else []
            examples = max(5, cases // count)
            outcomes = [
                await fuzz(server.url, tenant.key, seed=seed, examples=examples, document=place, arguments=arguments)
                for place in DOCUMENTS
            ]
        finally:
            await server.stop()
            await services.close()
    finally:
        await asyncio.to_thread(stack.stop)
        shutil.rmtree(root, ignore_errors=True)
    for outcome in outcomes:
        sys.stdout.write(outcome.output)
    judged, status = sum(outcome.cases for outcome in outcomes), max(outcome.status for outcome in outcomes)
    sys.stdout.write(f"fuzz: {judged} cases, seed {seed}, exit status {status}\n")
    return status if judged >= cases or only or status else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="operationId")
    options = parser.parse_args()
    raise SystemExit(asyncio.run(main(options.cases, options.seed, options.only)))
