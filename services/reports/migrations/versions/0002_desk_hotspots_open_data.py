"""The desk's work, hotspots, attachments, what is public, and the calendar of working days.

``public_reports`` is the one list of columns that anybody may see: lists, feeds, tiles, exports,
Open311 and OGC answers all read it and nothing else.
"""

import json

from alembic import op
from sqlalchemy import text

from services.reports import calendar

#: category → agency, days to answer, days to repair, as they were when this was written.
USUAL = {
    "waste": ("hygiene", 2, 5),
    "lighting": ("lighting", 2, 10),
    "roads": ("roads", 3, 30),
    "drainage": ("roads", 2, 15),
    "water": ("water", 1, 7),
    "occupation": ("police", 3, 20),
    "noise": ("police", 3, 10),
    "buildings": ("buildings", 3, 30),
    "markets": ("buildings", 3, 20),
    "other": ("front-desk", 3, 20),
}
BACKFILL = text("""
    UPDATE reports r SET agency = usual.value->>0,
        answer_due_at = working_day_after(r.created_at, (usual.value->>1)::int),
        due_at = working_day_after(r.created_at, (usual.value->>2)::int),
        answered_at = (SELECT min(h.at) FROM history h
            WHERE h.report_id = r.id AND h.version > 1 AND h.actor_kind = 'mairie'),
        closed_at = CASE WHEN r.status IN ('resolved', 'rejected') THEN (
            SELECT max(h.at) FROM history h WHERE h.report_id = r.id AND h.status = r.status) END
    FROM json_each(CAST(:usual AS json)) usual WHERE usual.key = r.category
""")

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE reports
            ADD COLUMN channel text NOT NULL DEFAULT 'web',
            ADD COLUMN gender text CHECK (gender IN ('f', 'm', 'o')),
            ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN public_description text,
            ADD COLUMN hidden_at timestamptz,
            ADD COLUMN was_sensitive boolean NOT NULL DEFAULT false,
            ADD COLUMN duplicate_of uuid REFERENCES reports,
            ADD COLUMN status_before_duplicate text,
            ADD COLUMN agency text,
            ADD COLUMN assignee uuid,
            ADD COLUMN forwarded_to text NOT NULL DEFAULT '',
            ADD COLUMN answer_due_at timestamptz,
            ADD COLUMN due_at timestamptz,
            ADD COLUMN answered_at timestamptz,
            ADD COLUMN closed_at timestamptz,
            ADD COLUMN shown_geom geometry(Point, 4326) GENERATED ALWAYS AS (
                CASE WHEN was_sensitive OR category IN ('noise', 'occupation')
                    THEN ST_SnapToGrid(geom, 0.002) ELSE geom END) STORED,
            ADD CHECK (duplicate_of <> id),
            ADD CHECK ((status = 'duplicate') = (duplicate_of IS NOT NULL));
        DROP INDEX reports_geom;
        DROP INDEX reports_open_geom;
        CREATE INDEX reports_shown_geom ON reports USING gist (shown_geom);
        CREATE INDEX reports_open_shown_geom ON reports USING gist (shown_geom)
            WHERE hidden_at IS NULL
            AND status IN ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened');
        CREATE INDEX reports_duplicate_of ON reports (duplicate_of)
            WHERE duplicate_of IS NOT NULL;
        CREATE INDEX reports_reporter ON reports (reporter, created_at DESC)
            WHERE reporter IS NOT NULL;
        -- One for each order and filter of the desk's queue.
        CREATE INDEX reports_desk_due ON reports (commune, coalesce(due_at, 'infinity'), id)
            INCLUDE (assignee)
            WHERE status IN ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened');
        CREATE INDEX reports_desk_supports ON reports (commune, supports DESC, id DESC)
            WHERE status IN ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened');
        CREATE INDEX reports_desk_updated ON reports (commune, updated_at DESC, id DESC)
            WHERE status IN ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened');
        CREATE INDEX reports_desk_status ON reports (commune, status, created_at DESC, id DESC);
        CREATE INDEX reports_desk_assignee ON reports (commune, assignee)
            WHERE assignee IS NOT NULL
            AND status IN ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened');
        CREATE INDEX reports_desk_hidden ON reports (commune, created_at DESC, id DESC)
            WHERE hidden_at IS NOT NULL;

        ALTER TABLE status_changes RENAME TO history;
        ALTER TABLE history RENAME CONSTRAINT status_changes_pkey TO history_pkey;
        ALTER TABLE history
            ADD COLUMN kind text NOT NULL DEFAULT 'status',
            ADD COLUMN detail jsonb NOT NULL DEFAULT '{}';
        -- Lines are only ever added. What may change: a citizen's own words (taken back or
        -- moderated), what moderation kept of them, and who wrote (forgotten after years).
        CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'lines of history are never deleted';
            END IF;
            IF (OLD.report_id, OLD.version, OLD.kind, OLD.status, OLD.at, OLD.actor_kind,
                    OLD.internal_note, OLD.reason)
                IS DISTINCT FROM (NEW.report_id, NEW.version, NEW.kind, NEW.status, NEW.at,
                    NEW.actor_kind, NEW.internal_note, NEW.reason)
                OR (OLD.public_note <> NEW.public_note AND OLD.actor_kind <> 'citizen')
                OR (OLD.detail <> NEW.detail AND OLD.kind <> 'moderation')
                OR (OLD.actor IS DISTINCT FROM NEW.actor AND NEW.actor IS NOT NULL)
            THEN
                RAISE EXCEPTION 'lines of history are never changed';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER keep_history BEFORE UPDATE OR DELETE ON history
            FOR EACH ROW EXECUTE FUNCTION keep_history();
        CREATE INDEX supports_user ON supports (user_id);
        ALTER TABLE supports ADD COLUMN anonymous boolean NOT NULL DEFAULT false;

        ALTER TABLE uploads
            ADD COLUMN kind text NOT NULL DEFAULT 'photo' CHECK (kind IN ('photo', 'voice')),
            ADD COLUMN media_type text NOT NULL DEFAULT 'image/jpeg',
            ADD COLUMN seconds real,
            ADD COLUMN detached_at timestamptz;
        ALTER TABLE report_photos RENAME TO attachments;
        ALTER TABLE attachments ADD COLUMN hidden boolean NOT NULL DEFAULT false;
        DROP INDEX report_photos_upload_id_idx;
        ALTER TABLE attachments ADD CONSTRAINT attached_once UNIQUE (upload_id);

        CREATE TABLE contacts (
            report_id uuid PRIMARY KEY REFERENCES reports,
            name text NOT NULL DEFAULT '',
            phone text NOT NULL DEFAULT '',
            email text NOT NULL DEFAULT '',
            device text NOT NULL DEFAULT '',
            account text NOT NULL DEFAULT ''
        );

        CREATE TABLE report_proposals (
            report_id uuid NOT NULL REFERENCES reports,
            proposal_id uuid NOT NULL,
            proposal_ref text NOT NULL,
            status text NOT NULL,
            updated_at timestamptz NOT NULL,
            sequence bigint NOT NULL,
            PRIMARY KEY (report_id, proposal_id)
        );
        CREATE INDEX report_proposals_proposal ON report_proposals (proposal_id);
        CREATE TABLE proposal_steps (
            proposal_id uuid NOT NULL,
            sequence bigint NOT NULL,
            status text NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (proposal_id, sequence)
        );

        CREATE TABLE agents (
            commune text NOT NULL,
            user_id uuid NOT NULL,
            name text NOT NULL,
            agency text,
            PRIMARY KEY (commune, user_id)
        );
        CREATE TABLE targets (
            commune text NOT NULL,
            category text NOT NULL,
            answer_days int NOT NULL CHECK (answer_days BETWEEN 0 AND 250),
            repair_days int NOT NULL CHECK (repair_days BETWEEN 0 AND 250),
            PRIMARY KEY (commune, category)
        );
        CREATE TABLE routing_rules (
            commune text NOT NULL,
            position int NOT NULL,
            category text,
            arrondissement text,
            from_time time,
            to_time time,
            agency text NOT NULL,
            PRIMARY KEY (commune, position),
            CHECK ((from_time IS NULL) = (to_time IS NULL))
        );
        CREATE TABLE working_days (day date PRIMARY KEY, number int NOT NULL UNIQUE);

        CREATE TABLE api_clients (
            id uuid PRIMARY KEY,
            commune text NOT NULL,
            name text NOT NULL,
            key_hash bytea NOT NULL UNIQUE,
            test boolean NOT NULL DEFAULT false,
            created_by uuid,
            created_at timestamptz NOT NULL DEFAULT now(),
            revoked_at timestamptz
        );

        CREATE TABLE hotspots (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            commune text NOT NULL,
            category text NOT NULL,
            days int NOT NULL,
            geom geometry(MultiPolygon, 4326) NOT NULL,
            arrondissement text,
            count int NOT NULL,
            z double precision NOT NULL,
            p double precision NOT NULL,
            per_1000 double precision,
            trend text NOT NULL,
            proposal_ref text,
            proposal_submitted boolean NOT NULL DEFAULT false,
            detected_at timestamptz NOT NULL,
            seen_at timestamptz NOT NULL,
            ended_at timestamptz,
            version int NOT NULL DEFAULT 1
        );
        CREATE INDEX hotspots_present ON hotspots (commune, category) WHERE ended_at IS NULL;

        -- The end of the working day that comes `days` working days after `start`, in Bénin.
        CREATE FUNCTION working_day_after(start timestamptz, days int) RETURNS timestamptz
        LANGUAGE sql STABLE AS $$
            SELECT ((later.day + 1)::timestamp AT TIME ZONE 'Africa/Porto-Novo')
                - interval '1 second'
            FROM working_days later WHERE later.number = days + (
                SELECT today.number FROM working_days today
                WHERE today.day <= (start AT TIME ZONE 'Africa/Porto-Novo')::date
                ORDER BY today.day DESC LIMIT 1)
        $$;

        -- The agency that the commune's first fitting rule names; hours may pass midnight.
        CREATE FUNCTION routed_agency(
            in_commune text, of_category text, in_part text, at timestamptz) RETURNS text
        LANGUAGE sql STABLE AS $$
            SELECT r.agency FROM routing_rules r,
                (SELECT (at AT TIME ZONE 'Africa/Porto-Novo')::time AS hour) local
            WHERE r.commune = in_commune
            AND (r.category IS NULL OR r.category = of_category)
            AND (r.arrondissement IS NULL OR r.arrondissement = in_part)
            AND (r.from_time IS NULL OR CASE WHEN r.from_time <= r.to_time
                THEN local.hour >= r.from_time AND local.hour < r.to_time
                ELSE local.hour >= r.from_time OR local.hour < r.to_time END)
            ORDER BY r.position LIMIT 1
        $$;

        CREATE VIEW public_reports AS
        SELECT r.id, r.ref, r.commune, r.arrondissement, r.category, r.status,
            coalesce(r.public_description, r.description) AS description, r.landmark,
            r.shown_geom AS geom, r.created_at, r.updated_at, r.supports, r.duplicate_of,
            r.agency, r.forwarded_to, r.due_at, r.answered_at, r.closed_at
        FROM reports r WHERE r.hidden_at IS NULL AND r.status <> 'withdrawn';
        CREATE VIEW public_photos AS
        SELECT a.report_id, a.position, a.upload_id
        FROM attachments a JOIN uploads u ON u.id = a.upload_id
        WHERE NOT a.hidden AND u.kind = 'photo';
    """)
    calendar.refresh(op.get_bind())
    op.get_bind().execute(BACKFILL, {"usual": json.dumps(USUAL)})
