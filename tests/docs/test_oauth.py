"""The samples of docs/oauth.md, in order, in one shell, against a sandbox."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import Program, clean_environment

pytestmark = pytest.mark.xdist_group("e2e")

GUIDE = (Path(__file__).parents[2] / "docs" / "oauth.md").read_text()
SAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```sh\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[dict[str, Any]]:
    with Program("sandbox", "--json") as program:
        info: dict[str, Any] = json.loads(program.line())
        yield info | {"folder": program.folder}


def test_every_sample_is_run_and_every_flow_has_one() -> None:
    assert list(SAMPLES) == [
        "field",
        "code",
        "refresh",
        "client",
        "device",
        "revoke",
        "register_own",
        "register_self",
    ]
    assert GUIDE.count("```sh") == len(SAMPLES)


def test_the_samples_work(sandbox: dict[str, Any]) -> None:
    oauth = sandbox["oauth"]
    given = {
        "BASE": sandbox["base_url"],
        "API_KEY": sandbox["organizations"][0]["api_key"],
        "CLIENT_ID": oauth["client_id"],
        "CLIENT_SECRET": oauth["client_secret"],
        "REDIRECT_URI": oauth["redirect_uri"],
        "COOKIE": oauth["cookie"],
    }
    script = "\n".join(f"{sample}\nprintf '\\n--- {name}\\n'" for name, sample in SAMPLES.items())
    script += '\nprintf %s "$TOKENS"'
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=sandbox["folder"],
        env=clean_environment(sandbox["folder"], given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = dict(zip([*SAMPLES, "last"], re.split(r"\n--- \w+\n", done.stdout), strict=True))
    assert json.loads(said["code"])["data"] == []
    assert json.loads(said["client"])["scope"] == "emails:read"
    assert json.loads(said["device"])["verification_uri"] == sandbox["base_url"] + "/device"
    asked, revoked = said["revoke"].strip().rsplit("{}", 1)[0], said["revoke"].strip()[-2:]
    assert json.loads(asked)["active"] is True
    assert revoked == "{}"
    assert json.loads(said["register_own"])["client_secret"].startswith("pmcs_")
    assert "emails:write" not in json.loads(said["register_self"])["scope"].split()
    assert json.loads(said["last"])["refresh_token"].startswith("pmrt_")
