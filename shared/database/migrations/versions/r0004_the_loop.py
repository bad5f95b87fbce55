"""The loop of quality and training: tested actuals, evidence, scores, job lines, deliveries."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from shared.database.tables import UtcDateTime

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None


def _added() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "quality_cycles": (sa.Column("strata", sa.JSON()), sa.Column("snapshot_id", sa.String(64))),
        "training_jobs": (
            sa.Column("actor", sa.String(128), nullable=False, server_default=sa.text("''")),
            sa.Column("cycle_id", sa.String(64)),
            sa.Column("snapshot_id", sa.String(64)),
            sa.Column("expected_end_at", UtcDateTime()),
        ),
        "model_events": (sa.Column("details", sa.JSON()),),
        "alerts": (
            sa.Column("acknowledged_at", UtcDateTime()),
            sa.Column("closed_at", UtcDateTime()),
            sa.Column("closed_note", sa.String(2000)),
        ),
    }


def upgrade() -> None:
    """Create the tables and add the columns."""
    for table, columns in _added().items():
        for column in columns:
            op.add_column(table, column)
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("alert_id", sa.String(64), nullable=False, index=True),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), index=True),
        sa.Column("error", sa.String()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("delivered_at", UtcDateTime()),
    )
    op.create_table(
        "tested_actuals",
        sa.Column("activation", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("cycle_id", sa.String(64), nullable=False, index=True),
        sa.Column("tested_at", UtcDateTime(), nullable=False, index=True),
    )
    op.create_table(
        "quality_evidence",
        sa.Column("activation", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("stream", sa.String(200), primary_key=True),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("cycle_id", sa.String(64), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "prediction_scores",
        sa.Column("prediction_row", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("prediction_id", sa.String(64), nullable=False, index=True),
        sa.Column("item_code", sa.String(200), nullable=False, index=True),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("cycle_id", sa.String(64), nullable=False, index=True),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("mae_minutes", sa.Float()),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("scored_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "job_lines",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("job_id", sa.String(64), nullable=False, index=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("message", sa.String(1000), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    """Remove all of it again."""
    for table in ("job_lines", "prediction_scores", "quality_evidence", "tested_actuals", "alert_deliveries"):
        op.drop_table(table)
    for table, columns in _added().items():
        for column in columns:
            op.drop_column(table, column.name)
