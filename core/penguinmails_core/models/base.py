"""The declarative base, column types and the register entry that every table carries.

`Table` facts live beside the columns because row-level security, export and erasure are generated from them
(`penguinmails_core.register`); a model without them does not import.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from sqlalchemy import DateTime, MetaData, func, types
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the register knows of a table.

    tenancy   `tenant`: rows belong to one organization (`organization_id`); `organization`: the row is the organization
              (`id`); `shared`: rows are reached through a membership; `reference`: the same for everybody, read by
              all, or by those whom `policy` lets; `system`: no tenant data, closed to `app`.
    personal  columns that hold personal data: exported and erased with the person.
    retention how long rows stay, in words an operator can check.
    partition key, interval and drop rule, for tables that grow without bound.
    seeded    boolean column that marks rows which migrations bring.
    app, ingest  grants of the two bound roles, for example ``"select, insert"`` or ``"update (hits)"``.
    worker    grants of the system's role; less than all for what not even the system may rewrite.
    """

    tenancy: Literal["tenant", "organization", "shared", "reference", "system"]
    retention: str
    personal: tuple[str, ...] = ()
    partition: str = ""
    app: tuple[str, ...] = ("select", "insert", "update", "delete")
    ingest: tuple[str, ...] = ()
    worker: tuple[str, ...] = ("all",)
    policy: str = ""
    seeded: str = ""


class XID8(types.UserDefinedType[int]):
    """A 64-bit transaction id; the default is the id of the inserting transaction."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class PgSnapshot(types.UserDefinedType[str]):
    """`pg_snapshot`: which transactions were visible at a moment."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    facts: ClassVar[TableFacts]
    type_annotation_map: ClassVar[Mapping[Any, Any]] = {
        uuid.UUID: UUID(as_uuid=True),
        datetime: DateTime(timezone=True),
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__tablename__" in cls.__dict__ and not isinstance(getattr(cls, "facts", None), TableFacts):
            raise TypeError(f"{cls.__name__} needs `facts = TableFacts(...)`: see models/base.py")


class TenantKey:
    """Primary key (organization_id, id): isolation first, and ready for sharding by organization."""

    organization_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, sort_order=-20)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, sort_order=-19)


class Timestamps:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now(), sort_order=91)


__all__ = ["XID8", "Base", "PgSnapshot", "TableFacts", "TenantKey", "Timestamps"]
