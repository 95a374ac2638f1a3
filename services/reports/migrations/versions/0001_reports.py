"""Reports, their history, supports and photos, and the kernel's tables."""

from alembic import op

from services.common.migrate import kernel

revision = "0001"
down_revision = None


def upgrade() -> None:
    kernel(1, "reports")
    op.execute("""
        CREATE TABLE reports (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            commune text NOT NULL,
            commune_detected text,
            arrondissement text,
            landmark text NOT NULL DEFAULT '',
            category text NOT NULL,
            status text NOT NULL,
            description text NOT NULL,
            geom geometry(Point, 4326),
            reporter uuid,
            follow_up_hash bytea,
            supports int NOT NULL DEFAULT 0,
            version int NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CHECK (geom IS NOT NULL OR arrondissement IS NOT NULL)
        );
        CREATE INDEX ON reports (commune, created_at DESC, id DESC);
        CREATE INDEX ON reports (created_at DESC, id DESC);
        CREATE INDEX reports_geom ON reports USING gist (geom);
        CREATE INDEX reports_open_geom ON reports USING gist (geom)
            WHERE status IN ('received', 'acknowledged', 'in_progress', 'reopened');

        CREATE TABLE status_changes (
            report_id uuid NOT NULL REFERENCES reports,
            version int NOT NULL,
            status text NOT NULL,
            at timestamptz NOT NULL,
            actor_kind text NOT NULL,
            actor uuid,
            public_note text NOT NULL DEFAULT '',
            internal_note text NOT NULL DEFAULT '',
            reason text,
            PRIMARY KEY (report_id, version)
        );

        CREATE TABLE supports (
            report_id uuid NOT NULL REFERENCES reports,
            user_id uuid NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (report_id, user_id)
        );

        CREATE TABLE uploads (
            id uuid PRIMARY KEY,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE report_photos (
            report_id uuid NOT NULL REFERENCES reports,
            position int NOT NULL,
            upload_id uuid NOT NULL REFERENCES uploads,
            PRIMARY KEY (report_id, position)
        );
        CREATE INDEX ON report_photos (upload_id);
    """)
