"""The content tier: blobs, bodies and attachments, in a schema of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "content_tier"
down_revision = None
branch_labels = ("content",)
depends_on = None


# Counted references: what the collector and the orphan checks read. `security_invoker` keeps row-level security on.
_REFERENCES = """
create view content.blob_references with (security_invoker = true) as
select organization_id, sha256, count(*) as refs from (
  select organization_id, text_sha256 as sha256 from content.email_content where text_sha256 is not null
  union all
  select organization_id, html_sha256 from content.email_content where html_sha256 is not null
  union all
  select organization_id, sha256 from content.attachments
) used group by organization_id, sha256
"""

# Rows as the accept statement takes them (`emails/accept_sql.py`).
_TYPES = """
create type content.accept_content as (
  ord int,
  organization_id uuid,
  message_id uuid,
  text_sha256 bytea,
  html_sha256 bytea,
  headers text,
  retain_until timestamptz
);

create type content.accept_blob as (
  ord int,
  organization_id uuid,
  sha256 bytea,
  storage_key uuid,
  store text,
  encoding text,
  size int,
  stored_size int,
  data bytea
);

create type content.accept_attachment as (
  ord int,
  organization_id uuid,
  id uuid,
  message_id uuid,
  position smallint,
  filename text,
  content_type text,
  disposition text,
  content_id text,
  sha256 bytea,
  size int
);
"""


def upgrade() -> None:
    op.execute("create schema if not exists content")
    op.create_table(
        "attachments",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.CheckConstraint("disposition in ('attachment', 'inline')", name=op.f("ck_attachments_disposition")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_attachments")),
        schema="content",
    )
    op.create_index(
        "ix_attachments_message",
        "attachments",
        ["organization_id", "message_id"],
        unique=False,
        schema="content",
    )
    op.create_table(
        "blobs",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("storage_key", sa.UUID(), nullable=False),
        sa.Column("store", sa.Text(), server_default="postgresql", nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("stored_size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("encoding in ('identity', 'zstd')", name=op.f("ck_blobs_encoding")),
        sa.CheckConstraint("store in ('postgresql', 's3')", name=op.f("ck_blobs_store")),
        sa.PrimaryKeyConstraint("organization_id", "sha256", name=op.f("pk_blobs")),
        schema="content",
    )
    op.create_index("ix_blobs_touched_at", "blobs", ["touched_at"], unique=False, schema="content")
    op.create_table(
        "email_content",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("text_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("html_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("retain_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "message_id", name=op.f("pk_email_content")),
        schema="content",
    )
    op.create_index("ix_email_content_retain_until", "email_content", ["retain_until"], unique=False, schema="content")
    # Blobs are compressed already; the server must not try again.
    op.execute("alter table content.blobs alter column data set storage external")
    op.execute(_REFERENCES)
    for statement in _TYPES.split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("drop schema content cascade")
