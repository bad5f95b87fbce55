"""Keep what each extract read of the ERP, and whether it was asked to read everything."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns to the extracts."""
    op.add_column("extracts", sa.Column("full_reading", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("extracts", sa.Column("reads", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Remove both again."""
    op.drop_column("extracts", "reads")
    op.drop_column("extracts", "full_reading")
