"""Similar proposals: what French titles have in common, and how near they are."""

import csv
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.common.ids import new_id, new_ref
from services.proposals.merging.similar import similar
from tests.integration.proposals.merging_world import Merging, refused
from tests.integration.proposals.world import World

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("PALABRE_SHARED_DATA", ROOT.parent / "shared" / "data"))
TOULOUSE = SHARED / "pabulib" / "France_Toulouse_2024.pb"

#: Titles and descriptions as people write them; those of one letter want the same thing.
WISHES = [
    ("a", "Éclairage du marché de Dantokpa", "Des lampadaires solaires, la nuit on n'y voit rien."),
    ("a", "Des lampadaires solaires pour le marché Dantokpa", "Il faut éclairer les allées."),
    (
        "b",
        "Éclairage public de la rue des Pêcheurs à Placodji",
        "Dix lampadaires le long de la rue.",
    ),
    ("b", "Lampadaires rue des pêcheurs", "La rue est sombre le soir."),
    (
        "c",
        "Construction d'un module de trois classes à l'EPP Sainte-Rita",
        "Les enfants attendent.",
    ),
    (
        "c",
        "Trois salles de classe de plus à l'école primaire Sainte Rita",
        "L'école manque de salles.",
    ),
    ("d", "Forage équipé d'une pompe à Agblangandan", "Les femmes marchent deux kilomètres."),
    ("d", "Un forage pour le village d'Agblangandan", "Eau potable pour 800 habitants."),
    (
        "e",
        "Dalot de franchissement sur la voie de Zogbo",
        "En saison des pluies la voie est coupée.",
    ),
    ("e", "Construire un dalot à Zogbo", "L'eau coupe la rue en saison des pluies."),
    ("f", "Caniveaux couverts contre les inondations à Fifadji", "Les maisons sont inondées."),
    ("f", "Assainissement : caniveaux à Fifadji", "Inondations à chaque pluie."),
    ("g", "Hangars pour les vendeuses de Gbégamey", "Elles vendent sous la pluie."),
    ("g", "Construction de hangars a GBEGAMEY", "Quatre hangars de vingt places."),
    ("h", "Réhabilitation du centre de santé de Ménontin", "Le toit de la maternité fuit."),
    ("h", "Réparer la maternité du centre de santé de Menontin", "Toiture et eau."),
    ("i", "Terrain de football pour les jeunes de Wologuèdè", "Un terrain clôturé."),
    ("j", "Bibliothèque de quartier à Kouhounou", "Un lieu pour lire et réviser."),
    ("k", "Cours du soir d'alphabétisation en langue fon", "Pour les femmes."),
    ("l", "Bacs à ordures pour Akpakpa", "Les dépotoirs sauvages se multiplient."),
]


@pytest.fixture
def merging(world: World) -> Merging:
    return Merging(world)


def look(merging: Merging, campaign: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = merging.world.client.get(
        "/api/v1/proposals/similar", params={"campaign": campaign["id"], **query}
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    return found


@pytest.mark.parametrize(
    "title",
    [
        "eclairage des marches",
        "ÉCLAIRAGE DU MARCHÉ",
        "Marché : éclairage",
        "Éclairages de marchés",
        "Le marché, son éclairage",
        "éclairage du marcher",
    ],
)
def test_accents_case_plurals_and_order_do_not_matter(merging: Merging, title: str) -> None:
    campaign = merging.world.campaign()
    made = merging.propose(campaign, title="Éclairage du marché", description="Des lampes.")
    merging.propose(campaign, title="Bibliothèque de quartier", description="Lire.")
    (found,) = look(merging, campaign, title=title)
    assert (found["id"], found["ref"], found["title"]) == (made.id, made.ref, "Éclairage du marché")
    assert (found["status"], found["endorsements"], found["distance_m"]) == ("submitted", 0, None)
    assert 0.5 < found["score"] <= 1


def test_what_is_wanted_twice_is_shown_and_little_else(merging: Merging) -> None:
    campaign = merging.world.campaign()
    lon, lat = merging.world.point()
    places: dict[str, list[float]] = {}
    for place, (wish, title, description) in enumerate(WISHES):
        # Each wish has a place of its own, its second mention some 100 m beside it.
        x, y = places.setdefault(wish, [lon + 0.006 * (place % 5 - 2), lat + 0.0002 * place])
        at = {"type": "Point", "coordinates": [x, y]}
        merging.propose(campaign, title=title, description=description, geometry=at)
    same = other = 0
    for wish, title, description in WISHES:
        x, y = places[wish]
        query = {"title": title, "description": description, "lon": x + 0.001, "lat": y}
        found = {one["title"] for one in look(merging, campaign, **query)}
        wanted = {one[1] for one in WISHES if one[0] == wish}
        assert wanted <= found, title
        same += len(wanted) - 1
        other += len(found - wanted)
    assert other <= same / 4


def test_the_unlike_is_not_shown_however_near(merging: Merging) -> None:
    campaign = merging.world.campaign()
    lon, lat = merging.world.point()
    merging.propose(campaign, title="Éclairage du marché", description="Des lampes.")
    for title in ("Bibliothèque de quartier", "Un forage", "de la du", "a", "'", "🌳🌳", " ", ""):
        assert look(merging, campaign, title=title, lon=lon, lat=lat) == []
    assert look(merging, campaign) == []


def test_the_nearer_is_the_more_similar(merging: Merging) -> None:
    campaign = merging.world.campaign()
    lon, lat = merging.world.point()
    for step in (0.02, 0.0, 0.005):
        at = {"type": "Point", "coordinates": [lon + step, lat]}
        merging.propose(campaign, title="Un forage", description="De l'eau.", geometry=at)
    found = look(merging, campaign, title="Forage", lon=lon, lat=lat)
    assert found[0]["distance_m"] == 0
    assert found[1]["distance_m"] == pytest.approx(553, rel=0.01)
    assert found[2]["distance_m"] == pytest.approx(2212, rel=0.01)
    scores = [one["score"] for one in found]
    assert scores[0] > scores[1] > scores[2]
    assert len(look(merging, campaign, title="Forage", lon=lon, lat=lat, limit=1)) == 1


def test_only_what_anybody_may_see_of_the_campaign_is_shown(merging: Merging) -> None:
    campaign = merging.world.campaign()
    made = [merging.propose(campaign, title="Éclairage du marché") for _ in range(5)]
    merging.propose(merging.world.campaign(), title="Éclairage du marché")
    merging.world.begin(campaign, merging.person().headers, title="Éclairage du marché")
    merging.ok(f"proposals/{made[0].id}/withdraw", made[0].author, reason="Doublon.")
    merging.merge(made[1], made[2])
    with merging.world.engine.begin() as connection:
        connection.execute(
            text("UPDATE proposals SET hidden_at = now() WHERE id = :id"), {"id": made[3].id}
        )
    found = look(merging, campaign, title="Éclairage du marché")
    assert {one["id"] for one in found} == {made[1].id, made[4].id}
    apart = look(merging, campaign, title="Éclairage du marché", without=made[4].ref.lower())
    assert [one["id"] for one in apart] == [made[1].id]
    assert set(apart[0]) == {
        "id",
        "ref",
        "title",
        "status",
        "theme",
        "endorsements",
        "distance_m",
        "score",
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"title": "x" * 121}, 422),
        ({"title": "\x00"}, 422),
        ({"description": "x" * 4001}, 422),
        ({"lon": 2.4}, 422),
        ({"lat": 6.4}, 422),
        ({"lon": "nan", "lat": 6.4}, 422),
        ({"lon": 181, "lat": 6.4}, 422),
        ({"lon": 2.4, "lat": "inf"}, 422),
        ({"limit": 21}, 422),
        ({"campaign": "x"}, 422),
        ({"without": "P-222222"}, 404),
        ({"title": "'\\ | & ! ( ) :* <-> \\' ''", "description": "a:1 'b' \\"}, 200),
        ({"title": "é" * 120, "description": "mot " * 1000}, 200),
        ({"campaign": str(uuid4()), "title": "Éclairage"}, 200),
    ],
)
def test_any_text_is_only_looked_for(merging: Merging, query: dict[str, Any], status: int) -> None:
    params = {"campaign": str(uuid4()), **query}
    answer = merging.world.client.get("/api/v1/proposals/similar", params=params)
    assert answer.status_code == status, answer.text


def test_one_half_of_a_place_is_said(merging: Merging) -> None:
    answer = merging.world.client.get(
        "/api/v1/proposals/similar", params={"campaign": str(uuid4()), "lon": 2.4}
    )
    assert refused(answer, 422, "invalid")["errors"][0]["pointer"] == "/lat"


def titles(path: Path) -> list[str]:
    """Return the names of a Pabulib file's projects."""
    lines = path.read_text(encoding="utf-8").splitlines()
    begin, end = lines.index("PROJECTS") + 1, lines.index("VOTES")
    return [row["name"][:120] for row in csv.DictReader(lines[begin:end], delimiter=";")]


@pytest.mark.skipif(not TOULOUSE.exists(), reason=f"no {TOULOUSE} (PALABRE_SHARED_DATA)")
def test_of_a_city_s_projects_few_pairs_are_similar_and_those_truly(world: World) -> None:
    """183 projects of Toulouse (Pabulib, 2024), told apart by their titles alone."""
    campaign = world.campaign()
    names = titles(TOULOUSE)
    pairs: dict[tuple[str, str], float] = {}
    with world.sessions() as session:
        session.execute(
            text("""
                INSERT INTO proposals (id, ref, campaign_id, commune, title, description, geom,
                    reports, status, author_id, endorsements, version, created_at, submitted_at,
                    estimated_cost)
                VALUES (:id, :ref, :campaign, '0801', :title, 'x',
                    ST_SetSRID(ST_Point(2.4, 6.37), 4326), '{}', 'submitted', :id, 0, 1, now(),
                    now(), 1)
            """),
            [
                {"id": new_id(), "ref": new_ref("P"), "campaign": campaign["id"], "title": name}
                for name in names
            ],
        )
        for name in names:
            for row in similar(session, campaign["id"], name, "", None, None, 20):
                if row.title != name:
                    pairs[min(name, row.title), max(name, row.title)] = row.score
        session.rollback()
    assert len(names) == 183
    assert len(pairs) < 0.01 * len(names) * (len(names) - 1) / 2
    for one, other in (
        (
            "Radar sonore pédagogique allée de Brienne",
            "Radar sonore pédagogique allées de Barcelone",
        ),
        ("Piège anti-moustiques à Bagatelle", "Piège à moustiques à Lardenne"),
        (
            "Lutte contre les moustiques à Paléficat",
            "Lutter contre l'invasion des moustiques tigres à Soupetard",
        ),
    ):
        assert (one, other) in pairs
