"""Drafts, which may lack a cost and were not submitted yet; the hotspot behind a proposal."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE proposals
            ADD COLUMN hotspot text CHECK (hotspot ~ '^H-[0-9A-Z]{5,8}$'),
            ADD COLUMN created_at timestamptz,
            ALTER COLUMN submitted_at DROP NOT NULL,
            ALTER COLUMN estimated_cost DROP NOT NULL;
        UPDATE proposals SET created_at = submitted_at;
        ALTER TABLE proposals
            ALTER COLUMN created_at SET NOT NULL,
            ALTER COLUMN created_at SET DEFAULT now(),
            DROP CONSTRAINT proposals_status_check,
            ADD CONSTRAINT proposals_status_check
                CHECK (status IN ('draft', 'submitted', 'shortlisted', 'not_feasible',
                                  'funded', 'not_funded')),
            ADD CONSTRAINT proposals_submitted_check
                CHECK ((status = 'draft') = (submitted_at IS NULL)),
            ADD CONSTRAINT proposals_complete_check
                CHECK (status = 'draft' OR (estimated_cost IS NOT NULL AND description <> ''));
    """)
