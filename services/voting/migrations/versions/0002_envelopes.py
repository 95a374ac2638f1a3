"""The parts of a budget: each counted for itself."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE elections ADD COLUMN envelopes jsonb NOT NULL DEFAULT '[]';
        ALTER TABLE projects ADD COLUMN envelope uuid;
    """)
