"""How long "is there one already?" takes in the database, among 1,000,000 reports.

Prints percentiles; asserts only that what lies there is found. ``make bench``.
"""

import random
import re

import pytest
from sqlalchemy import create_engine, text

from services.reports import domain, repository
from tests.bench.conftest import REPORTS
from tests.servers import Database

pytestmark = pytest.mark.bench

TIMES = 5000
NAMES = ("lon", "lat", "category", "radius", "degrees")
SPOTS = text(
    "SELECT ST_X(geom), ST_Y(geom), category FROM public_reports "
    "WHERE status = 'received' ORDER BY id LIMIT 2000"
)


# The clock is the server's: what a look-up takes in the database, the answer made whole.
LOOK = """
CREATE FUNCTION pg_temp.look(float8, float8, text, float8, float8,
    OUT answers bigint, OUT milliseconds float8) LANGUAGE plpgsql AS $look$
DECLARE started timestamptz := clock_timestamp();
BEGIN
    SELECT count(feature::text) INTO answers FROM ({statement}) AS met;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - started);
END $look$
"""


def test_looking_for_duplicates(many_reports: Database) -> None:
    engine = create_engine(many_reports.url("reports"))
    statement = str(repository._DUPLICATES)
    for number, name in enumerate(NAMES, 1):
        statement = re.sub(rf"(?<!:):{name}\b", f"${number}", statement)
    dice = random.Random(3)  # noqa: S311 - to repeat, not to hide
    taken, found = [], 0
    with engine.connect() as connection:
        spots = connection.execute(SPOTS).all()
        cursor = connection.connection.cursor()
        cursor.execute(LOOK.format(statement=statement))
        for turn in range(TIMES + 500):
            lon, lat, category = dice.choice(spots)
            radius = domain.CATEGORIES[category].radius_m
            values = (lon, lat, category, radius, radius / 108_000)
            cursor.execute("SELECT * FROM pg_temp.look(%s, %s, %s, %s, %s)", values)
            (rows, milliseconds) = cursor.fetchone()
            if turn >= 500:  # warm
                taken.append(milliseconds)
                found += rows > 0
    engine.dispose()
    assert found == TIMES
    taken.sort()
    p50, p99 = taken[TIMES // 2], taken[TIMES * 99 // 100]
    print(f"\n{REPORTS} reports, look-up by point, category and radius, in the database:")
    print(f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
