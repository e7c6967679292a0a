"""Parameters of a request, checked before any rule sees them: what came twice, and who says to be which client."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request

from penguinmails_api.oauth2.errors import OAuthError, invalid_client, invalid_request

MAX_PARAMETERS = 60
MAX_VALUE = 4096
_MAY_REPEAT = frozenset(("resource",))  # RFC 8707 §2


class Parameters:
    """Single values by name. `all("resource")` gives those of the one parameter that may come more than once."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Raises `OAuthError` for a parameter that is repeated (RFC 6749 §3.1, §3.2), too long, or not text."""
        self.lists: dict[str, list[str]] = {}
        for name, value in pairs:
            if "\x00" in value or len(value) > MAX_VALUE:
                raise invalid_request("A parameter is longer than 4096 characters, or not text.")
            if value:  # without a value it counts as left out (§3.1)
                self.lists.setdefault(name, []).append(value)
        for name, values in self.lists.items():
            if len(values) > 1 and name not in _MAY_REPEAT:
                raise invalid_request("A parameter is given more than once.")

    @classmethod
    def of(cls, encoded: bytes) -> Parameters:
        """From a query string or a form."""
        if not encoded:
            return cls(())
        try:
            pairs = parse_qsl(
                encoded.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=True,
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        except ValueError:
            raise invalid_request("The parameters are not application/x-www-form-urlencoded.") from None
        return cls(pairs)

    @classmethod
    def stored(cls, lists: Mapping[str, Sequence[str]]) -> Parameters:
        return cls([(name, value) for name, values in lists.items() for value in values])

    def get(self, name: str) -> str | None:
        values = self.lists.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return self.lists.get(name, [])

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self.lists.items()}


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a request says about its client. `method` is one of RFC 7591's: client_secret_basic, client_secret_post,
    none."""

    client_id: str
    secret: str | None
    method: str


async def read_parameters(request: Request) -> Parameters:
    """Of a POST. Raises `OAuthError` for a body that is no form (RFC 6749 §3.2)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded":
        raise invalid_request("Send the parameters as application/x-www-form-urlencoded.")
    return Parameters.of(body)


def read_client(request: Request, parameters: Parameters) -> ClientCredentials:
    """Raises `OAuthError` for none, two at once (RFC 6749 §2.3), or what cannot be read."""
    authorization = request.headers.getlist("authorization")
    in_form = parameters.get("client_id"), parameters.get("client_secret")
    if parameters.get("client_assertion") is not None:
        raise invalid_client()
    if not authorization:
        if in_form[0] is None:
            raise invalid_client()
        return ClientCredentials(in_form[0], in_form[1], "client_secret_post" if in_form[1] else "none")
    client_id, secret = _basic(authorization)
    if in_form[1] is not None or in_form[0] not in (None, client_id):
        raise invalid_request("The client authenticates in two ways. Use one.")
    return ClientCredentials(client_id, secret, "client_secret_basic")


def _basic(authorization: list[str]) -> tuple[str, str]:
    """Both parts are form-encoded first (RFC 6749 §2.3.1): `+` is a space, and `_` may come as `%5F`."""
    scheme, _, encoded = authorization[0].partition(" ")
    if len(authorization) > 1 or scheme.lower() != "basic":
        raise invalid_client(with_basic=True)
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        pair = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise invalid_client(with_basic=True) from None
    if not colon or not pair[1]:
        raise invalid_client(with_basic=True)
    return pair


__all__ = ["ClientCredentials", "OAuthError", "Parameters", "read_client", "read_parameters"]
