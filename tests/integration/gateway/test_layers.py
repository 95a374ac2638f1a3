"""Layers and map scripts: built once a version, asked again for nothing."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import Engine

from gateway.layers import SHOWN, commune_map_parts, country_map_parts
from gateway.projections import CONSUMER
from services.common.db import make_engine, make_sessions
from services.common.events.envelope import EventData, new_event
from services.common.events.inbox import apply
from services.proposals.events import (
    Geometry,
    ProposalDiscussed,
    ProposalFunded,
    ProposalMerged,
    ProposalReviewed,
    ProposalRevised,
    ProposalSubmitted,
    ProposalUnmerged,
    ProposalVisibilityChanged,
    WorkChanged,
    WorkOpened,
)
from services.reports.events import (
    ReportCorrected,
    ReportReceived,
    ReportStatusChanged,
    ReportVisibilityChanged,
)
from tests.servers import Database

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
HOSTILE = "${alert(1)}`<script>\"'\\\u2028"


@pytest.fixture(scope="module")
def engine(fresh_database: Database) -> Iterator[Engine]:
    made = make_engine(fresh_database.url("gateway"), threads=2)
    yield made
    made.dispose()


@pytest.fixture
def happen(engine: Engine) -> Any:
    def happen(source: str, commune: str, sequence: int, data: EventData) -> None:
        with make_sessions(engine).begin() as session:
            subject: UUID = data.id  # type: ignore[attr-defined]
            apply(session, CONSUMER, new_event(source, subject, commune, sequence, data))

    return happen


def report(commune: str, ref: str, **more: Any) -> ReportReceived:
    values: dict[str, Any] = {
        "id": uuid4(),
        "ref": ref,
        "commune": commune,
        "arrondissement": None,
        "category": "waste",
        "status": "received",
        "lon": 2.418312345,
        "lat": 6.3654,
        "received_at": NOW,
    }
    return ReportReceived(**values | more)


def test_a_pin_appears_changes_and_leaves(browser: httpx.Client, happen: Any) -> None:
    url = "/communes/0801/layers/reports.geojson"
    empty = browser.get(url)
    assert empty.json() == {"type": "FeatureCollection", "features": []}
    pinned, unplaced = report("0801", "S-1"), report("0801", "S-2", lon=None, lat=None)
    happen("reports", "0801", 1, pinned)
    happen("reports", "0801", 1, unplaced)
    answer = browser.get(url, headers={"If-None-Match": empty.headers["etag"]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/geo+json"
    [feature] = answer.json()["features"]
    assert feature == {
        "type": "Feature",
        "id": str(pinned.id),
        "geometry": {"type": "Point", "coordinates": [2.418312, 6.3654]},
        "properties": {
            "id": str(pinned.id),
            "ref": "S-1",
            "kind": "report",
            "category": "waste",
            "status": "received",
            "created_at": "2026-11-22T09:00:00+00:00",
        },
    }
    moved = ReportStatusChanged(
        id=pinned.id,
        ref="S-1",
        commune="0801",
        previous="received",
        status="rejected",
        changed_at=NOW,
    )
    happen("reports", "0801", 2, moved)
    assert browser.get(url).json()["features"] == []


def test_an_unchanged_layer_is_not_sent_again(browser: httpx.Client, happen: Any) -> None:
    url = "/communes/0402/layers/reports.geojson"
    for n in range(30):
        happen("reports", "0402", 1, report("0402", f"S-A{n}"))
    first = browser.get(url, headers={"Accept-Encoding": "gzip"})
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in first.headers["vary"]
    plain = browser.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == first.json()
    etag = first.headers["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        again = browser.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    happen("reports", "0801", 1, report("0801", "S-other"))
    assert browser.get(url, headers={"If-None-Match": etag}).status_code == 304
    happen("reports", "0402", 1, report("0402", "S-A31"))
    changed = browser.get(url, headers={"If-None-Match": etag})
    assert (changed.status_code, len(changed.json()["features"])) == (200, 31)


def test_a_proposal_moves_from_the_proposals_to_the_funded(
    browser: httpx.Client, happen: Any
) -> None:
    area = [[[2.60, 9.30], [2.62, 9.30], [2.62, 9.32], [2.60, 9.30]]]
    proposal = ProposalSubmitted(
        id=uuid4(),
        ref="P-1",
        campaign=uuid4(),
        commune="0405",
        arrondissement=None,
        title=HOSTILE,
        theme="roads",
        estimated_cost=1_000_000,
        geometry=Geometry(type="Polygon", coordinates=area),
        status="submitted",
        submitted_at=NOW,
    )
    happen("proposals", "0405", 1, proposal)
    [feature] = browser.get("/communes/0405/layers/proposals.geojson").json()["features"]
    assert feature["geometry"]["type"] == "Point"
    assert feature["properties"]["title"] == HOSTILE
    assert feature["properties"]["kind"] == "proposal"
    funded = ProposalFunded(
        id=proposal.id, ref="P-1", campaign=proposal.campaign, commune="0405", cost=900_000
    )
    happen("proposals", "0405", 2, funded)
    assert browser.get("/communes/0405/layers/proposals.geojson").json()["features"] == []
    [feature] = browser.get("/communes/0405/layers/funded.geojson").json()["features"]
    assert (feature["properties"]["status"], feature["properties"]["cost"]) == ("funded", 900_000)


AREA = Geometry(type="Polygon", coordinates=[[[2.6, 9.3], [2.62, 9.3], [2.62, 9.32], [2.6, 9.3]]])
WAY = Geometry(type="LineString", coordinates=[[2.6, 9.3], [2.61, 9.31], [2.62, 9.3]])


def proposed(commune: str, ref: str, campaign: UUID, geometry: Geometry) -> ProposalSubmitted:
    return ProposalSubmitted(
        id=uuid4(),
        ref=ref,
        campaign=campaign,
        commune=commune,
        arrondissement=None,
        title=f"Projet {ref}",
        theme="roads",
        estimated_cost=1_000_000,
        geometry=geometry,
        status="submitted",
        submitted_at=NOW,
    )


def of(data: ProposalSubmitted) -> dict[str, Any]:
    return data.model_dump(include={"id", "ref", "campaign", "commune"})


def on(browser: httpx.Client, commune: str, layer: str, query: str = "") -> dict[str, Any]:
    """Return the properties of what is on a layer, by its reference."""
    answer = browser.get(f"/communes/{commune}/layers/{layer}.geojson{query}")
    return {f["properties"]["ref"]: f["properties"] for f in answer.json()["features"]}


def test_a_shortlist_holds_what_is_to_be_voted_on(browser: httpx.Client, happen: Any) -> None:
    first, second = (proposed("0201", ref, uuid4(), WAY) for ref in ("P-A", "P-B"))
    for one in (first, second):
        happen("proposals", "0201", 1, one)
    assert on(browser, "0201", "shortlist") == {}
    reviewed = ProposalReviewed(**of(first), outcome="feasible", cost=7, status="shortlisted")
    happen("proposals", "0201", 2, reviewed)
    [found] = on(browser, "0201", "shortlist").values()
    assert (found["ref"], found["status"], found["cost"]) == ("P-A", "shortlisted", 7)
    assert on(browser, "0201", "proposals").keys() == {"P-A", "P-B"}
    revised = ProposalRevised(
        **first.model_dump(exclude={"submitted_at", "hotspot", "origin", "title"})
        | {"status": "shortlisted"},
        title="Huit lampadaires",
        revision=2,
        cost=9,
        changed=["title"],
    )
    happen("proposals", "0201", 3, revised)
    happen("proposals", "0201", 4, ProposalDiscussed(**of(first), comments=2))
    [found] = on(browser, "0201", "shortlist").values()
    assert (found["title"], found["cost"], found["comments"]) == ("Huit lampadaires", 9, 2)


def test_what_is_merged_or_hidden_leaves_the_map_and_may_come_back(
    browser: httpx.Client, happen: Any
) -> None:
    one = proposed("0202", "P-M", uuid4(), AREA)
    other = {"into": uuid4(), "into_ref": "P-N"}
    happen("proposals", "0202", 1, one)
    etag = browser.get("/communes/0202/layers/proposals.geojson").headers["etag"]
    told = [
        (ProposalMerged(**of(one), **other, reports=[]), False),
        (
            ProposalUnmerged(**of(one), out_of=other["into"], out_of_ref="P-N", status="submitted"),
            True,
        ),
        (ProposalVisibilityChanged(**of(one), visible=False), False),
        (ProposalVisibilityChanged(**of(one), visible=True), True),
    ]
    for sequence, (event, shown) in enumerate(told, 2):
        happen("proposals", "0202", sequence, event)
        answer = browser.get(
            "/communes/0202/layers/proposals.geojson", headers={"If-None-Match": etag}
        )
        assert answer.status_code == 200
        etag = answer.headers["etag"]
        assert [f["properties"]["ref"] for f in answer.json()["features"]] == ["P-M"] * shown
        assert bool(on(browser, "0202", "proposals", "?ref=P-M")) == shown
        tile = browser.get("/tiles/proposals/0/0/0.mvt?commune=0202").content
        assert (b"P-M" in tile) == shown


def test_a_work_takes_the_place_of_the_project_that_won(browser: httpx.Client, happen: Any) -> None:
    campaign = uuid4()
    built, waiting = (proposed("0203", ref, campaign, WAY) for ref in ("P-BUILT", "P-WAITS"))
    for one in (built, waiting):
        happen("proposals", "0203", 1, one)
        happen("proposals", "0203", 2, ProposalFunded(**of(one), cost=900_000))
    assert on(browser, "0203", "works").keys() == {"P-BUILT", "P-WAITS"}
    head = {
        "id": uuid4(),
        "ref": "T-1",
        "proposal": built.id,
        "proposal_ref": built.ref,
        "campaign": campaign,
        "commune": "0203",
    }
    opened = WorkOpened(
        **head,
        envelope=None,
        title=HOSTILE,
        theme="roads",
        voted_cost=900_000,
        geometry=AREA,
        status="planned",
        opened_at=NOW,
    )
    happen("proposals", "0203", 1, opened)
    found = on(browser, "0203", "works")
    assert found.keys() == {"T-1", "P-WAITS"}
    assert found["T-1"] == {
        "id": str(opened.id),
        "ref": "T-1",
        "kind": "work",
        "category": "roads",
        "status": "planned",
        "created_at": "2026-11-22T09:00:00+00:00",
        "title": HOSTILE,
        "cost": 900_000,
        "progress": 0,
    }
    changed = WorkChanged(
        **head,
        status="suspended",
        progress=40,
        starts_on=None,
        ends_on=None,
        delayed=True,
        changed_at=NOW,
    )
    happen("proposals", "0203", 2, changed)
    found = on(browser, "0203", "works")["T-1"]
    assert (found["status"], found["progress"], found["delayed"]) == ("suspended", 40, True)
    # Who asks for what was funded still hears of all of it.
    assert on(browser, "0203", "funded").keys() == {"P-BUILT", "P-WAITS"}


def test_a_campaign_s_map_holds_its_own_as_it_was_drawn(browser: httpx.Client, happen: Any) -> None:
    mine, theirs = uuid4(), uuid4()
    spot = Geometry(type="Point", coordinates=[2.6, 9.3])
    for ref, campaign, geometry in (
        ("P-AREA", mine, AREA),
        ("P-WAY", mine, WAY),
        ("P-SPOT", mine, spot),
        ("P-ELSE", theirs, AREA),
    ):
        happen("proposals", "0204", 1, proposed("0204", ref, campaign, geometry))
    whole = on(browser, "0204", "proposals")
    assert len(whole) == 4
    assert not any("shape" in one for one in whole.values())
    found = on(browser, "0204", "proposals", f"?campaign={mine}")
    assert found.keys() == {"P-AREA", "P-WAY", "P-SPOT"}
    assert found["P-AREA"]["shape"] == AREA.model_dump()
    assert found["P-WAY"]["shape"] == WAY.model_dump()
    assert "shape" not in found["P-SPOT"]
    assert on(browser, "0204", "proposals", "?ref=P-WAY")["P-WAY"]["shape"] == WAY.model_dump()
    # The parts do not take each other's place, and each is asked for again with its ETag.
    assert on(browser, "0204", "proposals", f"?campaign={theirs}").keys() == {"P-ELSE"}
    assert on(browser, "0204", "proposals") == whole
    url = f"/communes/0204/layers/proposals.geojson?campaign={mine}"
    etag = browser.get(url).headers["etag"]
    assert browser.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_campaigns_that_nobody_has_fill_no_memory(
    browser: httpx.Client, gateway: FastAPI, happen: Any
) -> None:
    campaign = uuid4()
    happen("proposals", "0205", 1, proposed("0205", "P-REAL", campaign, WAY))
    for one in (campaign, *(uuid4() for _ in range(5))):
        browser.get(f"/communes/0205/layers/proposals.geojson?campaign={one}")
    built = gateway.state.layers._built
    assert [key for key in built if key[0] == "0205"] == [("0205", "proposals", campaign)]


def test_a_page_of_a_campaign_tells_its_map_so(gateway: FastAPI) -> None:
    campaign = uuid4()
    view = commune_map_parts(request_of(gateway, "fr"), "0801", "proposals", campaign)
    assert f'data-campaign="{campaign}"' in view.html
    plain = commune_map_parts(request_of(gateway, "fr"), "0801", "proposals")
    assert "data-campaign" not in plain.html
    assert view.scripts == plain.scripts


def test_a_correction_moves_a_pin_and_hiding_takes_it_away(
    browser: httpx.Client, happen: Any
) -> None:
    here, there = (f"/communes/{code}/layers/reports.geojson" for code in ("0301", "0102"))
    pinned = report("0301", "S-MOVED")
    happen("reports", "0301", 1, pinned)
    corrected = ReportCorrected(
        **pinned.model_dump() | {"commune": "0102", "category": "drainage", "corrected_at": NOW}
    )
    happen("reports", "0102", 2, corrected)
    assert browser.get(here).json()["features"] == []
    [feature] = browser.get(there).json()["features"]
    assert feature["properties"]["category"] == "drainage"
    [alone] = browser.get(f"{there}?ref=S-MOVED").json()["features"]
    assert alone == feature
    assert browser.get(f"{there}?ref=S-OTHER").json()["features"] == []
    assert browser.get(f"{here}?ref=S-MOVED").json()["features"] == []
    seen = {"id": pinned.id, "ref": "S-MOVED", "commune": "0102", "changed_at": NOW}
    happen("reports", "0102", 3, ReportVisibilityChanged(**seen, visible=False))
    for url in (there, f"{there}?ref=S-MOVED"):
        assert "S-MOVED" not in browser.get(url).text
    happen("reports", "0102", 4, ReportVisibilityChanged(**seen, visible=True))
    assert browser.get(there).json()["features"] == [feature]


def test_a_map_is_told_its_words_and_where_its_modules_are(
    browser: httpx.Client, gateway: FastAPI
) -> None:
    for language, said in (("fr", "Éclairage public"), ("en", "Street lighting")):
        html = commune_map_parts(request_of(gateway, language), "0801").html
        told = {
            name: json.loads(unescape(value))
            for name, value in re.findall(r'(data-\w+)="([^"]*)"', html)
        }
        assert told["data-words"]["category"]["lighting"] == [said, "lighting", "stone"]
        assert told["data-words"]["report"]["received"][2] == "sky"
        assert told["data-words"]["work"]["suspended"][1:] == ["pause", "clay"]
        assert told["data-modules"].keys() == {"tiles", "months", "draw"}
        assert "data-draw-words" not in told
        for address in told["data-modules"].values():
            assert "immutable" in browser.get(address).headers["cache-control"]
    assert "data-words" not in country_map_parts(request_of(gateway, "fr")).html
    picker = unescape(commune_map_parts(request_of(gateway, "fr"), "0801", "place").html)
    assert '"undo":"Annuler le dernier point"' in picker


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/communes/0801/layers/reports.geojson?ref=123456789012345678901", 422),
        ("/communes/9999/layers/reports.geojson", 404),
        ("/communes/0801/layers/proposals.geojson?campaign=1", 422),
        (f"/communes/0801/layers/reports.geojson?campaign={UUID(int=1)}", 422),
        ("/communes/0801/layers/secrets.geojson", 422),
        ("/communes/0801/layers/..%2f..%2fetc.geojson", 404),
        ("/communes/9999/map-0123456789abcdef.js", 404),
        ("/communes/0801/map-0123456789abcdef.js", 404),
        ("/communes/0801/map-.js", 404),
        ("/map-0.js", 404),
    ],
)
def test_there_is_nothing_elsewhere(browser: httpx.Client, path: str, status: int) -> None:
    answer = browser.get(path, headers={"Accept": "*/*"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def request_of(app: FastAPI, language: str) -> Request:
    headers = [(b"accept-language", language.encode())]
    return Request({"type": "http", "app": app, "headers": headers, "query_string": b""})


def test_map_scripts_are_kept_for_ever_under_their_version(
    browser: httpx.Client, gateway: FastAPI
) -> None:
    views = [country_map_parts(request_of(gateway, "fr"))]
    views += [
        commune_map_parts(request_of(gateway, language), "0801", show)
        for language in ("fr", "en")
        for show in SHOWN
    ]
    own = {view.scripts[-1] for view in views}
    assert len(own) >= 1 + len(SHOWN)
    for view in views:
        for address in (*view.stylesheets, *view.scripts):
            assert address.startswith("/")
            assert not address.startswith("//")
            answer = browser.get(address)
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["cache-control"]
        script = browser.get(view.scripts[-1])
        assert script.headers["content-type"].startswith("text/javascript")
        assert "https://" not in script.text
        assert "http://" not in script.text
        assert "<script" not in view.html
    labelled = browser.get(commune_map_parts(request_of(gateway, "en"), "0801").scripts[-1]).text
    assert "Projects to vote on" not in labelled
    assert '"Works"' in labelled
    english = commune_map_parts(request_of(gateway, "en"), "0801", "shortlist")
    assert english.scripts[-1] in own


def test_a_stale_hash_is_not_kept(browser: httpx.Client) -> None:
    answer = browser.get("/static/js/map.js?v=000000000000")
    assert answer.headers["cache-control"] == "no-cache"
    assert gzip.compress(b"") != answer.content
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert browser.get(path).status_code == 404
