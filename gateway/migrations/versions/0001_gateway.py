"""The projections and the kernel's tables.

A projection has all its constraints in its CREATE TABLE, no foreign key and no identity: a rebuild
copies it with LIKE … INCLUDING ALL, fills the copy, and swaps.
"""

from alembic import op

from services.common.migrate import kernel

revision = "0001"
down_revision = None


def upgrade() -> None:
    kernel(1, "gateway")
    op.execute("""
        CREATE TABLE map_reports (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            commune text NOT NULL,
            arrondissement text,
            category text,
            status text NOT NULL,
            geom geometry(Point, 4326),
            received_at timestamptz,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE INDEX map_reports_commune ON map_reports (commune);
        CREATE TABLE map_proposals (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            campaign uuid NOT NULL,
            commune text NOT NULL,
            arrondissement text,
            title text,
            theme text,
            cost bigint NOT NULL,
            status text NOT NULL,
            number int,
            geom geometry(Geometry, 4326),
            submitted_at timestamptz,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE INDEX map_proposals_commune ON map_proposals (commune);
        CREATE INDEX map_proposals_campaign ON map_proposals (campaign);
        CREATE TABLE campaigns (
            id uuid PRIMARY KEY,
            commune text NOT NULL,
            title text,
            budget bigint,
            phase text NOT NULL,
            phases jsonb,
            envelopes jsonb,
            published_at timestamptz,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE INDEX campaigns_commune ON campaigns (commune);
        CREATE TABLE elections (
            id uuid PRIMARY KEY,
            campaign uuid NOT NULL,
            commune text NOT NULL,
            ballot_type text,
            rule text,
            budget bigint,
            opens_at timestamptz,
            closes_at timestamptz,
            state text NOT NULL,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE INDEX elections_campaign ON elections (campaign);
        CREATE TABLE results (
            id uuid PRIMARY KEY,
            campaign uuid NOT NULL,
            commune text NOT NULL,
            rule text NOT NULL,
            budget bigint NOT NULL,
            total_cost bigint NOT NULL,
            turnout int NOT NULL,
            winners jsonb NOT NULL,
            projects jsonb NOT NULL,
            published_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL
        );
        CREATE INDEX results_campaign ON results (campaign);
        CREATE TABLE layer_versions (
            commune text NOT NULL,
            layer text NOT NULL,
            version bigint NOT NULL,
            PRIMARY KEY (commune, layer)
        );
    """)
