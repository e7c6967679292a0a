"""Writing a domain's records into its zone: at whom, and what would change."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from penguinmails_api.v1.common import RequestBody, Resource
from penguinmails_core.domains.applying import Applied
from penguinmails_core.domains.changes import Action, Change

NAME_PATTERN = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$"
Name = Annotated[str, Field(max_length=253, pattern=NAME_PATTERN)]


class CloudflareZone(RequestBody):
    """A zone at Cloudflare."""

    zone_id: str = Field(
        max_length=32,
        pattern=r"^[0-9a-f]{32}$",
        description="Of the zone's overview.",
        examples=["023e105f4ecef8ad9ca31a8372d0c353"],
    )
    api_token: SecretStr = Field(
        min_length=1,
        max_length=200,
        description="May edit the zone's DNS. It is used for this request and not kept.",
        examples=["your-api-token"],
    )


class TsigAlgorithm(StrEnum):
    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA384 = "hmac-sha384"
    HMAC_SHA512 = "hmac-sha512"


class Rfc2136Zone(RequestBody):
    """A zone at a name server that takes dynamic updates (RFC 2136), signed with TSIG (RFC 8945)."""

    server: str = Field(max_length=253, description="Its name or address.", examples=["ns1.acme.example"])
    port: int = Field(53, strict=True, ge=1, le=65535, description="Others than 53 only where the operator allows it.")
    zone: Name = Field(description="The zone that holds the domain.", examples=["acme.example"])
    key_name: Name = Field(description="Of the TSIG key.", examples=["penguinmails"])
    key_algorithm: TsigAlgorithm = TsigAlgorithm.HMAC_SHA256
    key_secret: SecretStr = Field(
        min_length=1,
        max_length=500,
        description="In base64. It is used for this request and not kept.",
        examples=["c2VjcmV0LXNlY3JldC1zZWNyZXQ="],
    )


class DnsRecordsApply(RequestBody):
    """Where the zone is: exactly one of `cloudflare` and `rfc2136`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rfc2136": {
                        "server": "ns1.acme.example",
                        "zone": "acme.example",
                        "key_name": "penguinmails",
                        "key_secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
                    }
                }
            ]
        }
    )

    cloudflare: CloudflareZone | None = None
    rfc2136: Rfc2136Zone | None = None
    plan: str | None = Field(
        None,
        max_length=32,
        pattern=r"^[0-9a-f]{32}$",
        description="Of the changes that you have seen; left out, they are shown and nothing is changed.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cloudflare is None) == (self.rfc2136 is None):
            raise ValueError("give exactly one of `cloudflare` and `rfc2136`")
        return self


class DnsChange(Resource):
    """One record that differs."""

    action: Action = Field(description="`conflict`: only you can decide; it is left alone.")
    type: str = Field(examples=["TXT"])
    name: str
    value: str = Field(description="What is published then.")
    replaces: str | None = Field(description="What is there now and would be replaced.")
    detail: str | None = Field(description="What is wrong with what is there.")

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls(
            action=change.action,
            type=change.type,
            name=change.name,
            value=change.value,
            replaces=change.old,
            detail=change.detail,
        )


class DnsChanges(Resource):
    """What differs between a zone and what it should hold."""

    plan: str = Field(description="Names these changes: send it to make them.")
    applied: bool = Field(description="Whether they were made just now; true also when there was nothing to do.")
    changes: list[DnsChange]

    @classmethod
    def of(cls, applied: Applied) -> Self:
        return cls(
            plan=applied.plan, applied=applied.done, changes=[DnsChange.of(change) for change in applied.changes]
        )
