"""How these endpoints look in the specification: forms in, JSON out, errors in the words of RFC 6749."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from penguinmails_api.oauth2.forms import MAX_VALUE
from penguinmails_api.routing import public

_CLIENT = {
    "client_id": "Id of the app, unless it is in HTTP Basic.",
    "client_secret": "Secret of the app, unless it is in HTTP Basic.",
}


class OAuthErrorBody(BaseModel):
    """RFC 6749 §5.2."""

    error: str = Field(description="A code of the RFC that speaks about this endpoint.", examples=["invalid_grant"])
    error_description: str = Field(
        description="One sentence for developers.", examples=["The code_verifier does not match the code_challenge."]
    )


class TokenAnswer(BaseModel):
    """RFC 6749 §5.1. Members that do not apply are left out."""

    access_token: str = Field(description="A JWT (RFC 9068). Treat it as opaque.", examples=["eyJhbGciOiJFUzI1NiIs..."])
    token_type: str = Field(description="How to send it: `Bearer`, or `DPoP`.", examples=["Bearer"])
    expires_in: int = Field(description="Seconds.", examples=[600])
    scope: str = Field(description="What it may do, which can be less than was asked for.", examples=["emails:read"])
    refresh_token: str | None = Field(None, description="Good once.", examples=["pmrt_3bWfQxLZ0yVnK2sTg7Jc"])
    id_token: str | None = Field(None, description="With the scope `openid`: who the person is (OpenID Connect).")


class DeviceAnswer(BaseModel):
    """RFC 8628 §3.2."""

    device_code: str = Field(examples=["pmdc_3bWfQxLZ0yVnK2sTg7Jc"])
    user_code: str = Field(description="To be typed by the person.", examples=["BCDF-GHJK"])
    verification_uri: str = Field(description="Where to type it.", examples=["https://mail.example.com/device"])
    verification_uri_complete: str = Field(
        description="The same with the code in it.", examples=["https://mail.example.com/device?user_code=BCDF-GHJK"]
    )
    expires_in: int = Field(description="Seconds.", examples=[600])
    interval: int = Field(description="Seconds to wait between two polls.", examples=[5])


class PushedAnswer(BaseModel):
    """RFC 9126 §2.2."""

    request_uri: str = Field(description="For the authorization endpoint, once.")
    expires_in: int = Field(description="Seconds.", examples=[60])


class IntrospectionAnswer(BaseModel):
    """RFC 7662 §2.2. A token that is unknown, ended, or not the asker's business is only inactive."""

    model_config = ConfigDict(extra="allow")

    active: bool
    client_id: str | None = Field(None, description="The app.", examples=["app_01kaz6yzwhe1xrqm3c8s4q3m8r"])
    scope: str | None = Field(None, examples=["emails:read"])
    sub: str | None = Field(None, description="The person, or the app when it acts alone.")
    aud: list[str] | None = Field(None, description="Resources it is for.")
    exp: int | None = Field(None, description="Unix time.")
    iat: int | None = Field(None, description="Unix time.")


class RegistrationAnswer(BaseModel):
    """RFC 7591 §3.2.1: the metadata as they were registered. Others of the RFC may be there too."""

    model_config = ConfigDict(extra="allow")

    client_id: str = Field(examples=["app_01kaz6yzwhe1xrqm3c8s4q3m8r"])
    client_secret: str | None = Field(None, description="Shown this once; public apps have none.")
    client_id_issued_at: int = Field(description="Unix time.")
    client_secret_expires_at: int | None = Field(None, description="0: it does not expire.")
    registration_access_token: str | None = Field(None, description="To manage the registration; shown this once.")
    registration_client_uri: str = Field(description="Where it is managed (RFC 7592).")
    client_name: str = Field(examples=["Inbox helper"])
    redirect_uris: list[str] = Field(examples=[["https://app.example/callback"]])
    grant_types: list[str] = Field(examples=[["authorization_code", "refresh_token"]])
    response_types: list[str] = Field(examples=[["code"]])
    token_endpoint_auth_method: str = Field(examples=["none"])
    scope: str = Field(description="What it can ask for without approval.", examples=["emails:read"])


class UserInfo(BaseModel):
    """OpenID Connect Core §5.3."""

    sub: str = Field(description="Id of the person.", examples=["usr_01kaz6yzwhe1xrqm3c8s4q3m8r"])
    email: str | None = Field(None, description="With the scope `email`.", examples=["ada@example.com"])
    email_verified: bool | None = Field(None, description="With the scope `email`.")
    name: str | None = Field(None, description="With the scope `profile`.", examples=["Ada Lovelace"])


def endpoint(
    name: str,
    fields: Mapping[str, str] | None = None,
    *,
    required: tuple[str, ...] = (),
    client: bool = True,
    errors: tuple[int, ...] = (400, 401),
    answers_nothing: bool = False,
) -> dict[str, Any]:
    """Keyword arguments for a route. `fields` are those of the form, without the client's."""
    made = public(f"oauth2_{name}", errors=(503,))
    if fields is not None:
        everything = (_CLIENT if client else {}) | dict(fields)
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                key: {"type": "string", "maxLength": MAX_VALUE, "description": text} for key, text in everything.items()
            },
        }
        if required:
            schema["required"] = list(required)
        made["openapi_extra"]["requestBody"] = {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": schema}},
        }
    made["responses"] = {status: {"model": OAuthErrorBody, "description": _SAYS[status]} for status in errors}
    if 429 in errors:
        made["responses"][429]["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    if answers_nothing:
        content = {"schema": {"type": "object", "maxProperties": 0}, "example": {}}
        made["responses"][200] = {"description": "Done.", "content": {"application/json": content}}
    made["response_model_exclude_none"] = True
    return made


_SAYS = {
    400: "The request was refused.",
    401: "The client or the token was not accepted.",
    403: "The token lacks a scope.",
    429: "Too many from this address.",
}


ClientIdInPath = Annotated[str, Path(description="Id of the app.", json_schema_extra={"maxLength": 100})]
_METADATA: dict[str, Any] = {
    "type": "object",
    "description": "Client metadata (RFC 7591 §2). Others are ignored, and null is as left out.",
    "properties": {
        "client_name": {"type": ["string", "null"], "maxLength": 100},
        "redirect_uris": {"type": ["array", "null"], "maxItems": 20, "items": {"type": "string", "maxLength": 2000}},
        "grant_types": {"type": ["array", "null"], "maxItems": 20, "items": {"type": "string", "maxLength": 200}},
        "token_endpoint_auth_method": {"type": ["string", "null"], "maxLength": 200},
        "scope": {"type": ["string", "null"], "maxLength": 4096},
        "client_uri": {"type": ["string", "null"], "maxLength": 2000},
    },
    "additionalProperties": True,
}
_METADATA_EXAMPLE = {
    "client_name": "Inbox helper",
    "redirect_uris": ["https://app.example/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
    "scope": "emails:read",
}


def registration(name: str, *, body: bool = False, errors: tuple[int, ...]) -> dict[str, Any]:
    """As `endpoint`, for what takes JSON."""
    made = endpoint(name, errors=errors)
    if body:
        content = {"schema": _METADATA, "example": _METADATA_EXAMPLE}
        made["openapi_extra"]["requestBody"] = {"required": True, "content": {"application/json": content}}
    return made
