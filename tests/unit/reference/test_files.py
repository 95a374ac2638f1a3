"""The shipped files agree with each other and are small."""

import csv
import json
import unicodedata
from pathlib import Path

import pytest

import infra.reference
from infra.reference.boundaries import fold

HERE = Path(infra.reference.__file__).parent
pytestmark = pytest.mark.unit


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_arrondissement_has_an_area_a_commune_and_a_rank() -> None:
    arrondissements = rows("arrondissements.csv")
    areas = [
        f["properties"]["code"]
        for f in json.loads((HERE / "arrondissements.geojson").read_text())["features"]
    ]
    assert [row["code"] for row in arrondissements] == areas
    assert len(set(areas)) == 546
    ranks: dict[str, list[int]] = {}
    for row in arrondissements:
        assert row["code"].startswith(row["commune_code"] + "-")
        ranks.setdefault(row["commune_code"], []).append(int(row["rank"]))
    assert sorted(ranks) == [row["code"] for row in rows("communes.csv")]
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in ranks.values())


def test_names_read_as_people_write_them() -> None:
    names = {row["code"]: row["name"] for row in rows("arrondissements.csv")}
    assert names["0101-01"] == "Banikoara"
    assert names["1201-06"] == "Vidolè"
    assert names["1105-04"] == "Sakété II"
    assert names["0801-05"] == "1er arrondissement"
    for name in names.values():
        assert not name.isupper()
        assert name == name.strip() == unicodedata.normalize("NFC", name)
        assert name[0].isupper() or name[0].isdigit()


def test_no_two_communes_share_a_name_or_an_alias() -> None:
    seen = [
        fold(name)
        for row in rows("communes.csv")
        for name in (row["name"], *filter(None, row["aliases"].split(";")))
    ]
    assert len(seen) == len(set(seen))


def test_the_notice_says_the_licence() -> None:
    notice = (HERE / "NOTICE").read_text()
    assert "OpenStreetMap contributors" in notice
    assert "Open Database License" in notice


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in HERE.iterdir() if path.is_file()) < 350_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sèmè-Kpodji", "SEME KPODJI"),
        ("N'Dali", "n’dali"),
        ("Covè", "COVÉ"),
        ("Zè", "ze"),
    ],
)
def test_folding_forgives_accents_case_and_punctuation(one: str, other: str) -> None:
    assert fold(one) == fold(other)
