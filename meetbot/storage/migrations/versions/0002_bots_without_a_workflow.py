"""Bots without a workflow: the worker's recovery sees live bots of all tenants"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LIVE = "state in ('scheduled','dispatching','dispatched','joining','in_call','recording','finalizing')"


def upgrade() -> None:
    op.create_index("ix_bot_live_dispatch_at", "bot", ["dispatch_at"], unique=False, postgresql_where=sa.text(_LIVE))
    op.execute(f"create policy relay on bot for select using (current_setting('app.relay', true) = 'on' and {_LIVE})")


def downgrade() -> None:
    op.execute("drop policy relay on bot")
    op.drop_index("ix_bot_live_dispatch_at", table_name="bot")
