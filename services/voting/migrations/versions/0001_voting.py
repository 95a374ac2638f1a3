"""Elections, their projects, the roll, the ballots, the receipts, and the kernel's tables."""

from alembic import op

from services.common.migrate import kernel

revision = "0001"
down_revision = None


def upgrade() -> None:
    kernel(1, "voting")
    op.execute("""
        CREATE TABLE elections (
            id uuid PRIMARY KEY,
            campaign uuid NOT NULL UNIQUE,
            commune text NOT NULL,
            title text NOT NULL,
            budget bigint NOT NULL CHECK (budget > 0),
            ballot_type text NOT NULL,
            rule text NOT NULL,
            definition text NOT NULL,
            rule_hash text NOT NULL,
            opens_at timestamptz NOT NULL,
            closes_at timestamptz NOT NULL CHECK (closes_at > opens_at),
            state text NOT NULL CHECK (state IN ('open', 'closed')),
            closed_at timestamptz,
            version int NOT NULL,
            results jsonb,
            CHECK ((state = 'closed') = (closed_at IS NOT NULL AND results IS NOT NULL))
        );
        CREATE INDEX ON elections (opens_at DESC, id DESC);
        CREATE INDEX ON elections (commune, opens_at DESC, id DESC);

        CREATE TABLE projects (
            election_id uuid NOT NULL REFERENCES elections,
            number int NOT NULL,
            id uuid NOT NULL,
            ref text NOT NULL,
            title text NOT NULL,
            cost bigint NOT NULL CHECK (cost > 0),
            theme text,
            arrondissement text,
            lon double precision,
            lat double precision,
            PRIMARY KEY (election_id, number),
            UNIQUE (election_id, id)
        );
    """)
    # One partition an election: the close rewrites it without touching another vote. No foreign
    # key to elections: its row lock would make every voter of an election write the same row;
    # a ballot of no election finds no partition.
    op.execute("""
        CREATE TABLE roll (
            election_id uuid NOT NULL,
            voter bytea NOT NULL,
            voting_method text NOT NULL,
            PRIMARY KEY (election_id, voter)
        ) PARTITION BY LIST (election_id);

        CREATE TABLE ballots (
            election_id uuid NOT NULL,
            id uuid NOT NULL,
            choices int[] NOT NULL CHECK (cardinality(choices) > 0),
            voting_method text NOT NULL,
            accepted_hour timestamptz NOT NULL
                CHECK (extract(epoch FROM accepted_hour)::bigint % 3600 = 0),
            replace_hash bytea,
            marks bytea[] NOT NULL,
            PRIMARY KEY (election_id, id),
            UNIQUE (election_id, replace_hash)
        ) PARTITION BY LIST (election_id);

        CREATE TABLE receipts (
            election_id uuid NOT NULL,
            receipt text NOT NULL
        ) PARTITION BY LIST (election_id);
        CREATE INDEX ON receipts (election_id, receipt);
    """)
