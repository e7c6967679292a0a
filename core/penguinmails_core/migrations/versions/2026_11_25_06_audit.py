"""Audit log and request log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_audit"
down_revision = "core_limits"
branch_labels = None
depends_on = None


# As for events: only the owner may create partitions, and a lock on the parent is soon given up.
_ENSURE_PARTITIONS = """
create or replace function ensure_request_log_partitions(days integer) returns integer
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  first date;
  name text;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(7275446122);
  for shift in -1 .. days loop
    first := (now() at time zone 'UTC')::date + shift;
    name := 'request_logs_' || to_char(first, 'YYYYMMDD');
    continue when to_regclass(name) is not null;
    begin
      execute format(
        'create table %I partition of request_logs for values from (%L) to (%L)',
        name, first::text || ' 00:00+00', (first + 1)::text || ' 00:00+00');
    exception when check_violation then
      raise warning 'requests of % are kept in request_logs_default: they came before their partition', first;
      continue;
    end;
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    made := made + 1;
  end loop;
  return made;
end $$
"""

_DROP_PARTITIONS = """
create or replace function drop_request_log_partitions(keep interval) returns integer
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  partition record;
  dropped integer := 0;
begin
  perform pg_advisory_xact_lock(7275446122);
  for partition in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'request_logs'::regclass and c.relname ~ '^request_logs_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 < (now() at time zone 'UTC') - keep
  loop
    execute format('drop table %I', partition.relname);
    dropped := dropped + 1;
  end loop;
  return dropped;
end $$
"""


def upgrade() -> None:
    _audit_log()
    _request_log()


def _audit_log() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=True),
        sa.Column("actor_user_id", sa.UUID(), nullable=True),
        sa.Column("actor_label", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.UUID(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.Column("request_id", sa.UUID(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "actor_kind in ('user', 'api_key', 'oauth_app', 'system', 'operator')",
            name=op.f("ck_audit_logs_actor_kind"),
        ),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_audit_logs_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_audit_logs")),
        sa.UniqueConstraint("organization_id", "sequence", name=op.f("uq_audit_logs_organization_id_sequence")),
    )
    op.create_index("ix_audit_logs_resource", "audit_logs", ["organization_id", "resource_id", "id"])
    op.create_table(
        "audit_heads",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hash", sa.LargeBinary(), server_default=sa.text(r"'\x'::bytea"), nullable=False),
        sa.Column("anchor_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary(), server_default=sa.text(r"'\x'::bytea"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_audit_heads")),
    )


def _request_log() -> None:
    op.create_table(
        "request_logs",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("duration_us", sa.Integer(), nullable=False),
        sa.Column("credential_kind", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("app_id", sa.UUID(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.CheckConstraint("mode in ('live', 'test')", name=op.f("ck_request_logs_mode")),
        sa.PrimaryKeyConstraint("organization_id", "id", "at", name=op.f("pk_request_logs")),
        postgresql_partition_by="RANGE (at)",
    )
    op.execute("create table request_logs_default partition of request_logs default")
    op.execute("alter table request_logs_default enable row level security")
    op.execute("alter table request_logs_default force row level security")
    op.execute(_ENSURE_PARTITIONS)
    op.execute(_DROP_PARTITIONS)


def downgrade() -> None:
    op.execute("drop function ensure_request_log_partitions, drop_request_log_partitions")
    op.drop_table("request_logs")
    op.drop_table("audit_heads")
    op.drop_table("audit_logs")
