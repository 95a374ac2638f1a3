"""Communes over HTTP: the list, and which one holds a point."""

from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from gateway.places import Places

pytestmark = pytest.mark.integration

URL = "/api/v1/communes"


def test_all_the_communes_with_an_etag(browser: httpx.Client) -> None:
    answer = browser.get(URL)
    found = answer.json()
    assert len(found) == 77
    cotonou = next(c for c in found if c["code"] == "0801")
    assert cotonou["name"] == "Cotonou"
    west, south, east, north = cotonou["bbox"]
    assert west < cotonou["center"][0] < east
    assert south < cotonou["center"][1] < north
    assert "max-age" in answer.headers["cache-control"]
    again = browser.get(URL, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_one_commune_with_its_arrondissements(browser: httpx.Client) -> None:
    found = browser.get(f"{URL}/0801").json()
    assert len(found["arrondissements"]) == 13
    assert {a["commune"] for a in found["arrondissements"]} == {"0801"}
    for code in ("9999", "abc", "0801'--", "%F0%9F%8C%B3"):
        answer = browser.get(f"{URL}/{code}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_commune")


def test_where_a_point_lies(browser: httpx.Client) -> None:
    found = browser.get(f"{URL}/locate?lon=2.4183&lat=6.3654").json()
    assert found["code"] == "0801"
    assert found["exact"] is True
    assert found["arrondissement"]["code"].startswith("0801-")
    assert browser.get(f"{URL}/locate?lon=2.63&lat=9.34").json()["name"] == "Parakou"


def test_a_point_just_off_the_shore_is_given_to_the_nearest_commune(browser: httpx.Client) -> None:
    found = browser.get(f"{URL}/locate?lon=2.43&lat=6.335").json()
    assert (found["code"], found["exact"]) == ("0801", False)


@pytest.mark.parametrize(
    ("lon", "lat", "status", "code"),
    [
        ("6.3654", "2.4183", 404, "outside_country"),
        ("2.35", "48.85", 404, "outside_country"),
        ("0", "0", 404, "outside_country"),
        ("nan", "6.4", 422, "invalid"),
        ("inf", "6.4", 422, "invalid"),
        ("-181", "6.4", 422, "invalid"),
        ("2.4", "91", 422, "invalid"),
        ("2,4", "6.4", 422, "invalid"),
        ("", "6.4", 422, "invalid"),
        ("1e400", "6.4", 422, "invalid"),
    ],
)
def test_points_elsewhere_and_bad_numbers(
    browser: httpx.Client, lon: str, lat: str, status: int, code: str
) -> None:
    answer = browser.get(f"{URL}/locate", params={"lon": lon, "lat": lat})
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem.get("swapped", False) is (lon == "6.3654")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("cotonou", "Cotonou"),
        ("  SEME ", "Sèmè-Kpodji"),
        ("calavi", "Abomey-Calavi"),
        ("porto novo", "Porto-Novo"),
        ("natiti", "Natitingou"),
    ],
)
def test_communes_are_found_by_what_people_type(gateway: FastAPI, text: str, first: str) -> None:
    places: Places = gateway.state.places
    found = [c.name for c in places.search(text)]
    assert any(first.split("-")[0] in name for name in found), found


def test_nothing_is_found_for_nonsense(gateway: FastAPI) -> None:
    places: Places = gateway.state.places
    assert places.search("<script>") == []
    assert places.search("%") == places.search("")
    assert places.arrondissements("9999") == []
