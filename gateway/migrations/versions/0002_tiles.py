"""Reports that move, hide and come back; counts per cell of the map, for vector tiles.

A place is a pair of whole numbers on the square world of web maps (EPSG:3857), 2^30 units a side,
y down: tile (z, x, y) is a square of 2^(30 - z) units. Interleaving their bits gives a number
(Morton 1966) whose prefixes are the squares that hold the place: a tile is one range of ``cell``.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION world_x(place geometry) RETURNS int
        LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
            floor((ST_X(place) + 180) / 360 * 1073741824)::int;
        CREATE FUNCTION world_y(place geometry) RETURNS int
        LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
            floor(1073741824 * (0.5 - ln(tan(pi() / 4
                + radians(least(greatest(ST_Y(place), -85.05), 85.05)) / 2)) / (2 * pi())))::int;
        CREATE FUNCTION spread(n bigint) RETURNS bigint
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
        BEGIN
            n := (n | (n << 16)) & x'0000FFFF0000FFFF'::bigint;
            n := (n | (n << 8)) & x'00FF00FF00FF00FF'::bigint;
            n := (n | (n << 4)) & x'0F0F0F0F0F0F0F0F'::bigint;
            n := (n | (n << 2)) & x'3333333333333333'::bigint;
            RETURN (n | (n << 1)) & x'5555555555555555'::bigint;
        END $$;
        CREATE FUNCTION interleave(x int, y int) RETURNS bigint
        LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN spread(x) | (spread(y) << 1);

        -- `cell` is null for what is not on the map: hidden, unplaced, or of no more concern.
        ALTER TABLE map_reports
            ADD COLUMN visible boolean NOT NULL DEFAULT true,
            ADD COLUMN place_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN visible_sequence bigint NOT NULL DEFAULT 0,
            ADD COLUMN open boolean NOT NULL GENERATED ALWAYS AS (status IN
                ('received', 'acknowledged', 'in_progress', 'waiting', 'reopened')) STORED,
            ADD COLUMN x int GENERATED ALWAYS AS (world_x(geom)) STORED,
            ADD COLUMN y int GENERATED ALWAYS AS (world_y(geom)) STORED,
            ADD COLUMN cell bigint GENERATED ALWAYS AS (
                CASE WHEN visible AND status IN ('received', 'acknowledged', 'in_progress',
                    'waiting', 'resolved', 'confirmed', 'reopened', 'forwarded')
                THEN interleave(world_x(geom), world_y(geom)) END) STORED;
        UPDATE map_reports SET place_sequence = 1 WHERE category IS NOT NULL;
        CREATE INDEX map_reports_cell ON map_reports (cell) INCLUDE (commune, open, x, y)
            WHERE cell IS NOT NULL;

        ALTER TABLE map_proposals
            ADD COLUMN x int GENERATED ALWAYS AS (world_x(ST_PointOnSurface(geom))) STORED,
            ADD COLUMN y int GENERATED ALWAYS AS (world_y(ST_PointOnSurface(geom))) STORED,
            ADD COLUMN cell bigint GENERATED ALWAYS AS (interleave(
                world_x(ST_PointOnSurface(geom)), world_y(ST_PointOnSurface(geom)))) STORED;
        CREATE INDEX map_proposals_cell ON map_proposals (cell) WHERE cell IS NOT NULL;

        -- x and y are sums, of whole numbers, so that their order does not matter.
        CREATE TABLE report_cells (
            level smallint NOT NULL,
            cell bigint NOT NULL,
            commune text NOT NULL,
            reports int NOT NULL,
            open int NOT NULL,
            x bigint NOT NULL,
            y bigint NOT NULL,
            PRIMARY KEY (level, cell, commune)
        );
        INSERT INTO report_cells
        SELECT level, cell >> (2 * (30 - level)), commune, count(*), count(*) FILTER (WHERE open),
            sum(x), sum(y)
        FROM map_reports, generate_series(4, 16, 2) AS level
        WHERE cell IS NOT NULL GROUP BY 1, 2, 3;
    """)
