"""Sending lanes: what they may do, what they did, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core_lanes"
down_revision = "core_bounce_intake"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _queues("lane", "organization_id", "due_at")
    _what_is_known()
    _what_was_done()


def downgrade() -> None:
    for table in (
        "warmups",
        "sender_workers",
        "sending_pauses",
        "lane_evidence",
        "lane_decisions",
        "lane_days",
        "lanes",
        "recipient_domains",
        "lane_members",
    ):
        op.drop_table(table)
    _queues("lane", "due_at")


def _queues(*columns: str) -> None:
    op.drop_index("ix_email_recipients_due", table_name="email_recipients")
    op.create_index(
        "ix_email_recipients_due",
        "email_recipients",
        list(columns),
        postgresql_where=sa.text("due_at is not null"),
    )


def _what_is_known() -> None:
    op.create_table(
        "lane_members",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("lane_id", sa.UUID(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "lane_id", name=op.f("pk_lane_members")),
    )
    op.create_table(
        "recipient_domains",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("provider_group", sa.Text(), nullable=False),
        sa.Column("mx_host", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("recheck_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_recipient_domains")),
    )
    op.create_index("ix_recipient_domains_recheck", "recipient_domains", ["recheck_at"])
    op.create_index("ix_recipient_domains_updated", "recipient_domains", ["updated_at"])
    op.create_table(
        "lanes",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("provider_group", sa.Text(), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_rule", sa.Text(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("factor", sa.Double(), server_default="1", nullable=False),
        sa.Column("connections", sa.SmallInteger(), nullable=True),
        sa.Column("crawl_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("crawl_per_second", sa.Double(), nullable=True),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tokens", sa.Double(), server_default="0", nullable=False),
        sa.Column("tokens_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("sent_today", sa.Integer(), server_default="0", nullable=False),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("cap_reason", sa.Text(), nullable=True),
        sa.Column("hits", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.UniqueConstraint("source", "provider_group", name=op.f("uq_lanes_source_provider_group")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lanes")),
    )
    op.create_index("ix_lanes_updated", "lanes", ["updated_at"])
    op.create_table(
        "lane_days",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("lane_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deferred", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bounced", sa.Integer(), server_default="0", nullable=False),
        sa.Column("blocked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("complained", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "lane_id", "day", name=op.f("pk_lane_days")),
    )
    op.create_index("ix_lane_days_lane", "lane_days", ["lane_id", "day"])


def _what_was_done() -> None:
    op.create_table(
        "lane_decisions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("lane_id", sa.UUID(), nullable=False),
        sa.Column("organization_id", sa.UUID(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("replies", sa.Integer(), server_default="0", nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("after", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lane_decisions")),
    )
    op.create_index("ix_lane_decisions_lane", "lane_decisions", ["lane_id", "id"])
    op.create_table(
        "lane_evidence",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("decision_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("from_domain", sa.Text(), nullable=False),
        sa.Column("recipient_domain", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("enhanced_code", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_lane_evidence")),
    )
    op.create_index("ix_lane_evidence_decision", "lane_evidence", ["organization_id", "decision_id"])
    op.create_table(
        "sending_pauses",
        sa.Column("organization_id", sa.UUID(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "domain", name=op.f("pk_sending_pauses")),
    )
    op.create_table(
        "sender_workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sender_workers")),
    )
    op.create_table(
        "warmups",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), server_default="", nullable=False),
        sa.Column("provider_group", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="growing", nullable=False),
        sa.Column("step", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("cap", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("good_days", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("bad_days", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('growing', 'held', 'stopped', 'done')", name=op.f("ck_warmups_state")),
        sa.UniqueConstraint("source", "domain", "provider_group", name=op.f("uq_warmups_source_domain_provider_group")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warmups")),
    )
