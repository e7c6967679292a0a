"""Which organization a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import typer

if TYPE_CHECKING:
    from penguinmails_core.kit.db import Database


async def choose_organization(database: Database, text: str) -> UUID:
    """The organization named by `text` (org_...), or the only one there is. Raises `typer.BadParameter` otherwise."""
    from penguinmails_core.kit import ids
    from penguinmails_core.organizations.service import list_organizations

    organizations = await list_organizations(database)
    if text:
        try:
            wanted = ids.decode("org", text)
        except ids.IdError as error:
            raise typer.BadParameter(str(error), param_hint="--organization") from None
        organizations = [found for found in organizations if found[0] == wanted]
    if not organizations:
        raise typer.BadParameter("there is no such organization", param_hint="--organization")
    if len(organizations) > 1:
        lines = "\n".join(f"  {ids.encode('org', found)}  {title}" for found, title in organizations)
        raise typer.BadParameter(f"there are several; name one of\n{lines}", param_hint="--organization")
    return organizations[0][0]
