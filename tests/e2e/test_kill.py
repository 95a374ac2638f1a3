"""`kill -9` of every process while people write: nothing is lost, nothing counts twice."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx2 as httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from tests.e2e.loading import Load
from tests.e2e.running import Palabre, wait_for

pytestmark = pytest.mark.e2e

COMMUNE, PLACE = "0101", (2.437, 11.300)  # Banikoara, where nothing else happens
BUDGET = 10_000_000
COSTS = (4_000_000, 5_000_000, 2_000_000, 3_000_000)
#: Who dies while problems are reported, and who while people vote; `postgres` and `kafka` in both.
REPORTING = (
    "accounts",
    "reports",
    "reports-relay",
    "reports-consume",
    "gateway-consume",
    "gateway",
    "postgres",
    "kafka",
)
VOTING = (
    *("voting-consume", "voting", "proposals", "proposals-consume", "postgres"),
    *("accounts-relay", "proposals-relay", "voting-relay", "kafka"),
)


@pytest.fixture(scope="module")
def load(palabre: Palabre) -> Iterator[Load]:
    made = Load(palabre, COMMUNE, PLACE)
    yield made
    made.close()


def kill(palabre: Palabre, name: str) -> None:
    """Kill a process; return when its successor is there."""
    old = wait_for(lambda: palabre.pid(name), 40, f"{name} to run")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: palabre.pid(name) not in (None, old), 40, f"{name} to come back", 0.1)


def killing(palabre: Palabre, names: tuple[str, ...], start: Any, times: int) -> None:
    """For each process: start writes, kill it among them, wait until all are acknowledged."""
    for name in names:
        if name.endswith(("-relay", "kafka")) and palabre.events != "kafka":
            continue
        began = time.monotonic()
        writes: list[Future[None]] = start(times)
        time.sleep(0.05)
        kill(palabre, name)
        for write in writes:
            write.result(90)
        print(f"killed {name}: {len(writes)} acknowledged after {time.monotonic() - began:.1f} s")


HOTSPOTS = "SELECT ref, version FROM hotspots WHERE commune = %s"


def query(palabre: Palabre, service: str, sql: str) -> dict[Any, Any]:
    """Ask a service's own database about the commune."""
    url = make_url(palabre.settings[f"PALABRE_{service.upper()}_DATABASE_URL"])
    connection = psycopg2.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False)
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, (COMMUNE,))
            return dict(cursor.fetchall())
    finally:
        connection.close()


def test_killing_any_process_loses_and_doubles_nothing(palabre: Palabre, load: Load) -> None:
    books, api = load.books, load.api
    killing(palabre, REPORTING, lambda n: load.send(load.report, n), 5)

    campaign = load.campaign(COSTS, BUDGET)
    kill(palabre, "proposals-consume")
    load.enter(campaign, "vote")
    kill(palabre, "voting-consume")
    (election,) = wait_for(lambda: api.get("/elections", campaign=campaign)["items"], 40, "vote")
    election = api.get(f"/elections/{election['id']}")
    projects = {p["id"]: p["cost"] for p in election["projects"]}
    assert sorted(projects.values()) == sorted(COSTS)

    def ballots(times: int) -> list[Future[None]]:
        return load.send(lambda: load.ballot(election["id"], list(projects)), times)

    killing(palabre, VOTING, ballots, 8)

    # The close and some reports are under way when the launcher itself goes, and all with it.
    path, early = f"/elections/{election['id']}/close", {"reason": "Tout le monde a voté."}
    closing = load.send(lambda: api.post(path, early, who=load.agent), 1)
    writes = load.send(load.report, 4)
    time.sleep(0.1)
    palabre.kill()
    palabre.start()
    for write in writes:
        write.result(90)
    results = closing[0].result(90)
    assert len(palabre.lines("demonstration loaded in")) == palabre.demo  # not again

    reports_are_exact(palabre, load)
    votes_are_exact(load, results)
    everybody_knows(palabre, load, campaign, results)
    events_are_exact(palabre, load, len(projects))
    assert palabre.command("events", "dead-letters") == ""
    print(f"{api.tries} requests for {3 * len(books.status) + len(books.ballots)} writes")


def reports_are_exact(palabre: Palabre, load: Load) -> None:
    """What reports holds is what it acknowledged, each once; the gateway's map is the same."""
    books = load.books
    found = [f["properties"] for f in load.api.pages("/reports", commune=COMMUNE)]
    assert Counter(r["id"] for r in found) == Counter(books.status.keys())
    assert {r["id"]: r["status"] for r in found} == books.status
    assert {r["id"]: r["supports"] for r in found} == books.supports
    for report, steps in books.steps.items():
        assert len(load.api.get(f"/reports/{report}")["history"]) == steps
    wait_for(lambda: layer(palabre, "reports") == books.status, 30, "the map to be the truth", 0.3)


def layer(palabre: Palabre, name: str) -> dict[str, str]:
    """Return id → status of a layer, from the gateway's own projection."""
    url = f"{palabre.url}/communes/{COMMUNE}/layers/{name}.geojson"
    features = httpx.get(url, timeout=10, trust_env=False).raise_for_status().json()["features"]
    assert len({f["properties"]["id"] for f in features}) == len(features)
    return {f["properties"]["id"]: f["properties"]["status"] for f in features}


def votes_are_exact(load: Load, results: dict[str, Any]) -> None:
    """As many ballots as voters who were told so, and the voices they gave."""
    voices = Counter(choice for ballot in load.books.ballots for choice in ballot)
    assert results["turnout"] == len(load.books.ballots)
    assert {p["id"]: p["votes"] for p in results["projects"]} == {
        p["id"]: voices[p["id"]] for p in results["projects"]
    }
    assert load.api.get(f"/elections/{results['election']}/results") == results
    assert 0 < results["total_cost"] <= BUDGET


def everybody_knows(palabre: Palabre, load: Load, campaign: str, results: dict[str, Any]) -> None:
    """Proposals and the gateway learned the count from its event."""
    wait_for(
        lambda: load.api.get(f"/campaigns/{campaign}")["phase"] == "results", 30, "the results", 0.3
    )
    winners = {p["id"]: p["funded"] for p in results["projects"]}
    expected = {i: "funded" if won else "not_funded" for i, won in winners.items()}
    found = [f["properties"] for f in load.api.pages("/proposals", campaign=campaign)]
    assert {p["id"]: p["status"] for p in found} == expected
    funded = {i: "funded" for i, won in winners.items() if won}
    wait_for(lambda: layer(palabre, "funded") == funded, 30, "the funded projects on the map", 0.3)


def events_are_exact(palabre: Palabre, load: Load, projects: int) -> None:
    """Each fact was published once, by the one who holds it."""
    number = len(load.books.status)
    expected = {
        "reports": {"report.received": number, "report.status_changed": number},
        "voting": dict.fromkeys(
            ("election.opened", "election.closed", "election.results_published"), 1
        ),
    }
    sql = "SELECT type, count(*) FROM outbox WHERE key = %s GROUP BY type"
    for service, counts in expected.items():
        said = query(palabre, service, sql)
        # Where many reports gather a hotspot may be found: each once, however often it is looked.
        found = said.pop("bj.palabre.hotspot.detected.v1", 0)
        assert found == (len(query(palabre, "reports", HOTSPOTS)) if service == "reports" else 0)
        assert said == {f"bj.palabre.{t}.v1": n for t, n in counts.items()}
    found = query(palabre, "proposals", sql)
    assert found["bj.palabre.campaign.ballot_frozen.v1"] == 1
    decided = [found.get(f"bj.palabre.proposal.{w}.v1", 0) for w in ("funded", "not_funded")]
    assert sum(decided) == projects
