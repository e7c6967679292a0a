"""All routers of pages for people."""

from __future__ import annotations

from fastapi import APIRouter

from penguinmails_api.reference.assets import router as assets
from penguinmails_api.reference.graphql import router as graphql
from penguinmails_api.reference.guides import router as guides
from penguinmails_api.reference.operations import router as operations
from penguinmails_api.reference.problems import router as problems

ROUTERS: tuple[APIRouter, ...] = (operations, graphql, guides, problems, assets)
