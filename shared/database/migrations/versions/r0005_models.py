"""Versions that are kept whatever their age, and packages dropped as one archive."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None

FLAGS = (("model_versions", "pinned"), ("registrations", "is_zip"))


def upgrade() -> None:
    """Add the columns."""
    for table, name in FLAGS:
        column: sa.Column[bool] = sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        op.add_column(table, column)


def downgrade() -> None:
    """Drop the columns."""
    for table, name in FLAGS:
        with op.batch_alter_table(table) as changed:
            changed.drop_column(name)
