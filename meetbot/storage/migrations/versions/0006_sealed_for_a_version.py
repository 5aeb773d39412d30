"""Note the version a refresh token was sealed for, and drop the meeting passcodes.

A guest's link holds what a guest needs. No passcode beside it was ever used, and each stood in clear in every dump.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the sealed version and drop the passcode."""
    op.add_column(
        "calendar_user", sa.Column("sealed_version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.drop_column("calendar_event", "passcode")
