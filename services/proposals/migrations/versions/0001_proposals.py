"""Campaigns, proposals, reviews, endorsements and the kernel's tables."""

from alembic import op

from services.common.migrate import kernel

revision = "0001"
down_revision = None


def upgrade() -> None:
    kernel(1, "proposals")
    op.execute("""
        CREATE TABLE campaigns (
            id uuid PRIMARY KEY,
            commune text NOT NULL,
            title text NOT NULL,
            budget bigint NOT NULL CHECK (budget > 0),
            phase text NOT NULL CHECK (phase IN ('preparation', 'ideas', 'review', 'revision',
                                                 'vote', 'results', 'works', 'closed')),
            version int NOT NULL,
            created_by uuid NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON campaigns (commune, id);
        CREATE TABLE campaign_phases (
            campaign_id uuid NOT NULL REFERENCES campaigns,
            phase text NOT NULL,
            opens_at timestamptz NOT NULL,
            closes_at timestamptz NOT NULL CHECK (closes_at > opens_at),
            PRIMARY KEY (campaign_id, phase)
        );
        CREATE TABLE envelopes (
            id uuid PRIMARY KEY,
            campaign_id uuid NOT NULL REFERENCES campaigns,
            name text NOT NULL,
            amount bigint NOT NULL CHECK (amount > 0),
            arrondissement text,
            UNIQUE (campaign_id, name)
        );
        CREATE TABLE proposals (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            campaign_id uuid NOT NULL REFERENCES campaigns,
            commune text NOT NULL,
            arrondissement text,
            title text NOT NULL,
            description text NOT NULL,
            theme text,
            estimated_cost bigint NOT NULL CHECK (estimated_cost > 0),
            cost bigint CHECK (cost > 0),
            number int,
            geom geometry(Geometry, 4326) NOT NULL
                CHECK (GeometryType(geom) IN ('POINT', 'LINESTRING', 'POLYGON')),
            reports uuid[] NOT NULL,
            status text NOT NULL CHECK (status IN ('submitted', 'shortlisted', 'not_feasible',
                                                   'funded', 'not_funded')),
            endorsements int NOT NULL DEFAULT 0,
            author_id uuid NOT NULL,
            version int NOT NULL,
            submitted_at timestamptz NOT NULL,
            UNIQUE (campaign_id, number)
        );
        CREATE INDEX ON proposals (campaign_id, id);
        CREATE INDEX ON proposals (commune, id);
        CREATE TABLE reviews (
            proposal_id uuid PRIMARY KEY REFERENCES proposals,
            outcome text NOT NULL
                CHECK (outcome IN ('feasible', 'feasible_with_changes', 'not_feasible')),
            reason text NOT NULL,
            cost bigint NOT NULL CHECK (cost > 0),
            reviewer_id uuid NOT NULL,
            reviewed_at timestamptz NOT NULL
        );
        CREATE TABLE endorsements (
            proposal_id uuid NOT NULL REFERENCES proposals,
            user_id uuid NOT NULL,
            PRIMARY KEY (proposal_id, user_id)
        );
    """)
