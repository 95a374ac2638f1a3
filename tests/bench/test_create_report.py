"""Reports pinned through HTTP beside pgbench on the same statement, among 1,000,000 reports.

Prints ratios; asserts only that every acknowledged report is there. ``make bench``.
"""

import json
import multiprocessing
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import uvicorn
from sqlalchemy import create_engine, text

from infra.processes import free_port, wait_until
from services.accounts.tokens import Signer
from services.common.auth import FixedKeys
from services.reports import repository, service
from services.reports.main import make_app
from services.reports.schemas import NewReport
from services.reports.settings import Settings
from tests.apps import Tokens
from tests.bench.conftest import REPORTS
from tests.bench.loadgen import lua_list, pgbench, wrk
from tests.servers import Database

pytestmark = pytest.mark.bench

CONNECTIONS = 32
SECONDS = 8
PEOPLE = 1000

BODY = {
    "lon": 2.42,
    "lat": 6.37,
    "category": "waste",
    "description": "Tas d'ordures au carrefour, depuis deux semaines",
}
LUA = """
local tokens = {tokens}
local body = '{body}'
local n = 0
request = function()
  n = n + 1
  local headers = {{["Content-Type"] = "application/json",
    ["Authorization"] = tokens[1 + (n * 7919 + math.random(1000)) % #tokens]}}
  local lon = 2.38 + math.random() * 0.05
  return wrk.format("POST", "/api/v1/reports", headers, (body:gsub("2.42", tostring(lon))))
end
"""


def serve(url: str, port: int, key: Path) -> None:
    """Be the reports service, whose people may report as often as they like."""
    from services.reports import domain

    domain.REPORTS_PER_HOUR = 10**9
    settings = Settings(_env_file=None, database_url=url, secret="secret")
    app = make_app(settings)
    app.state.keys = FixedKeys(Signer(key).jwks)
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


@pytest.fixture
def api(many_reports: Database, signing_key: Path) -> Iterator[str]:
    """Run the service as a process of its own."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(many_reports.url("reports"), port, signing_key))
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


def peer_script() -> str:
    """Return the very statement of the service, as pgbench runs it."""
    row = service.new_row(
        NewReport.model_validate(BODY), reporter=uuid.uuid4(), subject="ab" * 32, most=10**9
    )
    given = {"n": 0, **{name: getattr(row, name) for name in row.__slots__}}
    made = json.loads(json.dumps([given], default=str))
    for name in ("id", "ref", "event_id", "subject", "lon"):
        made[0][name] = f"@{name}@"
    literal = json.dumps(made, ensure_ascii=False).replace("'", "''")
    for name, sql in {
        "id": "gen_random_uuid()",
        "ref": "'B-' || gen_random_uuid()",
        "event_id": "gen_random_uuid()",
        "subject": "md5(random()::text) || md5(random()::text)",
        "lon": "2.38 + random() * 0.05",
    }.items():
        literal = literal.replace(f'"@{name}@"', f"\"' || ({sql}) || '\"")
    statement = str(repository._INSERT).replace(":rows", f"'{literal}'")
    lock = "SELECT pg_advisory_xact_lock_shared(hashtextextended('palabre.outbox.reports', 0))"
    return f"BEGIN;\n{lock};\n{' '.join(statement.split())};\nCOMMIT;\n"


def count(database: Database) -> int:
    engine = create_engine(database.url("reports"))
    with engine.connect() as connection:
        found = int(connection.scalar(text("SELECT count(*) FROM reports")) or 0)
    engine.dispose()
    return found


def test_creating_reports(many_reports: Database, api: str, tokens: Tokens, tmp_path: Path) -> None:
    headers = [tokens.bearer()["Authorization"] for _ in range(PEOPLE)]
    body = json.dumps(BODY).replace("'", "\\'")
    script = LUA.format(tokens=lua_list(headers), body=body)
    wrk(api, script, tmp_path, connections=CONNECTIONS, seconds=2)  # warm
    before = count(many_reports)
    ours = wrk(api, script, tmp_path, connections=CONNECTIONS, seconds=SECONDS)
    stored = count(many_reports) - before
    peer = pgbench(
        many_reports.url("reports"),
        peer_script(),
        tmp_path,
        connections=CONNECTIONS,
        seconds=SECONDS,
    )
    assert ours.errors == 0
    assert stored >= int(ours.per_second * SECONDS * 0.9)
    print(f"\n{REPORTS} reports, {CONNECTIONS} connections")
    print(f"pgbench, the same statement: {peer:8.0f} reports/s")
    print(
        f"through HTTP:                {ours.per_second:8.0f} reports/s   "
        f"{ours.per_second / peer:5.2f} of pgbench   p50 {ours.p50:.1f} ms, p99 {ours.p99:.1f} ms"
    )
