"""How long "is there one already?" takes in the database, among 1,000,000 reports.

Prints percentiles; asserts only that what lies there is found. ``make bench``.
"""

import random
import re
import time

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
        cursor.execute(f"PREPARE look (float8, float8, text, float8, float8) AS {statement}")
        for turn in range(TIMES + 500):
            lon, lat, category = dice.choice(spots)
            radius = domain.CATEGORIES[category].radius_m
            values = (lon, lat, category, radius, radius / 108_000)
            started = time.perf_counter()
            cursor.execute("EXECUTE look (%s, %s, %s, %s, %s)", values)
            if turn >= 500:  # warm
                taken.append(1000 * (time.perf_counter() - started))
                found += cursor.rowcount > 0
    engine.dispose()
    assert found == TIMES
    taken.sort()
    p50, p99 = taken[TIMES // 2], taken[TIMES * 99 // 100]
    print(f"\n{REPORTS} reports, look-up by point, category and radius, prepared, over loopback:")
    print(f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
