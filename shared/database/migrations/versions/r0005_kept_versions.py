"""Versions that are kept whatever their age."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    pinned: sa.Column[bool] = sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("model_versions", pinned)


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("model_versions") as table:
        table.drop_column("pinned")
