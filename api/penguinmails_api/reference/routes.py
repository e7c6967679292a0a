"""All routers of pages for people."""

from __future__ import annotations

from fastapi import APIRouter

from penguinmails_api.reference.problems import router as problems

ROUTERS: tuple[APIRouter, ...] = (problems,)
