"""Keep how good each snapshot's data was, and find a profile's newest snapshot by an index."""

import sqlalchemy as sa
from alembic import op

from shared.database.tables import UtcDateTime

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of data quality and both indexes."""
    op.create_table(
        "data_quality",
        sa.Column("snapshot_id", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=200), nullable=False),
        sa.Column("data_as_of", UtcDateTime(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("schema_version", sa.String(length=64), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id"),
    )
    op.create_index("ix_data_quality_profile_data_as_of", "data_quality", ["profile", "data_as_of"], unique=False)
    op.create_index("ix_snapshots_profile_data_as_of", "snapshots", ["profile", "data_as_of"], unique=False)


def downgrade() -> None:
    """Remove both again."""
    op.drop_index("ix_snapshots_profile_data_as_of", table_name="snapshots")
    op.drop_table("data_quality")
