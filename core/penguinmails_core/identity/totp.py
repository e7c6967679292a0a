"""Time-based one-time passwords (RFC 6238): six digits, 30 seconds, one step of tolerance each way."""

from __future__ import annotations

import time
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError

ISSUER = "PenguinMails"


def new_secret() -> str:
    """160 random bits in base32 (RFC 4226 §4)."""
    return str(pyotp.random_base32(32))


def provisioning_uri(secret: str, email: str) -> str:
    """What an authenticator app reads from the QR code."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER))


def step_of(secret: str, code: str, *, at: float | None = None) -> int | None:
    """The time step whose code this is, or None. The caller must refuse a step that is not newer than the last one
    used: the algorithm itself takes a code as often as it is sent (RFC 6238 §5.2)."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        moment = time.time() if at is None else at
        return int(pyotp.TOTP(secret).verify_and_get_timecode(digits, for_time=moment, valid_window=1))
    except OTPVerificationError:
        return None


def code_at(secret: str, at: float | None = None) -> str:
    """The code of a moment (Unix time), for tests and tools."""
    return str(pyotp.TOTP(secret).at(time.time() if at is None else at))


def secret_context(user_id: UUID) -> bytes:
    """What a sealed secret is bound to."""
    return b"user_credentials.totp:" + user_id.bytes
