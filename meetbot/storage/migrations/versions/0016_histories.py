"""What answers "why was this meeting not recorded": the histories of bots and events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_NOTHING = sa.text("'{}'::jsonb")


def upgrade() -> None:
    """Add the tables."""
    _add_bot_transition()
    _add_event_history()
    op.add_column("rule_set", sa.Column("withdrawn_at", _INSTANT, nullable=True))
    _add_sync_run()
    _add_webhook_attempt()
    _add_api_request()
    op.create_index("ix_calendar_event_start", "calendar_event", ["tenant_id", "start_at", "id"])


def _add_bot_transition() -> None:
    op.add_column("bot", sa.Column("transitions", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "bot_transition",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("bot_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("backend_code", sa.String(), nullable=True),
        sa.Column("dispatch_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "bot_id", "number", name=op.f("pk_bot_transition")),
    )


def _add_event_history() -> None:
    op.create_table(
        "event_history",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("calendar_user_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("changes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("before", postgresql.JSONB(), server_default=_NOTHING, nullable=False),
        sa.Column("after", postgresql.JSONB(), server_default=_NOTHING, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", "at", "step", name=op.f("pk_event_history")),
    )
    op.create_index("ix_event_history_user", "event_history", ["tenant_id", "calendar_user_id", "at"])


def _add_sync_run() -> None:
    for name in ("quiet_from", "quiet_to"):
        op.add_column("calendar_user", sa.Column(name, _INSTANT, nullable=True))
    for name in ("quiet_runs", "quiet_milliseconds"):
        op.add_column("calendar_user", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "sync_run",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("calendar_user_id", sa.String(), nullable=False),
        sa.Column("slot", _INSTANT, nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("last_at", _INSTANT, nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=True),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "calendar_user_id", "slot", "result", name=op.f("pk_sync_run")),
    )


def _add_webhook_attempt() -> None:
    op.create_table(
        "webhook_attempt",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("next_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", "number", name=op.f("pk_webhook_attempt")),
    )


def _add_api_request() -> None:
    op.create_table(
        "api_request",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "at", "request_id", name=op.f("pk_api_request")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("api_request")
    op.drop_index("ix_calendar_event_start", table_name="calendar_event")
    op.drop_table("webhook_attempt")
    op.drop_table("sync_run")
    for name in ("quiet_milliseconds", "quiet_runs", "quiet_to", "quiet_from"):
        op.drop_column("calendar_user", name)
    op.drop_column("rule_set", "withdrawn_at")
    op.drop_table("event_history")
    op.drop_table("bot_transition")
    op.drop_column("bot", "transitions")
