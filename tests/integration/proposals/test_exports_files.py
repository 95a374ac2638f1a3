"""A campaign's files: what is in them, what never is, and that every franc adds up."""

import csv
import io
from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.common import sheets
from services.proposals.exports import repository, service
from services.proposals.exports.domain import TABLES
from tests.integration.proposals.review_world import Desk, Laid, refused
from tests.integration.proposals.works_world import Works
from tests.integration.proposals.world import COTONOU, World

pytestmark = pytest.mark.integration

FORMS = [(subject, form) for subject in TABLES for form in ("csv", "geojson")]
FORMS.remove(("ledger", "geojson"))
EVIL = '=HYPERLINK("http://evil")'


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.fixture
def works(world: World) -> Works:
    return Works(world.client, world.engine, world.signer)


def take(world: World, campaign: Any, subject: str, form: str = "csv") -> Any:
    answer = world.client.get(f"/api/v1/campaigns/{campaign}/export/{subject}.{form}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == sheets.MEDIA_TYPES[form]
    return answer


def lines(world: World, campaign: Any, subject: str) -> list[dict[str, str]]:
    content = take(world, campaign, subject).content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content), delimiter=";"))


def features(world: World, campaign: Any, subject: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = take(world, campaign, subject, "geojson").json()["features"]
    return found


def lay(desk: Desk) -> dict[str, Laid]:
    """Lay proposals in every state that matters to a file; the first one is all that one can be."""
    campaign = desk.campaign()
    laid = {
        "full": desk.lay(campaign, need=EVIL, author_name="Comité de Sègbèya", hotspot="H-7K4M2"),
        **{name: desk.lay(campaign) for name in ("plain", "hidden", "merged", "withdrawn")},
        "draft": desk.lay(campaign, draft=True),
    }
    desk.run("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=laid["hidden"].id)
    desk.run("UPDATE proposals SET status = 'withdrawn' WHERE id = :id", id=laid["withdrawn"].id)
    desk.run(
        "UPDATE proposals SET status = 'merged', merged_into = :into WHERE id = :id",
        id=laid["merged"].id,
        into=laid["full"].id,
    )
    desk.decided(laid["full"], "not_feasible", reason='+229 ; "privé"\nvoir plan', cost=7_000_000)
    desk.answer(laid["full"], words="Non.")
    desk.decided(laid["full"], "feasible", reason="Titre trouvé.", cost=5_000_000)
    return laid


def test_the_columns_keep_their_order(desk: Desk) -> None:
    laid = lay(desk)
    for subject, table in TABLES.items():
        content = take(desk.world, laid["full"].campaign, subject).content
        assert content.startswith(b"\xef\xbb\xbf")
        head = content.decode("utf-8-sig").splitlines()[0].split(";")
        names = [column.name for column in table.columns]
        assert head == ([*names, "lon", "lat"] if table.placed else names)
    for subject in ("proposals", "revisions"):
        one = features(desk.world, laid["full"].campaign, subject)[0]
        assert list(one["properties"]) == [column.name for column in TABLES[subject].columns]


def test_proposals_tell_what_anybody_reads_of_them(desk: Desk) -> None:
    laid = lay(desk)
    rows = lines(desk.world, laid["full"].campaign, "proposals")
    shown = [laid[name].ref for name in ("full", "plain", "merged", "withdrawn")]
    assert [row["ref"] for row in rows] == shown
    full, plain, merged, _ = rows
    assert (full["estimated_cost"], full["cost"], full["outcome"], full["reason"]) == (
        "4500000", "5000000", "feasible", "Titre trouvé.",
    )  # fmt: skip
    assert (full["author_name"], full["answer"], full["hotspot"], full["envelope"]) == (
        "Comité de Sègbèya", "Non.", "H-7K4M2", "Tous",
    )  # fmt: skip
    assert full["need"] == f"'{EVIL}"
    assert (plain["cost"], plain["outcome"], plain["number"]) == ("", "", "")
    assert (merged["status"], merged["merged_into"]) == ("merged", laid["full"].ref)
    at = datetime.fromisoformat(full["submitted_at"])
    assert full["submitted_at"].endswith("Z")
    assert at == desk.row(laid["full"])["submitted_at"].replace(microsecond=0)
    lon, lat = desk.world.point()
    assert (float(full["lon"]), float(full["lat"])) == pytest.approx((lon, lat), abs=1e-5)

    told = features(desk.world, laid["full"].campaign, "proposals")
    assert [one["properties"]["ref"] for one in told] == shown
    assert told[0]["id"] == laid["full"].id
    assert told[0]["geometry"]["type"] == "Point"
    assert told[0]["properties"]["need"] == EVIL  # no spreadsheet runs it here
    assert told[0]["properties"]["cost"] == 5_000_000
    assert told[0]["properties"]["submitted_at"] == full["submitted_at"]


def test_no_formula_is_run_whatever_is_written(desk: Desk) -> None:
    campaign = desk.campaign()
    words = ("=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0")
    for word in words:
        laid = desk.lay(campaign, title=f"{word} x1", description=word, beneficiaries=word)
        desk.decided(laid, reason=word)
    for row in lines(desk.world, campaign[0], "proposals"):
        for name in ("title", "description", "beneficiaries", "reason"):
            assert row[name].startswith("'"), row[name]
    assert {row["description"] for row in lines(desk.world, campaign[0], "revisions")} == {
        f"'{word}" for word in words
    }


def test_a_lines_place_stands_for_it_and_its_shape_is_kept(desk: Desk) -> None:
    lon, lat = desk.world.point()
    shape = {"type": "LineString", "coordinates": [[lon, lat], [lon + 1e-3, lat + 1e-3]]}
    laid = desk.lay(geometry=shape)
    (row,) = lines(desk.world, laid.campaign, "proposals")
    assert abs(float(row["lon"]) - lon) <= 1e-3
    for subject in ("proposals", "revisions"):
        (one,) = features(desk.world, laid.campaign, subject)
        assert one["geometry"]["type"] == "LineString"
        assert one["geometry"]["coordinates"][1] == pytest.approx(
            [lon + 1e-3, lat + 1e-3], abs=2e-6
        )


def test_revisions_tell_every_text_that_was_public(desk: Desk) -> None:
    laid = desk.lay(phase="ideas", author_name="Awa")
    change = {"title": "Huit lampadaires", "estimated_cost": 5_500_000, "note": "Deux de plus."}
    answer = desk.call("PATCH", f"proposals/{laid.id}", laid.author, change)
    assert answer.status_code == 200, answer.text
    other = desk.lay((laid.campaign, laid.envelope), phase="ideas")
    desk.run("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=other.id)
    desk.lay((laid.campaign, laid.envelope), phase="ideas", draft=True)
    first, second = lines(desk.world, laid.campaign, "revisions")
    assert (first["proposal"], first["number"], first["kind"], first["by"]) == (
        laid.ref, "1", "submitted", "author",
    )  # fmt: skip
    assert (second["number"], second["kind"], second["note"], second["title"]) == (
        "2", "edit", "Deux de plus.", "Huit lampadaires",
    )  # fmt: skip
    assert (first["estimated_cost"], second["estimated_cost"]) == ("4500000", "5500000")
    assert (second["envelope"], second["arrondissement"]) == (
        "Tous",
        desk.row(laid)["arrondissement"],
    )
    told = features(desk.world, laid.campaign, "revisions")
    assert [one["id"] for one in told] == [f"{laid.ref}/1", f"{laid.ref}/2"]
    assert [one["properties"]["estimated_cost"] for one in told] == [4_500_000, 5_500_000]


def fund(works: Works, campaign: dict[str, Any], *costs: int) -> list[UUID]:
    """Fund proposals of these costs, in this order."""
    made = []
    for cost in costs:
        made.append(works.fund(campaign, cost, title=f"Projet {cost}"))
        works.execute("UPDATE proposals SET number = NULL WHERE id = :id", id=made[-1])
    return made


def spend(works: Works, campaign: dict[str, Any]) -> list[str]:
    """Open three works and spend on two of them, with a correction."""
    refs = works.open(campaign, *fund(works, campaign, 4_800_000, 9_000_000, 1_200_000))
    for ref in refs[:2]:
        works.take(ref, "tendering", "under_way")
    works.spent(refs[0], "commitment", 4_000_000, payee="=SUM(A1)", document="BC-1")
    wrong = works.spent(refs[0], "invoice", 4_000_000)
    assert works.counter(refs[0], wrong["id"]).status_code == 201
    works.spent(refs[0], "invoice", 1_500_000)
    works.spent(refs[0], "payment", 1_500_000)
    works.spent(refs[1], "commitment", 9_000_000)
    return refs


def test_every_franc_of_the_works_is_a_sum_of_the_ledgers_lines(works: Works, world: World) -> None:
    campaign = works.campaign("works")
    refs = spend(works, campaign)
    entries = lines(world, campaign["id"], "ledger")
    sums: dict[str, dict[str, int]] = {ref: defaultdict(int) for ref in refs}
    for one in entries:
        sums[one["work"]][one["kind"]] += int(one["amount"])
    told = {row["ref"]: row for row in lines(world, campaign["id"], "works")}
    assert list(told) == refs
    for ref, row in told.items():
        for kind, name in (
            ("commitment", "committed"),
            ("invoice", "invoiced"),
            ("payment", "paid"),
        ):
            assert int(row[name]) == sums[ref][kind], (ref, kind)
        assert int(row["balance"]) == int(row["voted_cost"]) - sums[ref]["payment"]
    assert sums[refs[0]] == {"commitment": 4_000_000, "invoice": 1_500_000, "payment": 1_500_000}
    assert sum(int(row["voted_cost"]) for row in told.values()) == 15_000_000
    # The correction names the line that it takes back, with its reason.
    (back,) = (one for one in entries if one["counters"])
    assert (back["number"], back["counters"], back["amount"], back["reason"]) == (
        "3", "2", "-4000000", "Saisie deux fois.",
    )  # fmt: skip
    assert entries[0]["payee"] == "'=SUM(A1)"
    assert entries[0]["document"] == "BC-1"
    assert len(entries[0]["dated"]) == 10
    assert entries[0]["at"].endswith("Z")


def test_works_stand_on_the_map_with_what_citizens_say(works: Works, world: World) -> None:
    campaign = works.campaign("works")
    (ref,) = works.open(campaign, works.fund(campaign, title="Projet"))
    works.take(ref, "tendering", "under_way")
    works.post(ref, "completion", note="Tout est posé.")
    for verdict in ("confirmed", "confirmed", "disputed"):
        said = {"verdict": verdict, "note": "Vu sur place."}
        answer = works.call("POST", f"{ref}/confirmations", said, works.token())
        assert answer.status_code in (200, 201), answer.text
    (one,) = features(world, campaign["id"], "works")
    told = one["properties"]
    assert (told["ref"], told["title"], told["status"]) == (ref, "Projet", "completed")
    assert (told["confirmed"], told["disputed"], told["envelope"]) == (2, 1, "Toute la commune")
    assert (told["voted_cost"], told["paid"], told["balance"]) == (4_800_000, 0, 4_800_000)
    assert told["completed_at"].endswith("Z")
    assert one["geometry"]["type"] == "Point"


def test_money_stays_told_when_a_text_is_hidden(works: Works, world: World) -> None:
    campaign = works.campaign("works")
    spend(works, campaign)
    before = lines(world, campaign["id"], "ledger")
    works.execute(
        "UPDATE proposals SET hidden_at = now() WHERE campaign_id = :id", id=campaign["id"]
    )
    assert lines(world, campaign["id"], "proposals") == []
    assert lines(world, campaign["id"], "ledger") == before
    rows = lines(world, campaign["id"], "works")
    assert [row["title"] for row in rows] == ["", "", ""]
    assert sum(int(row["committed"]) for row in rows) == 13_000_000


def test_no_person_is_in_any_file(desk: Desk, works: Works) -> None:
    laid = lay(desk)
    campaign = works.campaign("works")
    spend(works, campaign)
    people = [str(one) for one in desk.people] + [
        str(row["id"])
        for row in desk.world.rows(
            "SELECT actor AS id FROM ledger UNION SELECT author_id FROM proposals "
            "UNION SELECT user_id FROM authors UNION SELECT reviewer_id FROM reviews"
        )
    ]
    assert len(people) > 10
    for of in (laid["full"].campaign, campaign["id"]):
        for subject, form in FORMS:
            content = take(desk.world, of, subject, form).text
            assert not [one for one in people if one in content], (subject, form)
            for name in ("hidden", "draft"):
                assert laid[name].ref not in content


def test_what_a_hidden_proposal_goes_on_in_is_not_named(desk: Desk) -> None:
    laid = lay(desk)
    desk.run("UPDATE proposals SET hidden_at = now() WHERE id = :id", id=laid["full"].id)
    rows = lines(desk.world, laid["full"].campaign, "proposals")
    assert [row["merged_into"] for row in rows if row["status"] == "merged"] == [""]


@pytest.mark.parametrize(("subject", "form"), FORMS)
def test_more_than_one_batch_is_one_file(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch, subject: str, form: str
) -> None:
    read: Any = repository.batches

    def few(*given: Any) -> Any:
        return read(*given, size=4)

    monkeypatch.setattr(repository, "batches", few)
    works = Works(world.client, world.engine, world.signer)
    campaign = works.campaign("works", budget=90_000_000)
    proposals = fund(works, campaign, *[1_000_000] * 8)  # two full batches, then none
    for one in proposals:
        works.execute(
            "INSERT INTO revisions (proposal_id, number, kind, at, actor_kind, content) "
            "SELECT id, n, 'edit', now(), 'author', jsonb_build_object('title', title, "
            "'geometry', ST_AsGeoJSON(geom)::jsonb) FROM proposals, generate_series(1, 2) n "
            "WHERE id = :id",
            id=one,
        )
    refs = works.open(campaign, *proposals)
    works.take(refs[0], "tendering", "under_way")
    for _ in range(6):
        works.spent(refs[0], "commitment", 100_000)
    expected = {"proposals": 8, "works": 8, "ledger": 6, "revisions": 16}[subject]
    if form == "csv":
        rows: list[Any] = lines(world, campaign["id"], subject)
        keys = {(*row.values(),)[:3] for row in rows}
    else:
        rows = features(world, campaign["id"], subject)
        keys = {(row["id"],) for row in rows}
    assert len(keys) == len(rows) == expected


@pytest.mark.parametrize(("subject", "form"), FORMS)
def test_nothing_is_a_file_too(desk: Desk, subject: str, form: str) -> None:
    campaign, _ = desk.campaign()
    answer = take(desk.world, campaign, subject, form)
    if form == "csv":
        assert len(answer.text.splitlines()) == 1
    else:
        assert answer.json() == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize(
    ("subject", "form", "name"),
    [
        ("proposals", "csv", "propositions"),
        ("works", "geojson", "travaux"),
        ("ledger", "csv", "depenses"),
        ("revisions", "csv", "revisions"),
    ],
)
def test_a_file_is_named_for_what_it_holds(desk: Desk, subject: str, form: str, name: str) -> None:
    campaign, _ = desk.campaign()
    headers = take(desk.world, campaign, subject, form).headers
    told = headers["content-disposition"]
    assert told.startswith(f'attachment; filename="{name}-{COTONOU}-20')
    assert told.endswith(f'.{form}"')
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "what",
    ["ledger.geojson", "proposals.gpkg", "proposals.CSV", "people.csv", "proposals.csv.exe",
     "campaigns.csv", ".csv", "%2e%2e.csv"],
)  # fmt: skip
def test_there_is_no_other_file(desk: Desk, what: str) -> None:
    campaign, _ = desk.campaign()
    answer = desk.call("GET", f"campaigns/{campaign}/export/{what}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_campaign_that_is_not_there_has_no_files(desk: Desk) -> None:
    answer = desk.call("GET", f"campaigns/{uuid4()}/export/proposals.csv")
    refused(answer, 404, "campaign_not_found")
    refused(desk.call("GET", "campaigns/x/export/proposals.csv"), 422, "invalid")


def test_a_reader_holds_no_connection(desk: Desk) -> None:
    laid = desk.lay()
    desk.lay((laid.campaign, laid.envelope))
    pool: Any = desk.world.engine.pool
    rows = repository.batches(desk.world.engine, "proposals", "csv", laid.campaign, size=1)
    assert len(next(rows)) == 1
    assert pool.checkedout() == 0
    assert sum(map(len, rows)) == 1
    # And nothing is read before the first byte is asked for.
    with desk.world.engine.begin() as connection:
        later = service.content(desk.world.engine, laid.campaign, "proposals", "csv")
        connection.execute(text("UPDATE proposals SET title = 'Après'"))
    assert "Après" in b"".join(later).decode()
