"""REST API version 2, beside version 1 and over the same services: so far emails, with recipients as objects."""

from __future__ import annotations

from fastapi import APIRouter

from penguinmails_api.v2.emails.endpoints import router as emails
from penguinmails_api.v2.emails.send import hot_routes

ROUTERS: tuple[APIRouter, ...] = (emails,)

__all__ = ["ROUTERS", "hot_routes"]
