"""The verifiers people copy, run for real: all five say the same of every case, and agree with the published ones."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from penguinmails import InvalidWebhookSignatureError, PenguinMailsError
from penguinmails import webhooks as sdk
from standardwebhooks.webhooks import Webhook as Reference
from svix.webhooks import Webhook as Svix

from penguinmails_webhooks.signing import SecretError, SignatureError, sign, verify
from penguinmails_webhooks.verifiers import verifiers
from tests.contract.node import need as need_packages
from tests.contract.node import node
from tests.webhooks.verifiers.cases import Case, cases, secret
from tests.webhooks.verifiers.programs import DRIVERS, PROGRAMS, judge

NOW = 1_764_000_000
CASES = cases(NOW)
EXPECTED = {case.name: case.expect for case in CASES}
# The example that the specification and its libraries publish.
VECTOR: dict[str, Any] = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": 1614265330,
    "payload": '{"test": 2432232314}',
}
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PAYLOADS = ["", "{}", '{"a": "Grüße 🐧 \\u00fc"}', " \r\n\t", "\u2028<b>&", "x" * 100_000]


def test_the_table_covers_what_it_should() -> None:
    assert len(EXPECTED) == len(CASES) > 40
    codes = {"ok", "missing_header", "invalid_timestamp", "timestamp_too_old", "timestamp_too_new"}
    assert set(EXPECTED.values()) == codes | {"invalid_signature", "signature_mismatch", "invalid_secret"}


@pytest.mark.parametrize("language", sorted(PROGRAMS))
def test_every_case(language: str, tmp_path: Path) -> None:
    said = judge(language, [case.request for case in CASES], tmp_path)
    assert dict(zip(EXPECTED, said, strict=True)) == EXPECTED


@pytest.mark.parametrize("language", sorted(PROGRAMS))
def test_the_published_vector(language: str, tmp_path: Path) -> None:
    headers = {
        "webhook-id": VECTOR["id"],
        "webhook-timestamp": str(VECTOR["timestamp"]),
        "webhook-signature": VECTOR_SIGNATURE,
    }
    body = base64.b64encode(str(VECTOR["payload"]).encode()).decode()
    request = {"secrets": [VECTOR["secret"]], "headers": headers, "body": body, "now": VECTOR["timestamp"]}
    other = request | {"secrets": [secret("A")]}
    assert judge(language, [request, other], tmp_path) == ["ok", "signature_mismatch"]


def _ours(case: Case) -> str:
    request = case.request
    try:
        verify(request["secrets"], request["headers"], base64.b64decode(request["body"]), now=request["now"])
    except SignatureError as error:
        return error.code
    except SecretError:
        return "invalid_secret"
    return "ok"


def test_the_server_and_the_sdk_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs is the symmetric scheme; the SDK reads the clock."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))

    def by_sdk(case: Case) -> str:
        try:
            sdk.verify(base64.b64decode(case.request["body"]), case.request["headers"], case.request["secrets"])
        except InvalidWebhookSignatureError as error:
            return error.code
        except PenguinMailsError:
            return "invalid_secret"
        return "ok"

    symmetric = [case for case in CASES if not case.ed25519]
    expected = {case.name: case.expect for case in symmetric}
    assert {case.name: _ours(case) for case in symmetric} == expected
    lenient = {"secret that is too short": "signature_mismatch"}  # the SDK takes keys of any length
    said = {case.name: by_sdk(case) for case in symmetric}
    assert said == expected | lenient


def _accepts(library: Any, case: Case) -> bool:
    options = {"json_parse": False} if library is Reference else {}
    try:
        body = base64.b64decode(case.request["body"])
        library(case.request["secrets"][0]).verify(body, case.request["headers"], **options)
    except Exception:  # whatever it raises, it does not accept
        return False
    return True


def test_the_published_libraries_agree() -> None:
    """Of what can be asked of them: they read the clock and know one secret."""
    need_packages("standardwebhooks", "svix")
    asked = [case for case in cases(int(time.time())) if case.reference and len(case.request["secrets"]) == 1]
    assert len(asked) > 25
    expected = {case.name: case.expect == "ok" for case in asked}
    for library in (Reference, Svix):
        found = {case.name: _accepts(library, case) for case in asked}
        assert _differences(found, expected) == set(), library
    stdin = json.dumps({"requests": [case.request for case in asked], "sign": []})
    done = node("--input-type=module", "--eval", (DRIVERS / "reference.mjs").read_text(), stdin=stdin)
    assert done.returncode == 0, done.stderr
    for name, told in json.loads(done.stdout).items():
        found = dict(zip(expected, told["accepted"], strict=True))
        assert _differences(found, expected) == set(), name


def _differences(found: dict[str, bool], expected: dict[str, bool]) -> set[str]:
    return {name for name in expected if found[name] != expected[name]}


def test_signatures_equal_those_of_the_published_libraries() -> None:
    need_packages("standardwebhooks", "svix")
    wanted = [
        VECTOR,
        *(VECTOR | {"secret": secret(key), "payload": text} for key in ("A", "LONG") for text in PAYLOADS),
    ]
    ours = [
        sign([str(one["secret"])], str(one["id"]), int(one["timestamp"]), str(one["payload"]).encode())
        for one in wanted
    ]
    assert ours[0] == VECTOR_SIGNATURE
    for library in (Reference, Svix):
        theirs = [
            library(str(one["secret"])).sign(
                str(one["id"]), datetime.fromtimestamp(int(one["timestamp"]), UTC), str(one["payload"])
            )
            for one in wanted
        ]
        assert theirs == ours
    stdin = json.dumps({"requests": [], "sign": wanted})
    done = node("--input-type=module", "--eval", (DRIVERS / "reference.mjs").read_text(), stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert {name: told["signed"] for name, told in json.loads(done.stdout).items()} == {
        "standardwebhooks": ours,
        "svix": ours,
    }


def test_the_ed25519_cases_are_real() -> None:
    """The table's own signatures verify with the key they name."""
    case = next(case for case in CASES if case.name == "Ed25519")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(case.request["secrets"][0].removeprefix("whpk_")))
    headers = case.request["headers"]
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
    signature = base64.b64decode(headers["webhook-signature"].removeprefix("v1a,"))
    key.verify(signature, content + base64.b64decode(case.request["body"]))


def test_verifiers_are_package_data() -> None:
    found = verifiers()
    assert [verifier.language for verifier in found] == ["python", "javascript", "php", "ruby", "go"]
    for verifier in found:
        assert "signature_mismatch" in verifier.source
        assert len(verifier.source.splitlines()) < 120
        assert "verify" in verifier.usage.lower()
