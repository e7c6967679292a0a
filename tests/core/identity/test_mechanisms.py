"""Passwords, codes, breached lists, origins: the small mechanisms, each with its trap."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from penguinmails_core.config import AuthSettings, ConfigError
from penguinmails_core.errors import Unprocessable
from penguinmails_core.identity import recovery, totp
from penguinmails_core.identity.breached import BreachedPasswords
from penguinmails_core.identity.origin import PublicUrl
from penguinmails_core.identity.passwords import Passwords

CHEAP = AuthSettings(argon2_memory=8, argon2_time=1)


async def test_a_password_is_verified_however_it_was_composed() -> None:
    passwords = Passwords(CHEAP)
    hashed = await passwords.hash("caf\u00e9 au lait")
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify(hashed, "cafe\u0301 au lait")
    assert not await passwords.verify(hashed, "cafe au lait")


async def test_nobody_and_broken_hashes_are_just_wrong() -> None:
    passwords = Passwords(CHEAP)
    assert not await passwords.verify(None, "anything")
    assert not await passwords.verify(None, "nobody has this password")  # what the stand-in was made of
    assert not await passwords.verify("$2b$12$notargon", "anything")


def test_the_default_cost_is_the_owasp_minimum() -> None:
    parameters = Passwords(AuthSettings())._hasher
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)


async def test_hashes_of_other_parameters_are_made_anew() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.needs_rehash(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("x"))
    assert not passwords.needs_rehash(await passwords.hash("x"))


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "too_short"),
        ("x" * 257, "too_long"),
        ("aaaaaaaaaaaaaaa", "too_easy"),
        ("Ada@Example.com", "too_easy"),
        ("password123", "breached"),
    ],
)
async def test_bad_choices_are_named(tmp_path: Path, password: str, code: str) -> None:
    path = tmp_path / "breached.txt"
    path.write_text(sha1(b"password123").hexdigest().upper() + ":42\n")
    passwords = Passwords(CHEAP, BreachedPasswords(path))
    with pytest.raises(Unprocessable) as caught:
        await passwords.check_new(password, email="ada@example.com")
    assert caught.value.errors[0].code == code
    assert caught.value.errors[0].pointer == "/password"
    await passwords.check_new("an honest passphrase", email="ada@example.com")


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text("abc", max_size=5), max_size=40), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_every_line_of_a_breached_list_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, words: set[str], counted: bool, newline: str
) -> None:
    folder = tmp_path_factory.mktemp("breached")
    digests = sorted(sha1(word.encode()).hexdigest().upper() for word in words)
    lines = [digest + (f":{index * 1000 + 1}" if counted else "") for index, digest in enumerate(digests)]
    (folder / "list.txt").write_bytes("".join(line + newline for line in lines).encode())
    known = BreachedPasswords(folder / "list.txt")
    for word in [*words, "not in it", "abcabc"]:
        assert known.contains(word) == (word in words), word


def test_a_folder_of_prefixes_works_too(tmp_path: Path) -> None:
    digest = sha1(b"letmein").hexdigest().upper()
    (tmp_path / f"{digest[:5]}.txt").write_text(f"0000000000000000000000000000000000A:1\n{digest[5:]}:9\n")
    known = BreachedPasswords(tmp_path)
    assert known.contains("letmein")
    assert not known.contains("let me in")


def test_a_list_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BREACHED_PASSWORDS"):
        BreachedPasswords(tmp_path / "missing")


def test_codes_are_taken_with_spaces_and_one_step_off() -> None:
    secret = totp.new_secret()
    now = 1_800_000_015.0
    code = totp.code_at(secret, now)
    step = totp.step_of(secret, code, at=now)
    assert step == int(now // 30)
    assert totp.step_of(secret, f" {code[:3]} {code[3:]}", at=now) == step
    assert totp.step_of(secret, code, at=now + 30) == step
    assert totp.step_of(secret, code, at=now + 90) is None
    for wrong in ("", "12345", "1234567", "abcdef", "１２３４５６"):
        assert totp.step_of(secret, wrong, at=now) is None


def test_the_uri_names_us_and_the_person() -> None:
    uri = totp.provisioning_uri("A" * 32, "ada@example.com")
    assert uri.startswith("otpauth://totp/PenguinMails:ada%40example.com?")
    assert "issuer=PenguinMails" in uri


def test_recovery_codes_differ_and_forgive_how_they_are_typed() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == 10
    assert all(len(code) == 19 for code in codes)
    assert recovery.digest(codes[0]) == recovery.digest(codes[0].upper().replace("-", " "))
    assert recovery.digest(codes[0]) != recovery.digest(codes[1])


@pytest.mark.parametrize(
    ("text", "base", "rp_id", "secure"),
    [
        ("https://Mail.Example.com/", "https://mail.example.com", "mail.example.com", True),
        ("https://mail.example.com:8443", "https://mail.example.com:8443", "mail.example.com", True),
        ("https://mail.example.com:443", "https://mail.example.com", "mail.example.com", True),
        ("http://localhost:8025", "http://localhost:8025", "localhost", False),
        ("http://127.0.0.1:8025", "http://127.0.0.1:8025", "localhost", False),
    ],
)
def test_origins(text: str, base: str, rp_id: str, secure: bool) -> None:
    public = PublicUrl.of(text)
    assert (public.base, public.rp_id, public.secure) == (base, rp_id, secure)
    assert public.base in public.origins


@pytest.mark.parametrize(
    "text", ["mail.example.com", "ftp://x.test", "https://x.test/app", "https://u@x.test", "https://"]
)
def test_what_is_not_an_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        PublicUrl.of(text)
