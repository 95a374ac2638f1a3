"""Works that the mairie calls finished: the reports that led to one may be closed."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # completed_at is null for a work that was taken up again.
    op.execute("""
        CREATE TABLE finished_works (
            work_id uuid PRIMARY KEY,
            ref text NOT NULL,
            proposal_id uuid NOT NULL,
            proposal_ref text NOT NULL,
            commune text NOT NULL,
            completed_at timestamptz,
            sequence bigint NOT NULL
        );
        CREATE INDEX ON finished_works (commune, completed_at DESC)
            WHERE completed_at IS NOT NULL;
    """)
