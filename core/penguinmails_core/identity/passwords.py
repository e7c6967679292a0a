"""Passwords: Argon2id with the OWASP minimum (19 MiB, two passes, one lane), hashed outside the event loop.

The library's own defaults cost eight times as much CPU, so that 17 sign-ins a second would fill two cores.
"""

from __future__ import annotations

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from penguinmails_core.config import AuthSettings
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.identity.breached import BreachedPasswords

MAX_LENGTH = 256


class Passwords:
    """Hashes and verifies; at most `argon2_concurrency` at once, so that a burst of sign-ins leaves cores for others.

    `breached` says whether a password is known from a breach; None asks nobody.
    """

    def __init__(self, settings: AuthSettings, breached: BreachedPasswords | None = None) -> None:
        self._hasher = PasswordHasher(time_cost=settings.argon2_time, memory_cost=settings.argon2_memory, parallelism=1)
        self._min_length = settings.password_min_length
        self._breached = breached
        self._turns = asyncio.Semaphore(settings.argon2_concurrency)
        self._dummy = self._hasher.hash("nobody has this password")

    @property
    def min_length(self) -> int:
        return self._min_length

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """False for a wrong password. Without `hashed` (nobody by that name, or somebody without a password) the same
        work is done, so that the time does not tell."""
        async with self._turns:
            good = await asyncio.to_thread(self._verify, hashed or self._dummy, _normal(password))
        return good and hashed is not None

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than now: replace it after a good sign-in."""
        return self._hasher.check_needs_rehash(hashed)

    async def check_new(self, password: str, *, email: str = "") -> None:
        """Raises `Unprocessable` naming what is wrong with a password that somebody chose (NIST SP 800-63B §3.1.1.2:
        length and a blocklist, no rules about kinds of characters)."""
        if fault := await self._fault(_normal(password), email.lower()):
            code, detail = fault
            raise Unprocessable(detail, errors=[FieldError("/password", code, detail)])

    async def _fault(self, password: str, email: str) -> tuple[str, str] | None:
        if len(password) < self._min_length:
            return "too_short", f"The password must have at least {self._min_length} characters."
        if len(password) > MAX_LENGTH:
            return "too_long", f"The password may have at most {MAX_LENGTH} characters."
        if email and password.lower() in (email, email.partition("@")[0]):
            return "too_easy", "The password must not be your e-mail address."
        if len(set(password)) < 4:
            return "too_easy", "The password repeats too few different characters."
        if self._breached is not None and await asyncio.to_thread(self._breached.contains, password):
            return "breached", "This password is known from a data breach. Choose another one."
        return None

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):  # the second is a ValueError, not an Argon2Error
            return False


def _normal(password: str) -> str:
    """The same characters however a keyboard composes them (NIST SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
