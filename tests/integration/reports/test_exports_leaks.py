"""Nothing that is not public leaves by a public door: another door is one line of ``DOORS``."""

import struct
from collections.abc import Iterator

import pytest

from tests.apps import Tokens
from tests.integration.reports.open_data_world import AT, COTONOU, World, open_world
from tests.servers import Database

pytestmark = pytest.mark.integration

OPEN311 = "/open311/v2/requests"
OGC = "/ogc/collections/signalements/items"

#: What anybody may ask for: a name and an address. Each must show the report ``S-SHOWN``.
DOORS = (
    ("list", f"/api/v1/reports?commune={COTONOU}"),
    ("list of all statuses", "/api/v1/reports?status=received,withdrawn,duplicate&limit=200"),
    ("one report", "/api/v1/reports/S-SHOWN"),
    ("nearby", "/api/v1/reports/duplicates?lon=2.42&lat=6.37&category=waste&radius=500"),
    ("csv", "/api/v1/reports/export.csv"),
    ("geojson", "/api/v1/reports/export.geojson"),
    ("geopackage", "/api/v1/reports/export.gpkg"),
    ("feed", "/api/v1/feeds/reports.atom"),
    ("feed of a commune", f"/api/v1/feeds/reports.atom?commune={COTONOU}"),
    ("ogc", OGC),
    ("ogc by box", f"{OGC}?bbox=2,6,3,7&limit=1000"),
    ("ogc of all statuses", f"{OGC}?status=received,withdrawn,duplicate"),
    ("ogc feature", f"{OGC}/S-SHOWN"),
    ("ogc page", f"{OGC}?f=html"),
    ("ogc page of a feature", f"{OGC}/S-SHOWN?f=html"),
    ("open311 in json", f"{OPEN311}.json?start_date=2026-10-01T00:00:00Z"),
    ("open311 in xml", f"{OPEN311}.xml?start_date=2026-10-01T00:00:00Z"),
    ("open311 by id", f"{OPEN311}.json?service_request_id=S-SHOWN,S-HIDDEN,S-GONE,S-NOISE"),
    ("open311 request", f"{OPEN311}/S-SHOWN.xml"),
)

LON, LAT = 2.421317, 6.370793

#: What nobody outside the mairie may read, by what it is.
SECRETS = {
    "internal note": "SECRET-NOTE",
    "agent": "SECRET-AGENT",
    "contact's name": "SECRET-NAME",
    "contact's phone": "+2290199887766",
    "contact's e-mail": "secret@example.org",
    "device": "SECRET-DEVICE",
    "account": "SECRET-ACCOUNT",
    "hidden words": "SECRET-HIDDEN",
    "hidden landmark": "SECRET-LANDMARK",
    "hidden reference": "S-HIDDEN",
    "withdrawn words": "SECRET-WITHDRAWN",
    "withdrawn reference": "S-GONE",
    "words before moderation": "SECRET-ORIGINAL",
    "reason of moderation": "SECRET-REASON",
    "attribute": "SECRET-ATTRIBUTE",
    "exact longitude": str(LON)[:7],
    "exact latitude": str(LAT)[:7],
}
#: Ids made by the tables: of persons, hidden reports and photos.
IDS = ("reporter", "supporter", "assignee", "hidden report", "withdrawn report", "hidden photo")


@pytest.fixture(scope="module")
def world(fresh_database: Database, tokens: Tokens) -> Iterator[World]:
    with open_world(fresh_database, tokens) as made:
        yield made


@pytest.fixture(scope="module")
def secrets(world: World) -> dict[str, bytes]:
    """Lay reports full of secrets; return these by what they are, as bytes."""
    found = {name: value.encode() for name, value in SECRETS.items()}
    persons = {name: str(world.rows("SELECT gen_random_uuid() AS id")[0]["id"]) for name in IDS[:3]}
    hidden = world.report(
        ref="S-HIDDEN", description="SECRET-HIDDEN", landmark="SECRET-LANDMARK", hidden_at=AT
    )
    gone = world.report(ref="S-GONE", description="SECRET-WITHDRAWN", status="withdrawn")
    shown = world.report(
        ref="S-SHOWN", description="SECRET-ORIGINAL", public_description="Mots publics",
        reporter=persons["reporter"], assignee=persons["assignee"],
        follow_up_hash=b"SECRET-TOKEN", gender="f", attributes='{"what": "SECRET-ATTRIBUTE"}',
    )  # fmt: skip
    world.report(ref="S-COPY", status="duplicate", duplicate_of=hidden)
    # A copy of what was shown and is gone: it may not name it either.
    world.report(ref="S-COPY-2", status="duplicate", duplicate_of=gone)
    world.report(ref="S-NOISE", category="noise", lon=LON, lat=LAT)
    shown_photo, hidden_photo = world.photo(shown), world.photo(shown, hidden=True)
    world.photo(hidden)
    world.execute(
        "INSERT INTO history (report_id, version, kind, status, at, actor_kind, actor, "
        "internal_note, detail) VALUES (:id, 2, 'status', 'received', now(), 'mairie', :actor, "
        "'SECRET-NOTE', '{}'), (:id, 3, 'moderation', 'received', now(), 'mairie', :actor, "
        "'SECRET-NOTE', jsonb_build_object('reason', 'SECRET-REASON'))",
        id=shown,
        actor=persons["assignee"],
    )
    world.execute(
        "INSERT INTO agents (commune, user_id, name) VALUES (:c, :id, 'SECRET-AGENT')",
        c=COTONOU,
        id=persons["assignee"],
    )
    world.execute(
        "INSERT INTO contacts VALUES (:id, 'SECRET-NAME', '+2290199887766', 'secret@example.org', "
        "'SECRET-DEVICE', 'SECRET-ACCOUNT')",
        id=shown,
    )
    world.execute(
        "INSERT INTO supports (report_id, user_id) VALUES (:id, :user)",
        id=shown,
        user=persons["supporter"],
    )
    assert world.get("/api/v1/reports/S-SHOWN")["photos"][0]["id"] == str(shown_photo)
    ids = (*persons.values(), str(hidden), str(gone), str(hidden_photo))
    found |= {name: value.encode() for name, value in zip(IDS, ids, strict=True)}
    # A GeoPackage writes numbers as they lie in memory.
    for name, degrees in (("longitude", LON), ("latitude", LAT)):
        found |= {f"{name} as {order}": struct.pack(order, degrees) for order in ("<d", ">d")}
    return found | {"hash of a secret link": b"SECRET-TOKEN"}


@pytest.mark.parametrize(("name", "path"), DOORS, ids=[name for name, _ in DOORS])
def test_nothing_leaves_by_this_door_but_what_is_public(
    world: World, secrets: dict[str, bytes], name: str, path: str
) -> None:
    answer = world.client.get(path)
    assert answer.status_code == 200
    assert b"S-SHOWN" in answer.content  # the door is open, and leads to the reports
    said = answer.content + str(answer.headers).encode()
    assert [what for what, secret in secrets.items() if secret in said] == []


def test_the_desk_itself_would_be_caught(world: World, secrets: dict[str, bytes]) -> None:
    """The net holds: what agents may read is full of what it looks for."""
    agent = world.agent()
    told = b"".join(
        world.client.get(path, headers=agent).content
        for path in (
            "/api/v1/reports/S-SHOWN",
            "/api/v1/reports/S-HIDDEN",
            "/api/v1/reports/S-GONE",
            "/api/v1/reports/S-NOISE",
            f"/api/v1/desk/{COTONOU}/export.geojson?hidden=true",
            f"/api/v1/desk/{COTONOU}/export.gpkg?category=noise",
        )
    )
    unseen = {what for what, secret in secrets.items() if secret not in told}
    assert unseen <= {
        "device", "account", "attribute", "reporter", "supporter", "hash of a secret link"
    }  # fmt: skip


def test_the_desks_files_hold_no_note_and_no_contact(
    world: World, secrets: dict[str, bytes]
) -> None:
    kept = [what for what in secrets if what.startswith(("internal", "contact", "words", "reason"))]
    kept += ["device", "account", "attribute", "reporter", "supporter", "hash of a secret link"]
    for form in ("csv", "geojson", "gpkg"):
        answer = world.client.get(f"/api/v1/desk/{COTONOU}/export.{form}", headers=world.agent())
        assert b"SECRET-AGENT" in answer.content
        assert [what for what in kept if secrets[what] in answer.content] == []
