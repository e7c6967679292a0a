"""The search over deliveries, as the API takes and shows it."""

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Moment, Page, QueryParameters, Resource, typeid
from penguinmails_api.v1.events.schemas import EventTypes
from penguinmails_api.v1.paging import PageQuery
from penguinmails_api.v1.webhook_endpoints.schemas import WebhookAttempt, WebhookDeliveryStatus, WebhookDeliverySummary
from penguinmails_core import models
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import cursors, ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.webhook_deliveries.repository import Filter

_ID = 50


class WebhookDeliveryFilter(QueryParameters):
    """All that is given must hold."""

    status: list[WebhookDeliveryStatus] = Field([], max_length=4, description="In this status; may be repeated.")
    endpoint_id: Annotated[str, typeid(Prefix.WEBHOOK_ENDPOINT)] | None = Field(
        None, max_length=_ID, description="To this endpoint."
    )
    event_id: Annotated[str, typeid(Prefix.EVENT)] | None = Field(None, max_length=_ID, description="Of this event.")
    email_id: Annotated[str, typeid(Prefix.EMAIL)] | None = Field(
        None, max_length=_ID, description="Of events about this email, for any of its recipients."
    )
    types: EventTypes = Field(
        [], max_length=50, description="Of events of this type; may be repeated. `email.*` stands for a whole family."
    )
    status_code: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        [], max_length=20, description="Whose last answer had this status; may be repeated.", examples=[[503]]
    )
    error: list[Annotated[str, Field(pattern="^[a-z_]+$", max_length=40)]] = Field(
        [],
        max_length=20,
        description="Whose last attempt failed for this reason: the word before the colon of `last_error`.",
        examples=[["timeout"]],
    )
    since: Moment | None = Field(None, description="Owed since then.")
    until: Moment | None = Field(None, description="Owed up to then.")

    def to_filter(self) -> Filter:
        """Raises `Unprocessable` for what is no id."""
        return Filter(
            statuses=[str(status) for status in self.status],
            endpoint_id=_uuid(Prefix.WEBHOOK_ENDPOINT, "endpoint_id", self.endpoint_id),
            event_id=_uuid(Prefix.EVENT, "event_id", self.event_id),
            email_id=_uuid(Prefix.EMAIL, "email_id", self.email_id),
            types=self.types,
            status_codes=self.status_code,
            errors=self.error,
            since=self.since,
            until=self.until,
        )


class WebhookDeliverySearch(WebhookDeliveryFilter, PageQuery):
    pass


class WebhookDeliverySearchList(Page[WebhookDeliverySummary]):
    """Deliveries to all endpoints, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.WebhookDelivery], has_more: bool, *, backwards: bool) -> Self:
        edge = (rows[0] if backwards else rows[-1]) if rows and has_more else None
        return cls(
            data=[WebhookDeliverySummary.of(row) for row in rows],
            has_more=has_more,
            next_cursor=cursors.encode_id(edge.id) if edge else None,
        )


class WebhookAttempts(Resource):
    """Every attempt of one delivery."""

    data: list[WebhookAttempt] = Field(description="The first one first.")


def _uuid(prefix: str, name: str, value: str | None) -> UUID | None:
    if value is None:
        return None
    try:
        return ids.decode(prefix, value)
    except ids.IdError as error:
        detail = f"`{name}`: {error}."
        raise Unprocessable(detail, errors=[FieldError(name, "invalid_id", detail)]) from None
