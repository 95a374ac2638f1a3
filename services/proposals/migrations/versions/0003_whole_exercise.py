"""A whole exercise: envelopes, authors, revisions, merges, talk, criteria, works, ledgers."""

from alembic import op

revision = "0003"
down_revision = "0002"

#: Tables whose rows are only ever added.
_KEPT = ("campaign_history", "revisions", "moderation_log", "journal", "ledger")


def upgrade() -> None:
    _search()
    _campaigns()
    _proposals()
    _files()
    _merging()
    _talk()
    _reviews()
    _works()
    op.execute("""
        CREATE FUNCTION keep_rows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
        END $$;
    """)
    for table in _KEPT:
        op.execute(
            f"CREATE TRIGGER keep_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION keep_rows()"
        )


def _search() -> None:
    """Give words their search form: lower case, without accents, French stems."""
    op.execute("""
        CREATE FUNCTION fold(words text) RETURNS text
            LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
            RETURN lower(public.unaccent('public.unaccent'::regdictionary, words));
        -- The words to leave out are known by their accents: they go before these do.
        CREATE TEXT SEARCH DICTIONARY fr_stop (
            TEMPLATE = pg_catalog.simple, STOPWORDS = french, ACCEPT = false);
        CREATE TEXT SEARCH CONFIGURATION fr (COPY = pg_catalog.french);
        ALTER TEXT SEARCH CONFIGURATION fr
            ALTER MAPPING FOR hword, hword_part, word WITH fr_stop, public.unaccent, french_stem;
    """)


def _campaigns() -> None:
    op.execute("""
        ALTER TABLE campaigns
            ADD COLUMN description text NOT NULL DEFAULT '',
            ADD COLUMN author_kinds text[] NOT NULL DEFAULT '{person,group,association}',
            ADD COLUMN proposals_per_author int CHECK (proposals_per_author > 0),
            ADD COLUMN endorsements_needed int NOT NULL DEFAULT 0 CHECK (endorsements_needed >= 0),
            ADD COLUMN automatic boolean NOT NULL DEFAULT false,
            ADD COLUMN cloned_from uuid REFERENCES campaigns;
        ALTER TABLE envelopes
            ADD COLUMN kind text NOT NULL DEFAULT 'commune'
                CHECK (kind IN ('commune', 'arrondissement', 'theme')),
            ADD COLUMN theme text,
            ADD COLUMN position int NOT NULL DEFAULT 0;
        UPDATE envelopes SET kind = 'arrondissement' WHERE arrondissement IS NOT NULL;
        ALTER TABLE envelopes ADD CONSTRAINT envelopes_for CHECK (
            (kind = 'arrondissement') = (arrondissement IS NOT NULL)
            AND (kind = 'theme') = (theme IS NOT NULL));
        -- What was not given to an envelope is the commune's as a whole.
        INSERT INTO envelopes (id, campaign_id, name, amount, position)
            SELECT gen_random_uuid(), c.id,
                CASE WHEN 'Toute la commune' = ANY(e.names) THEN 'Le reste de la commune'
                    ELSE 'Toute la commune' END,
                c.budget - coalesce(e.sum, 0), 1000
            FROM campaigns c LEFT JOIN (
                SELECT campaign_id, sum(amount), array_agg(name) AS names
                FROM envelopes GROUP BY 1) e ON e.campaign_id = c.id
            WHERE c.budget > coalesce(e.sum, 0);
        CREATE TABLE campaign_history (
            campaign_id uuid NOT NULL REFERENCES campaigns,
            version int NOT NULL,
            kind text NOT NULL CHECK (kind IN ('published', 'changed', 'phase', 'calendar')),
            at timestamptz NOT NULL,
            actor_kind text NOT NULL CHECK (actor_kind IN ('agent', 'calendar', 'count')),
            actor uuid,
            reason text NOT NULL DEFAULT '',
            detail jsonb NOT NULL DEFAULT '{}',
            PRIMARY KEY (campaign_id, version)
        );
        CREATE TABLE forums (
            id uuid PRIMARY KEY,
            campaign_id uuid NOT NULL REFERENCES campaigns,
            name text NOT NULL,
            arrondissement text,
            place text NOT NULL DEFAULT '',
            held_on date NOT NULL,
            women int NOT NULL CHECK (women >= 0),
            men int NOT NULL CHECK (men >= 0),
            youth int NOT NULL CHECK (youth >= 0 AND youth <= women + men),
            entered_by uuid NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            UNIQUE (campaign_id, name, held_on)
        );
        CREATE TABLE unit_costs (
            commune text NOT NULL,
            code text NOT NULL,
            name text NOT NULL,
            unit text NOT NULL,
            cost bigint NOT NULL CHECK (cost > 0),
            theme text,
            updated_by uuid NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (commune, code)
        );
    """)


def _proposals() -> None:
    op.execute("""
        ALTER TABLE proposals
            ADD COLUMN need text NOT NULL DEFAULT '',
            ADD COLUMN beneficiaries text NOT NULL DEFAULT '',
            ADD COLUMN cost_lines jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN envelope_id uuid REFERENCES envelopes,
            ADD COLUMN author_kind text NOT NULL DEFAULT 'person'
                CHECK (author_kind IN ('person', 'group', 'association', 'forum')),
            ADD COLUMN author_name text NOT NULL DEFAULT '',
            ADD COLUMN origin text NOT NULL DEFAULT 'web'
                CHECK (origin IN ('web', 'paper', 'assembly')),
            ADD COLUMN forum_id uuid REFERENCES forums,
            ADD COLUMN revision int NOT NULL DEFAULT 1,
            ADD COLUMN hidden_at timestamptz,
            ADD COLUMN merged_into uuid REFERENCES proposals,
            ADD COLUMN status_before_merge text,
            ADD COLUMN threshold_reached_at timestamptz,
            ADD COLUMN comments int NOT NULL DEFAULT 0,
            ADD CONSTRAINT proposals_forum_check CHECK (
                (origin = 'assembly') = (forum_id IS NOT NULL)
                AND (author_kind = 'forum') = (origin = 'assembly')),
            DROP CONSTRAINT proposals_status_check,
            ADD CONSTRAINT proposals_status_check
                CHECK (status IN ('draft', 'submitted', 'shortlisted', 'not_feasible', 'funded',
                                  'not_funded', 'merged', 'withdrawn')),
            ADD CONSTRAINT proposals_merged_check
                CHECK ((status = 'merged') = (merged_into IS NOT NULL)),
            ADD COLUMN words tsvector GENERATED ALWAYS AS (
                setweight(to_tsvector('fr', title), 'A')
                || setweight(to_tsvector('fr', need || ' ' || description), 'B')) STORED;
        CREATE INDEX proposals_words ON proposals USING gin (words);
        CREATE INDEX proposals_title ON proposals USING gin (fold(title) public.gin_trgm_ops);
        CREATE INDEX proposals_geom ON proposals USING gist (geom);
        CREATE INDEX proposals_author ON proposals (author_id);
        CREATE INDEX proposals_envelope ON proposals (envelope_id);
        CREATE INDEX proposals_merged ON proposals (merged_into) WHERE merged_into IS NOT NULL;
        UPDATE proposals p SET envelope_id = (
            SELECT e.id FROM envelopes e WHERE e.campaign_id = p.campaign_id
            AND (e.kind = 'commune' OR (e.arrondissement = p.arrondissement
                AND coalesce(p.cost, p.estimated_cost, 0) <= e.amount
                AND EXISTS (SELECT FROM reference.arrondissements a
                    WHERE a.code = e.arrondissement AND ST_Covers(a.geom, p.geom))))
            ORDER BY e.kind, e.position, e.id LIMIT 1);
        -- The place and the envelope can never disagree, whoever writes.
        CREATE FUNCTION check_place() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM envelopes e WHERE e.id = NEW.envelope_id AND (
                    e.campaign_id <> NEW.campaign_id
                    OR (e.kind = 'theme' AND e.theme IS DISTINCT FROM NEW.theme)
                    OR (e.kind = 'arrondissement' AND (
                        e.arrondissement IS DISTINCT FROM NEW.arrondissement
                        OR NOT EXISTS (
                            SELECT FROM reference.arrondissements a
                            WHERE a.code = e.arrondissement AND ST_Covers(a.geom, NEW.geom))))))
            THEN
                RAISE EXCEPTION 'a proposal does not lie in its envelope'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER check_place
            BEFORE INSERT OR UPDATE OF geom, arrondissement, theme, envelope_id ON proposals
            FOR EACH ROW EXECUTE FUNCTION check_place();

        CREATE TABLE authors (
            proposal_id uuid NOT NULL REFERENCES proposals,
            user_id uuid NOT NULL,
            role text NOT NULL CHECK (role IN ('author', 'coauthor')),
            name text NOT NULL DEFAULT '',
            joined_at timestamptz NOT NULL DEFAULT now(),
            via_merge uuid,
            PRIMARY KEY (proposal_id, user_id)
        );
        CREATE INDEX authors_user ON authors (user_id);
        INSERT INTO authors (proposal_id, user_id, role, joined_at)
            SELECT id, author_id, 'author', created_at FROM proposals;
        CREATE TABLE author_invitations (
            code_hash bytea PRIMARY KEY,
            proposal_id uuid NOT NULL REFERENCES proposals,
            made_by uuid NOT NULL,
            made_at timestamptz NOT NULL DEFAULT now(),
            used_at timestamptz
        );
        CREATE TABLE revisions (
            proposal_id uuid NOT NULL REFERENCES proposals,
            number int NOT NULL,
            kind text NOT NULL CHECK (kind IN ('submitted', 'edit', 'amendment')),
            at timestamptz NOT NULL,
            actor_kind text NOT NULL CHECK (actor_kind IN ('author', 'agent')),
            actor uuid,
            note text NOT NULL DEFAULT '',
            content jsonb NOT NULL,
            PRIMARY KEY (proposal_id, number)
        );
        INSERT INTO revisions (proposal_id, number, kind, at, actor_kind, content)
            SELECT id, 1, 'submitted', submitted_at, 'author', jsonb_build_object(
                'title', title, 'need', need, 'description', description,
                'beneficiaries', beneficiaries, 'theme', theme, 'estimated_cost', estimated_cost,
                'envelope', envelope_id, 'arrondissement', arrondissement,
                'reports', to_jsonb(reports), 'author_name', '', 'photos', '[]'::jsonb,
                'geometry', ST_AsGeoJSON(geom, 6)::jsonb)
            FROM proposals WHERE status <> 'draft';
    """)


def _files() -> None:
    op.execute("""
        CREATE TABLE files (
            id uuid PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('photo', 'document')),
            media_type text NOT NULL,
            name text NOT NULL DEFAULT '',
            bytes int NOT NULL,
            uploaded_by uuid NOT NULL,
            lon float8,
            lat float8,
            taken_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ON files (created_at);
        CREATE TABLE attachments (
            file_id uuid PRIMARY KEY REFERENCES files,
            subject_kind text NOT NULL CHECK (subject_kind IN
                ('campaign', 'proposal', 'criterion', 'journal', 'entry')),
            subject_id uuid NOT NULL,
            position int NOT NULL,
            alt text NOT NULL DEFAULT '',
            hidden boolean NOT NULL DEFAULT false
        );
        CREATE INDEX ON attachments (subject_kind, subject_id, position);
    """)


def _merging() -> None:
    op.execute("""
        CREATE TABLE merges (
            id uuid PRIMARY KEY,
            campaign_id uuid NOT NULL REFERENCES campaigns,
            target_id uuid NOT NULL REFERENCES proposals,
            state text NOT NULL CHECK (state IN ('open', 'done', 'refused', 'undone')),
            proposed_by uuid NOT NULL,
            proposed_by_kind text NOT NULL CHECK (proposed_by_kind IN ('author', 'agent')),
            note text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL,
            decided_at timestamptz,
            undone_at timestamptz,
            undone_reason text NOT NULL DEFAULT ''
        );
        CREATE INDEX ON merges (campaign_id, state);
        CREATE INDEX ON merges (target_id);
        CREATE TABLE merge_parts (
            merge_id uuid NOT NULL REFERENCES merges,
            proposal_id uuid NOT NULL REFERENCES proposals,
            role text NOT NULL CHECK (role IN ('target', 'source')),
            consented_at timestamptz,
            consented_by uuid,
            PRIMARY KEY (merge_id, proposal_id)
        );
        CREATE INDEX ON merge_parts (proposal_id);
        ALTER TABLE authors ADD FOREIGN KEY (via_merge) REFERENCES merges;
        ALTER TABLE endorsements
            ADD COLUMN via_merge uuid REFERENCES merges,
            ADD COLUMN at timestamptz NOT NULL DEFAULT now();
        CREATE INDEX endorsements_user ON endorsements (user_id);
        CREATE TABLE endorsement_offers (
            merge_id uuid NOT NULL REFERENCES merges,
            user_id uuid NOT NULL,
            source_id uuid NOT NULL REFERENCES proposals,
            answer text CHECK (answer IN ('confirmed', 'declined')),
            answered_at timestamptz,
            PRIMARY KEY (merge_id, user_id)
        );
        CREATE INDEX ON endorsement_offers (user_id) WHERE answer IS NULL;
        CREATE TABLE amendments (
            id uuid PRIMARY KEY,
            proposal_id uuid NOT NULL REFERENCES proposals,
            base_revision int NOT NULL,
            user_id uuid NOT NULL,
            name text NOT NULL DEFAULT '',
            note text NOT NULL,
            changes jsonb NOT NULL,
            state text NOT NULL CHECK (state IN ('open', 'accepted', 'refused', 'withdrawn')),
            answer text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL,
            decided_at timestamptz,
            decided_by uuid,
            revision int
        );
        CREATE INDEX ON amendments (proposal_id, created_at);
    """)


def _talk() -> None:
    op.execute("""
        CREATE TABLE comments (
            id uuid PRIMARY KEY,
            proposal_id uuid NOT NULL REFERENCES proposals,
            parent_id uuid REFERENCES comments,
            depth int NOT NULL CHECK (depth BETWEEN 0 AND 2),
            user_id uuid NOT NULL,
            name text NOT NULL DEFAULT '',
            stance text NOT NULL CHECK (stance IN ('for', 'against', 'neutral')),
            body text NOT NULL,
            useful int NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL,
            hidden_at timestamptz,
            withdrawn_at timestamptz
        );
        CREATE INDEX ON comments (proposal_id, created_at, id);
        CREATE INDEX ON comments (parent_id);
        CREATE TABLE comment_marks (
            comment_id uuid NOT NULL REFERENCES comments,
            user_id uuid NOT NULL,
            PRIMARY KEY (comment_id, user_id)
        );
        CREATE TABLE abuse_reports (
            id uuid PRIMARY KEY,
            subject_kind text NOT NULL CHECK (subject_kind IN ('proposal', 'comment')),
            subject_id uuid NOT NULL,
            proposal_id uuid NOT NULL REFERENCES proposals,
            commune text NOT NULL,
            user_id uuid NOT NULL,
            reason text NOT NULL,
            note text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL,
            handled_at timestamptz
        );
        CREATE UNIQUE INDEX abuse_reports_open ON abuse_reports (subject_kind, subject_id, user_id)
            WHERE handled_at IS NULL;
        CREATE INDEX ON abuse_reports (commune, created_at) WHERE handled_at IS NULL;
        -- Each decision is a line; the state of a subject is its last decision's.
        CREATE TABLE moderation_log (
            id uuid PRIMARY KEY,
            subject_kind text NOT NULL CHECK (subject_kind IN ('proposal', 'comment')),
            subject_id uuid NOT NULL,
            proposal_id uuid NOT NULL REFERENCES proposals,
            commune text NOT NULL,
            action text NOT NULL CHECK (action IN
                ('hide', 'show', 'keep', 'appeal', 'uphold', 'reverse')),
            reason text NOT NULL,
            note text NOT NULL,
            actor uuid NOT NULL,
            at timestamptz NOT NULL
        );
        CREATE INDEX ON moderation_log (subject_kind, subject_id, at);
        CREATE INDEX ON moderation_log (commune, at);
        CREATE INDEX ON moderation_log (proposal_id, at);
        CREATE TABLE follows (
            proposal_id uuid NOT NULL REFERENCES proposals,
            user_id uuid NOT NULL,
            since timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (proposal_id, user_id)
        );
        CREATE INDEX ON follows (user_id);
    """)


def _reviews() -> None:
    op.execute("""
        ALTER TABLE reviews
            ADD COLUMN round int NOT NULL DEFAULT 1 CHECK (round IN (1, 2)),
            ADD COLUMN criteria jsonb NOT NULL DEFAULT '[]',
            DROP CONSTRAINT reviews_pkey,
            ADD PRIMARY KEY (proposal_id, round);
        CREATE TABLE review_answers (
            proposal_id uuid PRIMARY KEY REFERENCES proposals,
            answer text NOT NULL,
            user_id uuid NOT NULL,
            at timestamptz NOT NULL
        );
        CREATE TABLE review_assignments (
            proposal_id uuid NOT NULL REFERENCES proposals,
            service text NOT NULL,
            due_on date,
            note text NOT NULL DEFAULT '',
            assigned_by uuid NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (proposal_id, service)
        );
        CREATE TABLE review_criteria (
            id uuid PRIMARY KEY,
            proposal_id uuid NOT NULL REFERENCES proposals,
            criterion text NOT NULL
                CHECK (criterion IN ('legal', 'technical', 'cost', 'land', 'upkeep')),
            verdict text NOT NULL CHECK (verdict IN ('met', 'conditional', 'not_met')),
            note text NOT NULL DEFAULT '',
            service text NOT NULL DEFAULT '',
            actor uuid NOT NULL,
            at timestamptz NOT NULL,
            version int NOT NULL,
            UNIQUE (proposal_id, criterion)
        );
    """)


def _works() -> None:
    op.execute("""
        CREATE TABLE works (
            id uuid PRIMARY KEY,
            ref text NOT NULL UNIQUE,
            proposal_id uuid NOT NULL UNIQUE REFERENCES proposals,
            campaign_id uuid NOT NULL REFERENCES campaigns,
            envelope_id uuid REFERENCES envelopes,
            commune text NOT NULL,
            status text NOT NULL CHECK (status IN
                ('planned', 'tendering', 'under_way', 'suspended', 'completed', 'abandoned')),
            progress int NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
            voted_cost bigint NOT NULL CHECK (voted_cost > 0),
            committed bigint NOT NULL DEFAULT 0,
            invoiced bigint NOT NULL DEFAULT 0,
            paid bigint NOT NULL DEFAULT 0,
            contractor text NOT NULL DEFAULT '',
            starts_on date,
            ends_on date,
            first_ends_on date,
            completed_at timestamptz,
            version int NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            CHECK (starts_on <= ends_on),
            CHECK (committed >= 0 AND invoiced >= 0 AND paid >= 0)
        );
        CREATE INDEX ON works (campaign_id, id);
        CREATE INDEX ON works (commune, id);
        CREATE TABLE milestones (
            id uuid PRIMARY KEY,
            work_id uuid NOT NULL REFERENCES works,
            position int NOT NULL,
            title text NOT NULL,
            planned_on date,
            reached_on date,
            UNIQUE (work_id, position)
        );
        -- What the public reads of a work's life, one line an act.
        CREATE TABLE journal (
            id uuid PRIMARY KEY,
            work_id uuid NOT NULL REFERENCES works,
            version int NOT NULL,
            kind text NOT NULL CHECK (kind IN
                ('opened', 'status', 'progress', 'milestone', 'delay', 'contractor', 'note',
                 'completed', 'reopened')),
            at timestamptz NOT NULL,
            actor uuid,
            note text NOT NULL DEFAULT '',
            detail jsonb NOT NULL DEFAULT '{}',
            UNIQUE (work_id, version, kind)
        );
        CREATE TABLE ledger (
            id uuid PRIMARY KEY,
            work_id uuid NOT NULL REFERENCES works,
            number int NOT NULL,
            kind text NOT NULL CHECK (kind IN ('commitment', 'invoice', 'payment')),
            amount bigint NOT NULL CHECK (amount <> 0),
            dated date NOT NULL,
            label text NOT NULL,
            payee text NOT NULL DEFAULT '',
            document text NOT NULL DEFAULT '',
            reason text NOT NULL DEFAULT '',
            counters uuid UNIQUE REFERENCES ledger,
            actor uuid NOT NULL,
            at timestamptz NOT NULL,
            UNIQUE (work_id, number),
            CHECK ((amount < 0) = (counters IS NOT NULL)),
            CHECK (counters IS NULL OR reason <> '')
        );
        CREATE TABLE confirmations (
            work_id uuid NOT NULL REFERENCES works,
            user_id uuid NOT NULL,
            verdict text NOT NULL CHECK (verdict IN ('confirmed', 'disputed')),
            note text NOT NULL DEFAULT '',
            hidden boolean NOT NULL DEFAULT false,
            at timestamptz NOT NULL,
            PRIMARY KEY (work_id, user_id)
        );
    """)
