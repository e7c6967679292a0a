"""What arrives over a real SMTP session verifies everywhere: dkimpy, OpenDKIM (the filter itself, in test mode) and
mailauth, which judges SPF and DMARC as well, strictly."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest

from penguinmails_core.kit.dns import StaticResolver
from penguinmails_sender.dkim import DkimKey, sign
from penguinmails_sender.lanes.policy import ConnectionPolicy
from penguinmails_sender.message import OutgoingMessage
from penguinmails_sender.mime import build
from penguinmails_sender.mx.pools import Pools
from penguinmails_sender.mx.routes import Routes
from penguinmails_sender.smtp import Envelope
from penguinmails_sender.smtpd.server import SmtpServer
from penguinmails_sender.transports import DirectMxTransport
from tests.contract.node import need, node
from tests.fixtures.programs import program
from tests.sender.dkim.shapes import SHAPES

KEYS = [
    DkimKey.generate("rsa", selector="s1", domain="acme.test"),
    DkimKey.generate("ed25519", selector="e1", domain="acme.test"),
]
RECORDS = {key.record_name(): key.public_record() for key in KEYS}
# Strict alignment: the signature and the return path name the domain itself.
POLICY = {"acme.test": "v=spf1 ip4:127.0.0.1 -all", "_dmarc.acme.test": "v=DMARC1; p=reject; adkim=s; aspf=s"}
TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "second From": lambda raw: b"From: Mallory <m@evil.test>\r\n" + raw,
    "other From": lambda raw: raw.replace(b"hello@acme.test", b"holla@acme.test", 1),
    "one-click taken away": lambda raw: re.sub(rb"\r\nList-Unsubscribe-Post: [^\r]*", b"", raw),
    "unsubscribe led elsewhere": lambda raw: raw.replace(b"https://u.acme.test/", b"https://u.evil.test/", 1),
    "word in the body": lambda raw: raw.replace(b"your invoice is ready", b"your invoice is unpaid", 1),
    "line added": lambda raw: raw + b"PS: pay here\r\n",
}


@pytest.fixture(scope="module")
def sealed() -> dict[str, bytes]:
    return {name: sign(build(message), KEYS) for name, message in SHAPES.items()}


@pytest.fixture
async def arrived(sealed: dict[str, bytes]) -> dict[str, bytes]:
    """The messages as a mail server got them from the direct transport: dots stuffed and taken out again."""
    found: list[bytes] = []
    server = SmtpServer(lambda received: found.append(received.raw), host="127.0.0.41")
    await server.start()
    dns = StaticResolver({"example.test": {"MX": [(10, "mx.example.test")]}, "mx.example.test": {"A": ["127.0.0.41"]}})
    transport = DirectMxTransport(
        Routes(dns, allow_private=True),
        Pools("mail.acme.test", port=server.port, allow_private=True),
        ConnectionPolicy(tls="off"),
    )
    try:
        for name, content in sealed.items():
            utf8 = SHAPES[name].needs_smtputf8
            results = await transport.deliver(Envelope("bounces@acme.test", ("ada@example.test",), content, utf8))
            assert results[0].outcome == "delivered", (name, results)
    finally:
        await transport.aclose()
        await server.stop()
    return dict(zip(sealed, found, strict=True))


def tampered(sealed: dict[str, bytes]) -> dict[str, bytes]:
    original = sealed["campaign headers"]
    changed = {name: change(original) for name, change in TAMPERED.items()}
    assert all(content != original for content in changed.values())
    return changed


def test_there_are_twenty_shapes() -> None:
    assert len(SHAPES) >= 20
    assert len(set(map(repr, SHAPES.values()))) == len(SHAPES)


async def test_nothing_changes_on_the_way(sealed: dict[str, bytes], arrived: dict[str, bytes]) -> None:
    assert arrived == sealed


async def test_dkimpy(arrived: dict[str, bytes]) -> None:
    published = {f"{name}.".encode(): record.encode() for name, record in RECORDS.items()}

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        return published.get(name)

    for name, content in arrived.items():
        message = dkim.DKIM(content)
        assert [message.verify(index, dnsfunc=lookup) for index in range(2)] == [True, True], name


def opendkim(messages: dict[str, bytes], folder: Path) -> dict[str, list[str]]:
    """The results that OpenDKIM's filter would write into Authentication-Results, one for each signature."""
    path = program("opendkim", path="/usr/sbin:/usr/bin:/sbin", hint="sh scripts/toolchains.sh mail")
    (folder / "dns").write_text("".join(f"{name} {record}\n" for name, record in RECORDS.items()))
    settings = f"Mode v\nSyslog no\nTestDNSData file:{folder}/dns\nAlwaysAddARHeader yes\nAuthservID mx.test\n"
    (folder / "conf").write_text(settings)
    found = {}
    for number, (name, content) in enumerate(messages.items()):
        file = folder / f"{number}.eml"
        file.write_bytes(content)
        command = [path, "-x", str(folder / "conf"), "-t", str(file), "-v", "-v"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        header = re.search(r"Authentication-Results' hvalue='(.*?)'\n", done.stdout + done.stderr, re.DOTALL)
        assert header is not None, (name, done)
        found[name] = re.findall(r"\bdkim=(\w+)", header[1])
    return found


async def test_opendkim(arrived: dict[str, bytes], tmp_path: Path) -> None:
    assert opendkim(arrived, tmp_path) == {name: ["pass", "pass"] for name in arrived}


async def test_opendkim_sees_what_was_changed(sealed: dict[str, bytes], tmp_path: Path) -> None:
    for name, results in opendkim(tampered(sealed), tmp_path).items():
        assert "pass" not in results, name


def mailauth(messages: dict[str, bytes], folder: Path) -> dict[str, dict[str, object]]:
    need("mailauth")
    for number, content in enumerate(messages.values()):
        (folder / f"{number}.eml").write_bytes(content)
    job = {
        "dns": {**RECORDS, **POLICY},
        "files": [str(folder / f"{number}.eml") for number in range(len(messages))],
        "ip": "127.0.0.1",
        "helo": "mail.acme.test",
        "sender": "bounces@acme.test",
    }
    done = node("mailauth.mjs", stdin=json.dumps(job))
    assert done.returncode == 0, done.stderr
    return dict(zip(messages, json.loads(done.stdout), strict=True))


async def test_mailauth_with_spf_and_dmarc(arrived: dict[str, bytes], tmp_path: Path) -> None:
    for name, found in mailauth(arrived, tmp_path).items():
        assert found["dkim"] == ["pass", "pass"], name
        assert found["spf"] == "pass", name
        assert found["dmarc"] == "pass", name


async def test_mailauth_sees_what_was_changed(sealed: dict[str, bytes], tmp_path: Path) -> None:
    for name, found in mailauth(tampered(sealed), tmp_path).items():
        assert "pass" not in found["dkim"], name  # type: ignore[operator]


def signed_headers(raw: bytes) -> list[str]:
    tag = re.search(rb"; h=(.*?);", raw.partition(b"\r\n\r\n")[0].replace(b"\r\n", b""), re.DOTALL)
    assert tag is not None
    return [name.strip().lower() for name in tag[1].decode().split(":")]


@pytest.mark.parametrize("shape", ["one-click unsubscribe", "campaign headers"])
def test_both_headers_of_one_click_unsubscribe_are_signed(sealed: dict[str, bytes], shape: str) -> None:
    """RFC 8058 §4; and a second From that is added later breaks the signature."""
    names = signed_headers(sealed[shape])
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(names)
    assert names.count("from") == 2


def test_a_shape_with_everything_has_everything_signed() -> None:
    message: OutgoingMessage = SHAPES["campaign headers"]
    names = signed_headers(sign(build(message), KEYS))
    assert {"to", "subject", "date", "message-id", "mime-version", "content-type", "list-id", "feedback-id"} <= set(
        names
    )
