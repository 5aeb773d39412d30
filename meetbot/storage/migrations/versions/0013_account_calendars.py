"""Which calendars an account has, which of them are read, and what a check of it found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ROLES = "access_role in ('owner','writer','reader','free_busy_reader')"
_MODES = "calendars_mode in ('primary','owned','selected')"
_DEFAULTS = "calendars_mode in ('primary','owned')"


def upgrade() -> None:
    """Add the table, and the mode of tenant and calendar user."""
    op.create_table(
        "account_calendar",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("tenant_id", "calendar_user_id", "calendar_id")),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("owned", sa.Boolean(), nullable=False),
        sa.Column("access_role", sa.String(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)
            for name in ("named", "is_read")
        ),
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("refused_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_ROLES, name=op.f("ck_account_calendar_access_role")),
        sa.PrimaryKeyConstraint("tenant_id", "calendar_user_id", "calendar_id", name=op.f("pk_account_calendar")),
    )
    op.add_column("calendar_user", sa.Column("calendars_mode", sa.String(), nullable=True))
    op.add_column("calendar_user", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("calendar_user", sa.Column("provider_check", sa.String(), nullable=True))
    op.add_column("calendar_user", sa.Column("backend_check", sa.String(), nullable=True))
    op.create_check_constraint(op.f("ck_calendar_user_calendars_mode"), "calendar_user", _MODES)
    op.add_column("tenant", sa.Column("calendars_mode", sa.String(), server_default=sa.text("'owned'"), nullable=False))
    op.create_check_constraint(op.f("ck_tenant_calendars_mode"), "tenant", _DEFAULTS)


def downgrade() -> None:
    """Remove them."""
    op.drop_constraint(op.f("ck_tenant_calendars_mode"), "tenant", type_="check")
    op.drop_column("tenant", "calendars_mode")
    op.drop_constraint(op.f("ck_calendar_user_calendars_mode"), "calendar_user", type_="check")
    for column in ("backend_check", "provider_check", "checked_at", "calendars_mode"):
        op.drop_column("calendar_user", column)
    op.drop_table("account_calendar")
