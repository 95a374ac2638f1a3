"""Endorsements through HTTP beside pgbench; similar proposals beside trigrams alone.

2,000 proposals in one campaign, all people at 200 of them. Prints ratios; asserts only that what
was acknowledged is there, and that what resembles is found.
"""

import multiprocessing
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import uvicorn
from sqlalchemy import Engine, create_engine, text

from infra.processes import free_port, wait_until
from services.accounts.tokens import Signer
from services.common.auth import FixedKeys
from services.proposals.discussion import repository
from services.proposals.main import make_app
from services.proposals.settings import Settings
from tests.apps import Tokens
from tests.bench.loadgen import lua_list, pgbench, wrk
from tests.servers import Database

pytestmark = pytest.mark.bench

CONNECTIONS = 32
SECONDS = 8
PEOPLE = 1000
PROPOSALS = 2000
ENDORSED = 200
ASKED = "eclairages du marche n 77"
LUA = """
local tokens, ids = {tokens}, {ids}
request = function()
  local headers = {{["Authorization"] = tokens[math.random(#tokens)]}}
  local path = "/api/v1/proposals/" .. ids[math.random(#ids)] .. "/endorsements"
  return wrk.format("POST", path, headers, "")
end
"""
_FILL = (
    "INSERT INTO campaigns (id, commune, title, budget, phase, version, created_by) "
    "VALUES (:campaign, '0801', 'Budget', 1000000000, 'ideas', 1, gen_random_uuid())",
    "INSERT INTO envelopes (id, campaign_id, name, amount, kind) "
    "VALUES (gen_random_uuid(), :campaign, 'Toute la commune', 1000000000, 'commune')",
    """
    INSERT INTO proposals (id, ref, campaign_id, commune, title, need, description, estimated_cost,
        geom, reports, status, author_id, version, submitted_at, envelope_id)
    SELECT gen_random_uuid(), 'P-' || n, :campaign, '0801',
        (ARRAY['Éclairage du marché', 'Forage de l''école', 'Piste vers le centre de santé',
            'Caniveau de la rue'])[1 + n % 4] || ' n° ' || n, '',
        'Demandé par les habitants du quartier ' || n, 1000000,
        ST_SetSRID(ST_MakePoint(2.38 + random() * 0.05, 6.36 + random() * 0.02), 4326), '{}',
        'submitted', gen_random_uuid(), 1, now() - n * interval '1 minute',
        (SELECT id FROM envelopes WHERE campaign_id = :campaign)
    FROM generate_series(1, :many) n
    """,
    "ANALYZE",
)
_TRIGRAMS = text(
    "SELECT ref FROM proposals WHERE campaign_id = :campaign "
    "ORDER BY public.similarity(lower(title), lower(:title)) DESC LIMIT 5"
)


@pytest.fixture(scope="module")
def campaign(fresh_database: Database) -> Iterator[tuple[Engine, uuid.UUID]]:
    """Fill a campaign."""
    engine = create_engine(fresh_database.url("proposals"))
    made = uuid.uuid4()
    with engine.begin() as connection:
        for statement in _FILL:
            connection.execute(text(statement), {"campaign": made, "many": PROPOSALS})
    yield engine, made
    engine.dispose()


def serve(url: str, port: int, key: Path) -> None:
    """Be the proposals service."""
    settings = Settings(_env_file=None, database_url=url)
    app = make_app(settings)
    app.state.keys = FixedKeys(Signer(key).jwks)
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


@pytest.fixture(scope="module")
def api(fresh_database: Database, signing_key: Path) -> Iterator[str]:
    """Run the service as a process of its own."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    given = (fresh_database.url("proposals"), port, signing_key)
    process = context.Process(target=serve, args=given)
    process.start()

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        assert wait_until(answers, 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def peer_script(ids: list[str]) -> str:
    """Return the very statements of the service, as pgbench runs them."""
    some = "(ARRAY[" + ",".join(f"'{one}'" for one in ids) + "]::uuid[])"
    endorse = " ".join(str(repository._ENDORSE).split())
    for name, value in {
        ":proposal": f"({some}[:n])",
        ":user": "md5((:p)::text)::uuid",
        ":at": "NULL::timestamptz",
        ":open": "ARRAY['submitted']",
    }.items():
        endorse = endorse.replace(name, value)
    head = " ".join(repository._HEAD.format("id").split()).replace(":key", f"{some}[:n]")
    return (
        f"\\set n random(1, {len(ids)})\n\\set p random(1, {PEOPLE * 1000})\n"
        f"BEGIN;\n{head};\n{endorse};\nCOMMIT;\n"
    )


def test_endorsing(
    campaign: tuple[Engine, uuid.UUID],
    fresh_database: Database,
    api: str,
    tokens: Tokens,
    tmp_path: Path,
) -> None:
    engine, made = campaign
    with engine.connect() as connection:
        query = "SELECT id::text FROM proposals WHERE campaign_id = :campaign LIMIT :many"
        given = {"campaign": made, "many": ENDORSED}
        ids = list(connection.scalars(text(query), given))
    headers = [tokens.bearer()["Authorization"] for _ in range(PEOPLE)]
    script = LUA.format(tokens=lua_list(headers), ids=lua_list(ids))
    wrk(api, script, tmp_path, connections=CONNECTIONS, seconds=2)  # warm
    ours = wrk(api, script, tmp_path, connections=CONNECTIONS, seconds=SECONDS)
    with engine.connect() as connection:
        counted, kept = connection.execute(
            text("SELECT (SELECT sum(endorsements) FROM proposals), count(*) FROM endorsements")
        ).one()
    url = fresh_database.url("proposals")
    peer = pgbench(url, peer_script(ids), tmp_path, connections=CONNECTIONS, seconds=SECONDS)
    assert ours.errors == 0
    assert counted == kept > 0
    print(f"\n{ENDORSED} proposals, {PEOPLE} people, {CONNECTIONS} connections")
    print(f"pgbench, the same statements: {peer:8.0f} endorsements/s")
    print(
        f"through HTTP:                 {ours.per_second:8.0f} endorsements/s   "
        f"{ours.per_second / peer:5.2f} of pgbench   p50 {ours.p50:.1f} ms, p99 {ours.p99:.1f} ms"
    )


def test_finding_similar_proposals(campaign: tuple[Engine, uuid.UUID], api: str) -> None:
    engine, made = campaign
    asked = {"campaign": str(made), "title": ASKED, "lon": 2.4, "lat": 6.37}

    def ask() -> list[str]:
        found = httpx.get(f"{api}/api/v1/proposals/similar", params=asked).json()["items"]
        return [one["title"] for one in found]

    def compare() -> None:
        with engine.connect() as connection:
            connection.execute(_TRIGRAMS, {"campaign": made, "title": ASKED}).all()

    spent = {}
    for name, act in (("similar", ask), ("trigrams", compare)):
        act()
        begun = time.perf_counter()
        for _ in range(20):
            act()
        spent[name] = (time.perf_counter() - begun) / 20
    assert all(title.startswith("Éclairage du marché") for title in ask())
    print(f"\nsimilar to a title among {PROPOSALS} proposals")
    print(f"trigrams of the titles alone, in SQL:        {spent['trigrams'] * 1000:6.1f} ms")
    print(
        f"titles, stems and distance, through HTTP:    {spent['similar'] * 1000:6.1f} ms   "
        f"{spent['similar'] / spent['trigrams']:5.2f} of it"
    )
