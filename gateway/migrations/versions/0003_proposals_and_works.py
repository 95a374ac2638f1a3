"""What an event says of a campaign or a proposal has its own sequence; works have a table.

A column belongs to the newest event that says it: a title may come late, after a status that is
newer, and each is kept.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE campaigns
            ALTER phase SET DEFAULT 'preparation',
            ALTER sequence SET DEFAULT 0,
            ADD COLUMN title_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN budget_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN calendar_sequence bigint NOT NULL DEFAULT 0;
        -- Until now each was said once, by an aggregate's first event.
        UPDATE campaigns SET title_sequence = 1, budget_sequence = 1, calendar_sequence = 1
            WHERE title IS NOT NULL;

        ALTER TABLE map_proposals
            ALTER cost DROP NOT NULL,
            ALTER status SET DEFAULT 'submitted',
            ALTER sequence SET DEFAULT 0,
            DROP COLUMN cell,
            ADD COLUMN envelope uuid,
            ADD COLUMN visible boolean NOT NULL DEFAULT true,
            ADD COLUMN comments int NOT NULL DEFAULT 0,
            ADD COLUMN cost_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN content_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN visible_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN comments_sequence bigint NOT NULL DEFAULT 0;
        UPDATE map_proposals SET cost_sequence = sequence,
            content_sequence = CASE WHEN title IS NULL THEN 0 ELSE 1 END;
        -- What is not seen is on no map and in no tile.
        ALTER TABLE map_proposals ADD COLUMN cell bigint GENERATED ALWAYS AS (
            CASE WHEN visible THEN interleave(world_x(ST_PointOnSurface(geom)),
                world_y(ST_PointOnSurface(geom))) END) STORED;
        CREATE INDEX map_proposals_cell ON map_proposals (cell) WHERE cell IS NOT NULL;

        CREATE TABLE map_works (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            proposal uuid NOT NULL UNIQUE,
            proposal_ref text NOT NULL,
            campaign uuid NOT NULL,
            commune text NOT NULL,
            envelope uuid,
            title text,
            theme text,
            geom geometry(Geometry, 4326),
            voted_cost bigint,
            opened_at timestamptz,
            status text NOT NULL DEFAULT 'planned',
            progress int NOT NULL DEFAULT 0,
            ends_on date,
            delayed boolean NOT NULL DEFAULT false,
            completed_at timestamptz,
            committed bigint NOT NULL DEFAULT 0,
            invoiced bigint NOT NULL DEFAULT 0,
            paid bigint NOT NULL DEFAULT 0,
            confirmed int NOT NULL DEFAULT 0,
            disputed int NOT NULL DEFAULT 0,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL DEFAULT 0,
            completed_sequence bigint NOT NULL DEFAULT 0,
            money_sequence bigint NOT NULL DEFAULT 0,
            check_sequence bigint NOT NULL DEFAULT 0
        );
        CREATE INDEX map_works_commune ON map_works (commune);
        CREATE INDEX map_works_campaign ON map_works (campaign);
    """)
