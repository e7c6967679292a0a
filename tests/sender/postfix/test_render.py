"""What is rendered: Postfix itself says whether it is right."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penguinmails_sender.postfix.render import Place, RenderError, Smarthost, main_cf, render
from tests.fixtures.postfix import control, postfix
from tests.fixtures.programs import program

HOST = Smarthost("mail.penguins.example", "Bounces.Penguins.example", state=Path("/var/spool/x"))


@pytest.fixture
def root() -> Iterator[Path]:
    """Reached by Postfix's own users."""
    with tempfile.TemporaryDirectory(prefix="pm-postfix-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"next_hop": Place("relay.example.com", 587), "source_address": "127.0.0.9"},
        {"listen": Place("0.0.0.0", 2526), "networks": ("10.0.0.0/8", "[2001:db8::]/32")},
        {"source_address": "2001:db8::25", "reports": Place("::1", 2525), "settings": {"smtp_helo_timeout": "60s"}},
    ],
)
def test_postfix_has_nothing_to_say_against_it(root: Path, options: dict[str, object]) -> None:
    postfix()
    host = Smarthost("mail.penguins.example", "bounces.penguins.example", state=root / "state", **options)  # type: ignore[arg-type]
    render(host, root / "etc")
    done = control(root / "etc", "check")
    assert (done.returncode, done.stdout) == (0, "")
    log = root / "state" / "mail.log"
    assert not log.exists() or "fatal" not in log.read_text()
    # A parameter that Postfix does not know is a misspelled one: `postconf` warns of it.
    postconf = program("postconf", path="/usr/sbin:/usr/bin", hint="scripts/toolchains.sh mail")
    said = subprocess.run([postconf, "-c", str(root / "etc"), "-n"], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    render(host, root / "etc")
    assert control(root / "etc", "check").returncode == 0, "rendering again is harmless"


def test_only_reports_go_to_the_door() -> None:
    text = main_cf(HOST, Path("/etc/x"))
    assert "transport_maps = inline:{ { bounces.penguins.example = reports:[127.0.0.1]:2525 } }\n" in text
    assert "mynetworks = 127.0.0.0/8, [::1]/128\n" in text
    assert "smtpd_relay_restrictions = permit_mynetworks, reject\n" in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"hostname": "localhost"}, "hostname"),
        ({"return_path": "bounces.example.com\nmynetworks = 0.0.0.0/0"}, "return path"),
        ({"return_path": "a b.example"}, "return path"),
        ({"networks": ("0.0.0.0/0",)}, "everybody could relay"),
        ({"networks": ("[::]/0",)}, "everybody could relay"),
        ({"networks": ("10.0.0.1/8",)}, "networks"),
        ({"source_address": "mail.example.com"}, "source address"),
        ({"settings": {"x = y\nz": "1"}}, "parameters"),
        ({"settings": {"smtp_helo_timeout": "1\nmynetworks = 0.0.0.0/0"}}, "parameters"),
        ({"state": Path("relative")}, "whole path"),
        ({"state": Path("/with space")}, "whole path"),
    ],
)
def test_what_would_be_no_configuration_is_refused(options: dict[str, object], named: str) -> None:
    whole = {"hostname": "mail.example.com", "return_path": "bounces.example.com"} | options
    with pytest.raises(RenderError, match=named):
        Smarthost(**whole)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:65536", ":25", "a b:25", "host:²", "{x}:25"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(RenderError):
        Place.parse(text)


def test_places() -> None:
    assert Place.parse("[::1]:2525") == Place("::1", 2525)
    assert Place.parse("[::1]:2525").next_hop == "[ipv6:::1]:2525"
    assert Place.parse("relay.example.com:587").next_hop == "[relay.example.com]:587"
