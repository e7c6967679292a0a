"""Signing in from the command line: the device flow (RFC 8628), and the tokens it leaves in the user's folder.

The file is readable by its owner only. Access tokens live minutes; the refresh token changes with each use, under a
lock, so that two commands at once do not look like theft.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from penguinmails_core.config import ConfigError
from penguinmails_core.oauth.records import CLI, DEVICE_GRANT, REFRESH_GRANT

DEFAULT_SCOPES = ("emails:read", "emails:write", "events:read")
_EARLY = 30  # seconds before its end that an access token is renewed
_TIMEOUT = 30  # seconds for one request


class LoginError(ConfigError):
    """Signing in did not work; the message says why and what to do."""


@dataclass(slots=True)
class Login:
    """What is kept for one server. `expires_at` is Unix time."""

    server: str
    token_endpoint: str
    revocation_endpoint: str
    access_token: str
    refresh_token: str
    expires_at: float
    scope: str


def config_folder() -> Path:
    """XDG on Linux, the usual places elsewhere."""
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "penguinmails"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "penguinmails"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "penguinmails"
    return Path.home() / ".config" / "penguinmails"


def _file() -> Path:
    return config_folder() / "logins.json"


def load() -> dict[str, Login]:
    """By server, the one signed in to last comes last. Empty when nobody has signed in, or the file is broken."""
    try:
        found = json.loads(_file().read_text())
        return {server: Login(**fields) for server, fields in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save(logins: dict[str, Login]) -> None:
    """Whole or not at all: a new file takes the place of the old one."""
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({server: asdict(login) for server, login in logins.items()}, file)
    fresh.replace(path)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Other commands of the same user wait. Where files cannot be locked, the server's grace has to do."""
    path = _file().with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find(server: str | None) -> Login | None:
    """Of a server, or the one signed in to last."""
    logins = load()
    if server is not None:
        return logins.get(server.rstrip("/"))
    return list(logins.values())[-1] if logins else None


def access_token(server: str) -> str:
    """A token that is good for a while, renewed when it is time. Raises `LoginError`."""
    login = find(server)
    if login is not None and login.expires_at - _EARLY > time.time():
        return login.access_token
    with _locked():
        login = find(server)  # somebody else may have renewed it
        if login is None:
            raise LoginError(f"you are not signed in to {server}; run `penguinmails login`")
        if login.expires_at - _EARLY > time.time():
            return login.access_token
        fields = {"grant_type": REFRESH_GRANT, "refresh_token": login.refresh_token, "client_id": CLI.client_id}
        status, answer = _post(login.token_endpoint, fields)
        if status != 200:
            raise LoginError(f"{server} does not know this sign-in any more; run `penguinmails login` again")
        _keep(login.server, login.token_endpoint, login.revocation_endpoint, answer)
        return str(answer["access_token"])


def sign_in(server: str, scopes: list[str], show: Callable[[str, str], None]) -> Login:
    """`show(url, code)` tells the person where to go; then this waits for their answer. Raises `LoginError`."""
    server = server.rstrip("/")
    told = _get(server + "/.well-known/oauth-authorization-server")
    fields = {"client_id": CLI.client_id, "scope": " ".join(scopes or DEFAULT_SCOPES)}
    status, started = _post(told["device_authorization_endpoint"], fields)
    if status != 200:
        raise LoginError(f"{server} refused: {started.get('error_description', status)}")
    show(started["verification_uri_complete"], started["user_code"])
    answer = _wait(told["token_endpoint"], started)
    with _locked():
        return _keep(server, told["token_endpoint"], told["revocation_endpoint"], answer)


def _wait(endpoint: str, started: dict[str, Any]) -> dict[str, Any]:
    """Poll as RFC 8628 §3.5 says."""
    interval, until = int(started.get("interval", 5)), time.monotonic() + int(started["expires_in"])
    fields = {"grant_type": DEVICE_GRANT, "device_code": started["device_code"], "client_id": CLI.client_id}
    while time.monotonic() < until:
        time.sleep(interval)
        status, answer = _post(endpoint, fields)
        if status == 200:
            return answer
        match answer.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                interval += 5
            case "access_denied":
                raise LoginError("the answer was no")
            case _:
                break
    raise LoginError("nobody answered in time; run `penguinmails login` again")


def sign_out(server: str | None) -> str | None:
    """Ends it on the server and here; the server's URL, None when nobody was signed in."""
    with _locked():
        login = find(server)
        if login is None:
            return None
        logins = load()
        del logins[login.server]
        save(logins)
    with contextlib.suppress(LoginError):  # a server that is away forgets by itself, later
        _post(login.revocation_endpoint, {"token": login.refresh_token, "client_id": CLI.client_id})
    return login.server


def _keep(server: str, token_endpoint: str, revocation_endpoint: str, answer: dict[str, Any]) -> Login:
    login = Login(
        server,
        token_endpoint,
        revocation_endpoint,
        answer["access_token"],
        answer["refresh_token"],
        time.time() + int(answer["expires_in"]),
        answer["scope"],
    )
    logins = load()
    logins.pop(server, None)
    save({**logins, server: login})
    return login


def _get(url: str) -> dict[str, Any]:
    status, answer = _send(urllib.request.Request(_checked(url)))  # noqa: S310
    if status != 200 or "device_authorization_endpoint" not in answer:
        raise LoginError(f"{url} does not answer as a PenguinMails server does")
    return answer


def _post(url: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(_checked(url), urlencode(fields).encode())  # noqa: S310
    return _send(request)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoginError(f"{url} is no URL of a server")
    return url


def _send(request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310  (checked above)
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            try:
                answer = json.loads(error.read())
            except ValueError:
                answer = {}
            return error.code, answer if isinstance(answer, dict) else {}
    except (OSError, ValueError) as error:
        raise LoginError(f"cannot reach {request.full_url}: {error}") from None
